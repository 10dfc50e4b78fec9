"""`bookbrain-admin key`: the OpenAI key, a credential that systemd hands to the services."""

import sys

import click

from bookbrain.admin.options import check_root, first_line, pass_machine
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import say, shown
from bookbrain.errors import InputError
from bookbrain.files import write_file
from bookbrain.processes import run_program
from bookbrain.server.caddy import Machine
from bookbrain.settings import KEY_CREDENTIAL


def store_key(machine: Machine, key: str) -> bool:
    """Keep `key`, "" for none, and restart the service that runs with another one.

    False when it could not be restarted. Raises InputError for what cannot be a key.
    """
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(
            "That is not a key: it has blanks or characters that keys do not have.",
            "Copy it again from platform.openai.com/api-keys.",
        )
    folder = machine.layout.credentials
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    write_file(folder / KEY_CREDENTIAL, f"{key}\n".encode() if key else b"", 0o600)
    try:
        return run_program([machine.systemctl, "try-restart", "bookbrain"], timeout=120).code == 0
    except FileNotFoundError:
        return False


@click.command(cls=Command)
@click.option("--remove", "removing", is_flag=True, help="Search by keyword only from now on.")
@pass_machine
def key(machine: Machine, removing: bool) -> None:
    """Store the OpenAI key, asked for or from standard input."""
    check_root(machine)
    text = "" if removing else _key()
    restarted = store_key(machine, text)
    say("The key is removed." if removing else "The key is stored.")
    if not restarted:
        say("BookBrain could not be restarted: sudo systemctl restart bookbrain")
    if not removing:
        say("Embed the books that are there already: sudo bookbrain embed")


def _key() -> str:
    if sys.stdin.isatty():
        text = str(click.prompt(shown("OpenAI key"), hide_input=True, err=True))
    else:
        text = first_line(sys.stdin)
    if not text.strip():
        raise InputError("There was no key.", "To take the stored one away: add --remove.")
    return text.strip()
