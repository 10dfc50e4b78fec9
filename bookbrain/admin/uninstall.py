"""`bookbrain-admin uninstall`: a copy that the program leaves behind removes it."""

import os
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from bookbrain.admin.options import check_root, pass_machine
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import say, shown
from bookbrain.errors import ConfigError, InputError
from bookbrain.processes import run_in_terminal
from bookbrain.server.caddy import Machine

_INSTALLER = "install.sh"


def find_installation() -> Path:
    """The folder with the installer of the release in use; ConfigError in a checkout."""
    folder = Path(str(files("bookbrain") / "installation"))
    if not (folder / _INSTALLER).is_file():
        raise ConfigError(
            "This BookBrain runs from a clone, which has the installer beside it.",
            "Run it there: sudo ./install.sh --uninstall",
        )
    return folder


def remove_program(installation: Path, *, purge: bool) -> int:
    """Run the removal of a copy of `installation` in the terminal; its exit code.

    Afterwards the files of this very program are gone: nothing new can be imported.
    """
    with TemporaryDirectory(prefix="bookbrain-") as folder:
        copy = Path(folder) / "installation"
        shutil.copytree(installation, copy)
        options = ["--uninstall", *(["--purge"] if purge else [])]
        # What is purged was asked for here, and not by a variable that is left over from earlier.
        env = {**os.environ, "BOOKBRAIN_UNPACKED": "1", "BOOKBRAIN_PURGE": ""}
        return run_in_terminal(["bash", str(copy / _INSTALLER), *options], env)


_WORD = "purge"


@click.command(cls=Command)
@click.option("--purge", is_flag=True, help="Remove books, settings and backups as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_machine
def uninstall(machine: Machine, purge: bool, yes: bool) -> None:
    """Remove BookBrain from this server; books, settings and backups stay.

    With --purge these go too, and the embeddings that were paid for.
    """
    check_root(machine)
    layout = machine.layout
    installation = find_installation()
    say("These go: the program, its services, its site, and its rule in the firewall.")
    kept: dict[str, Any] = {"home": layout.home, "backups": layout.backups, "etc": layout.etc}
    if purge:
        say("And for good: {home}, {backups}, {etc}.", **kept, fg="red")
    else:
        say("These stay: {home}, {backups}, {etc}.", **kept)
    if not yes:
        _ask(purge)
    sys.exit(remove_program(installation, purge=purge))


def _ask(purge: bool) -> None:
    if not purge:
        click.confirm(shown("Remove BookBrain from this server?"), abort=True)
    elif click.prompt(shown("To have all of it removed, type the word purge")).strip() != _WORD:
        raise InputError("Nothing was removed.", "Without --purge, books and settings stay.")
