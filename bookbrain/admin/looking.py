"""The commands `status`, `doctor` and `uninstall`."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click
from rich.cells import set_cell_size

from bookbrain.admin.check import Check, State
from bookbrain.admin.doctor.diagnosis import diagnose
from bookbrain.admin.publishing import Machine
from bookbrain.admin.removal import find_installation, remove_program
from bookbrain.admin.status import Status, look_at_server
from bookbrain.admin.summary import summarize
from bookbrain.cli.help import Command
from bookbrain.cli.show import fitting, print_json, say, shown
from bookbrain.errors import BookBrainError, ConfigError, InputError
from bookbrain.server import Layout
from bookbrain.wording import fill, message_of

_WORD = "purge"
_pass_machine = click.make_pass_decorator(Machine, ensure=True)


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_pass_machine
def status(machine: Machine, as_json: bool) -> None:
    """Show how this server is, on one screen; ends with 1 when something is wrong."""
    _check_server(machine.layout)
    seen = look_at_server(machine)
    checks = summarize(seen)
    if as_json:
        print_json(json.dumps(_as_object(seen, checks), ensure_ascii=False, default=str))
    else:
        show_checks(checks)
        if _has_failed(checks):
            say("What to do about it: sudo bookbrain-admin doctor")
    end_with(checks)


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@_pass_machine
def doctor(machine: Machine, as_json: bool) -> None:
    """Find out what is wrong with this server, and say what to do; ends with 1 when something is.

    Changes nothing, and spends nothing.
    """
    _check_server(machine.layout)
    checks = diagnose(machine)
    if as_json:
        found = [check._replace(remedy="") if _is_ok(check) else check for check in checks]
        print_json(json.dumps([check._asdict() for check in found], ensure_ascii=False))
    else:
        show_checks(checks)
    end_with(checks)


@click.command(cls=Command)
@click.option("--purge", is_flag=True, help="Remove books, settings and backups as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_pass_machine
def uninstall(machine: Machine, purge: bool, yes: bool) -> None:
    """Remove BookBrain from this server; books, settings and backups stay.

    With --purge these go too, and the embeddings that were paid for.
    """
    layout = machine.layout
    _check_server(layout)
    installation = find_installation()
    say("These go: the program, its services, its site, and its rule in the firewall.")
    if purge:
        say(
            fill(
                "And for good: {home}, {backups}, {etc}.",
                home=layout.home,
                backups=layout.backups,
                etc=layout.etc,
            ),
            fg="red",
        )
    else:
        say(
            fill(
                "These stay: {home}, {backups}, {etc}.",
                home=layout.home,
                backups=layout.backups,
                etc=layout.etc,
            )
        )
    if not yes:
        _ask(purge)
    sys.exit(remove_program(installation, purge=purge))


def _ask(purge: bool) -> None:
    if not purge:
        click.confirm(shown("Remove BookBrain from this server?"), abort=True)
    elif click.prompt(shown("To have all of it removed, type the word purge")).strip() != _WORD:
        raise InputError("Nothing was removed.", "Without --purge, books and settings stay.")


def _check_server(layout: Layout) -> None:
    if not layout.etc.is_dir():
        raise ConfigError(
            "BookBrain is not installed as a server here.",
            "For a library of your own: bookbrain-admin health; to remove it: "
            "./install.sh --uninstall",
        )
    if not os.access(layout.etc, os.W_OK):
        raise BookBrainError("Only root can look after a server.", "Run it with sudo.")


def _as_object(seen: Status, checks: Iterable[Check]) -> dict[str, Any]:
    """Without the secrets of the site."""
    site = seen.site
    return asdict(seen) | {
        "site": {"url": site.url, "acme": site.acme} if site else None,
        "ok": not _has_failed(checks),
    }


def show_checks(checks: Iterable[Check]) -> None:
    """Print a line for each, with the remedy below what is not as it should be."""
    for check in checks:
        failed, warned = check.state is State.FAIL, check.state is State.WARN
        mark = shown("FAIL" if failed else "warn" if warned else "ok  ")
        name = set_cell_size(shown(check.name), 11)
        color = "red" if failed else "yellow" if warned else None
        click.secho(fitting(f"{mark}  {name} {shown(check.seen)}"), fg=color)
        if check.remedy and not _is_ok(check):
            say(fill("      Next: {remedy}", remedy=message_of(check.remedy)))


def _is_ok(check: Check) -> bool:
    return check.state is State.OK


def _has_failed(checks: Iterable[Check]) -> bool:
    return any(check.state is State.FAIL for check in checks)


def end_with(checks: Iterable[Check]) -> None:
    """The exit code of a command that shows these."""
    if _has_failed(checks):
        raise click.exceptions.Exit(1)
