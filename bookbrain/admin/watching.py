"""The commands `health` and `notify-failure`: for a person, and for the units of a server."""

import json
import logging
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from bookbrain.admin.alerts.channels import Outbox
from bookbrain.admin.alerts.telling import has_just_run, tell_failure, tell_news, tell_nothing
from bookbrain.admin.asking import output_of
from bookbrain.admin.check import Check, State
from bookbrain.admin.doctor.services import check_failed
from bookbrain.admin.health import HEALTH_UNIT, check_health, failed_state
from bookbrain.admin.looking import end_with, show_checks
from bookbrain.admin.publishing import Machine
from bookbrain.citation import printable
from bookbrain.cli.help import Command
from bookbrain.cli.opening import take_settings
from bookbrain.cli.show import fitting, print_json, shown
from bookbrain.config import NotifySettings, library_home, load_notify_settings
from bookbrain.errors import ConfigError, InputError
from bookbrain.last_check import Seen, keep_check
from bookbrain.wording import fill

_UNIT = re.compile(r"(bookbrain|caddy)[\w.@:\\-]*\.(service|path|timer)", re.ASCII)
_LINES = "10"
_log = logging.getLogger(__name__)
_pass_machine = click.make_pass_decorator(Machine, ensure=True)


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.option("--notify", is_flag=True, help="Tell the channels of BOOKBRAIN_NOTIFY what changed.")
@click.option(
    "--test-notification", "test", is_flag=True, help="Send a test to every channel instead."
)
@_pass_machine
def health(machine: Machine, as_json: bool, notify: bool, test: bool) -> None:
    """Check BookBrain end to end; ends with 1 when something is wrong.

    A real search, the vectors, the disk and, on a server, all that it needs. Costs nothing.
    """
    settings = take_settings(machine.layout)
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
    seen = [Seen(c.name, c.state, c.seen, "" if c.state is State.OK else c.remedy) for c in checks]
    try:
        keep_check(home, seen, datetime.now(UTC))
    except OSError as error:
        _log.warning("What was seen cannot be kept: %s", error)


@click.command("notify-failure", cls=Command, hidden=True)
@click.argument("unit")
def notify_failure(unit: str) -> None:
    """Tell that UNIT has failed; systemd starts this."""
    if not _UNIT.fullmatch(unit):
        raise InputError(
            fill("{unit} is no unit of BookBrain.", unit=unit), "Give one like bookbrain.service."
        )
    home = library_home(os.environ)
    if unit == HEALTH_UNIT and has_just_run(home):
        return
    journal = output_of("journalctl", "-u", unit, "-n", _LINES, "-o", "cat", "--no-pager") or ""
    tell_failure(home, load_notify_settings(), _failure_of(unit), journal, Outbox())


def _failure_of(unit: str) -> Check:
    (check,) = check_failed([unit], [])
    return check._replace(state=failed_state(unit), subject=unit)


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
