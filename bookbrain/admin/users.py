"""`bookbrain-admin users`: who may sign in."""

import sys
from collections.abc import Callable
from typing import IO

import click

from bookbrain.admin.options import check_root, first_line, pass_machine
from bookbrain.cli.command import Commands
from bookbrain.cli.terminal import say, shown
from bookbrain.errors import InputError
from bookbrain.server.access import (
    Site,
    check_known_name,
    check_new_name,
    configured,
    read_site,
    with_password,
    with_user,
    without_user,
)
from bookbrain.server.caddy import Machine, change_site

_WHO = "Who may sign in."
_password_file = click.option(
    "--password-file",
    type=click.File(encoding="utf-8-sig"),
    metavar="FILE",
    help="Take the first line of FILE (- is standard input) instead of asking.",
)


@click.group(cls=Commands, short_help=_WHO)
def users() -> None:
    """Who may sign in."""


@users.command("list")
@pass_machine
def list_users(machine: Machine) -> None:
    """List the users."""
    check_root(machine)
    for user in configured(read_site(machine.layout)).users:
        say(user.name)


@users.command()
@click.argument("name")
@_password_file
@pass_machine
def add(machine: Machine, name: str, password_file: IO[str] | None) -> None:
    """Let somebody in, with a password of their own."""
    _give_password(machine, name, password_file, check_new_name, with_user)
    say("{name} can sign in.", name=name)


@users.command()
@click.argument("name")
@_password_file
@pass_machine
def passwd(machine: Machine, name: str, password_file: IO[str] | None) -> None:
    """Change a password; who is signed in with it is out within ten seconds."""
    _give_password(machine, name, password_file, check_known_name, with_password)
    say("{name} has a new password, and has to sign in again.", name=name)


@users.command()
@click.argument("name")
@pass_machine
def remove(machine: Machine, name: str) -> None:
    """Let somebody in no more; open pages end within ten seconds."""
    check_root(machine)
    change_site(machine, lambda old: without_user(configured(old), name))
    say("{name} is removed; open pages end within ten seconds.", name=name)


def _give_password(
    machine: Machine,
    name: str,
    file: IO[str] | None,
    check: Callable[[Site, str], None],
    change: Callable[[Site, str, str], Site],
) -> None:
    """A name that `check` refuses is refused before a password is asked for."""
    check_root(machine)
    check(configured(read_site(machine.layout)), name)
    password = _password(file)
    change_site(machine, lambda old: change(configured(old), name, password))


def _password(file: IO[str] | None) -> str:
    """The first line of `file`, else what is typed twice."""
    if file:
        return first_line(file)
    if not sys.stdin.isatty():
        raise InputError(
            "There is no terminal to ask for the password.",
            "Give it with --password-file FILE, or with - for standard input.",
        )
    first = click.prompt(shown("Password"), hide_input=True, err=True)
    second = click.prompt(shown("The same again"), hide_input=True, err=True)
    if first != second:
        raise InputError("These were two different passwords.", "Run it again.")
    return str(first)
