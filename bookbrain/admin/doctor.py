"""`bookbrain-admin doctor`: looks at everything that keeps a server from working."""

from dataclasses import replace

import click

from bookbrain.admin.options import check_root, end_with, pass_machine, show_checks
from bookbrain.checks import Door
from bookbrain.checks.checklist import check_server_becoming_service, server_of
from bookbrain.cli.command import Command, json_option
from bookbrain.cli.terminal import print_json
from bookbrain.model import to_json
from bookbrain.reports import Check
from bookbrain.server.caddy import Machine


def diagnose(machine: Machine) -> list[Check]:
    """All that was looked at, with a remedy only where something is wrong; changes nothing.

    Needs root, who is the user of the service from then on.
    """
    checks, _ = check_server_becoming_service(server_of(machine), Door.DOCTOR)
    return [replace(check, remedy="") if check.is_ok else check for check in checks]


@click.command(cls=Command)
@json_option
@pass_machine
def doctor(machine: Machine, as_json: bool) -> None:
    """Find out what is wrong with this server, and say what to do; ends with 1 when something is.

    Changes nothing, and spends nothing.
    """
    check_root(machine)
    checks = diagnose(machine)
    if as_json:
        print_json(to_json(checks))
    else:
        show_checks(checks)
    end_with(checks)
