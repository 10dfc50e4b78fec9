"""`bookbrain-admin health`, for a person and for a timer; and what a unit that failed runs."""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from bookbrain.admin.options import end_with, pass_machine, show_checks
from bookbrain.checks.channels import Outbox
from bookbrain.checks.checklist import check_health
from bookbrain.checks.news import has_just_run, tell_failure, tell_news, tell_nothing
from bookbrain.checks.services import HEALTH_UNIT, check_failed, failed_state
from bookbrain.cli.command import Command, json_option
from bookbrain.cli.terminal import fitting, print_json, shown
from bookbrain.errors import ConfigError, InputError
from bookbrain.messages import fill
from bookbrain.model import printable, to_json
from bookbrain.privileges import become_service
from bookbrain.reports import Check, keep_check
from bookbrain.server.caddy import Machine
from bookbrain.server.probes import output_of
from bookbrain.settings import NotifySettings, library_home, load_notify_settings

_log = logging.getLogger(__name__)


@click.command(cls=Command)
@json_option
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
        print_json(to_json(checks))
    else:
        show_checks(checks)
    if notify:
        _keep(settings.home, checks)
        tell_news(settings.home, settings.notify, checks, Outbox())
    end_with(checks)


def _keep(home: Path, checks: Sequence[Check]) -> None:
    """For the system page; a full disk is told, but hinders nothing."""
    seen = [replace(check, remedy="") if check.is_ok else check for check in checks]
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


_UNIT = re.compile(r"(bookbrain|caddy)[\w.@:\\-]*\.(service|path|timer)", re.ASCII)
_LINES = "10"


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
    (check,) = check_failed([unit], [])
    failure = replace(check, state=failed_state(unit), subject=unit)
    tell_failure(home, load_notify_settings(), failure, journal, Outbox())
