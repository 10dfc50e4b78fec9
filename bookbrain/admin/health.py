"""`bookbrain-admin health`: for a person, and for the units of a server."""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from bookbrain.admin.options import end_with, pass_machine, show_checks
from bookbrain.checks import Check, State
from bookbrain.checks.channels import Outbox
from bookbrain.checks.condition import check_health
from bookbrain.checks.news import tell_news, tell_nothing
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import fitting, print_json, shown
from bookbrain.errors import ConfigError
from bookbrain.model import printable
from bookbrain.privileges import become_service
from bookbrain.reports import SeenCheck, keep_check
from bookbrain.server.caddy import Machine
from bookbrain.settings import NotifySettings

_log = logging.getLogger(__name__)


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.option("--notify", is_flag=True, help="Tell the channels of BOOKBRAIN_NOTIFY what changed.")
@click.option(
    "--test-notification", "test", is_flag=True, help="Send a test to every channel instead."
)
@pass_machine
def health(machine: Machine, as_json: bool, notify: bool, test: bool) -> None:
    """Check BookBrain end to end; ends with 1 when something is wrong.

    A real search, the vectors, the disk and, on a server, all that it needs. Costs nothing.
    """
    settings = become_service(machine.layout)
    if test:
        _test(settings.notify)
        return
    checks = check_health(machine, settings)
    if as_json:
        print_json(json.dumps([check._asdict() for check in checks], ensure_ascii=False))
    else:
        show_checks(checks)
    if notify:
        _keep(settings.home, checks)
        tell_news(settings.home, settings.notify, checks, Outbox())
    end_with(checks)


def _keep(home: Path, checks: Sequence[Check]) -> None:
    """For the system page; a full disk is told, but hinders nothing."""
    seen = [
        SeenCheck(c.name, c.state, c.seen, "" if c.state is State.OK else c.remedy) for c in checks
    ]
    try:
        keep_check(home, seen, datetime.now(UTC))
    except OSError as error:
        _log.warning("What was seen cannot be kept: %s", error)


def _test(settings: NotifySettings) -> None:
    deliveries = tell_nothing(settings, Outbox())
    if not deliveries:
        raise ConfigError("Nobody is to be told.", "Set BOOKBRAIN_NOTIFY in bookbrain.env.")
    for delivery in deliveries:
        color = None if delivery.ok else "red"
        line = f"{printable(delivery.where)}  {shown(delivery.seen)}"
        click.secho(fitting(line), fg=color)
    if not all(delivery.ok for delivery in deliveries):
        raise click.exceptions.Exit(1)
