"""What the commands of `bookbrain-admin` share: options, the machine, lines for checks."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import click
from rich.cells import set_cell_size

from bookbrain.cli.terminal import fitting, say, shown
from bookbrain.errors import BookBrainError, ConfigError, InputError
from bookbrain.log import is_journal, log_work, set_up_logging
from bookbrain.messages import message_of
from bookbrain.paths import Layout
from bookbrain.reports import Check, State
from bookbrain.server.caddy import Machine
from bookbrain.server.journal import JournalReader, open_journal

_NICE = 10
pass_machine = click.make_pass_decorator(Machine, ensure=True)
_file = click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True)
# Root opens it, in a folder of the service's user: a link there leads nowhere.
archive_path = click.Path(exists=True, dir_okay=False, path_type=Path)
json_object_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
identity_option = click.option(
    "--identity",
    type=_file,
    metavar="FILE",
    help="The file with your private key of age, for an encrypted backup.",
)


def work_quietly() -> None:
    """Let searches go first; in a service, log what is done."""
    os.nice(_NICE)
    if is_journal(os.environ):
        set_up_logging()
        log_work()


def check_root(machine: Machine) -> None:
    """Raise where this is no server, or not root's command."""
    etc = machine.layout.etc
    if not etc.is_dir():
        raise ConfigError(
            "BookBrain is not installed as a server here.",
            "Install it so: sudo ./install.sh --domain DOMAIN --email EMAIL. For a library of your "
            "own: bookbrain-admin health; to remove it: ./install.sh --uninstall",
        )
    if not os.access(etc, os.W_OK):
        raise BookBrainError("Only root can look after a server.", "Run it with sudo.")


def first_line(file: IO[str]) -> str:
    try:
        return file.readline().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError("That is not text in UTF-8.", "Check the file.") from error


def show_checks(checks: Iterable[Check]) -> None:
    """Print a line for each, with the remedy below what is not as it should be."""
    for check in checks:
        failed, warned = check.state is State.FAIL, check.state is State.WARN
        mark = set_cell_size(shown("FAIL" if failed else "warn" if warned else "ok"), 4)
        name = set_cell_size(shown(check.name), 11)
        color = "red" if failed else "yellow" if warned else None
        click.secho(fitting(f"{mark}  {name} {shown(check.seen)}"), fg=color)
        if check.remedy and not check.is_ok:
            say("      Next: {remedy}", remedy=message_of(check.remedy))


def has_failed(checks: Iterable[Check]) -> bool:
    return any(check.state is State.FAIL for check in checks)


def end_with(checks: Iterable[Check]) -> None:
    """The exit code of a command that shows these."""
    if has_failed(checks):
        raise click.exceptions.Exit(1)


@dataclass(frozen=True)
class Records:
    """The journal of this machine and what is kept of it."""

    open: Callable[[], JournalReader] = open_journal
    layout: Layout = field(default_factory=Layout)


pass_records = click.make_pass_decorator(Records, ensure=True)
