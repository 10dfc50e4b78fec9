"""`bookbrain-admin notify-failure`: what a unit that failed runs."""

import os
import re

import click

from bookbrain.checks import Check
from bookbrain.checks.channels import Outbox
from bookbrain.checks.condition import HEALTH_UNIT, failed_state
from bookbrain.checks.news import has_just_run, tell_failure
from bookbrain.checks.services import check_failed
from bookbrain.cli.command import Command
from bookbrain.errors import InputError
from bookbrain.messages import fill
from bookbrain.server.probes import output_of
from bookbrain.settings import library_home, load_notify_settings

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
    tell_failure(home, load_notify_settings(), _failure_of(unit), journal, Outbox())


def _failure_of(unit: str) -> Check:
    (check,) = check_failed([unit], [])
    return check._replace(state=failed_state(unit), subject=unit)
