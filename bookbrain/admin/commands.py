"""The commands that set up a server: its address, its users, its key."""

import os
import sys
from typing import IO, Any

import click

from bookbrain.admin.key import store_key
from bookbrain.admin.publishing import Machine, change_site
from bookbrain.admin.site import Address, Site, configured, read_site, with_address
from bookbrain.admin.users import (
    check_known_name,
    check_new_name,
    with_password,
    with_user,
    without_user,
)
from bookbrain.cli.errors import Commands
from bookbrain.cli.help import Command
from bookbrain.cli.show import say, shown
from bookbrain.errors import BookBrainError, ConfigError, InputError
from bookbrain.wording import fill

_WHO = "Who may sign in."
_pass_machine = click.make_pass_decorator(Machine, ensure=True)
_password_file = click.option(
    "--password-file",
    type=click.File(encoding="utf-8-sig"),
    metavar="FILE",
    help="Take the first line of FILE (- is standard input) instead of asking.",
)


@click.command(cls=Command)
@click.option("--domain", metavar="DOMAIN", help="The name that leads to this server.")
@click.option("--email", metavar="EMAIL", help="Where the certificate authority writes to.")
@click.option(
    "--acme/--no-acme",
    default=None,
    help="A public certificate, or one of the server's own that browsers warn of.",
)
@click.option(
    "--acme-directory",
    metavar="URL",
    help="Of another certificate authority than the usual one; an empty URL is the usual one.",
)
@click.option("--acme-root", metavar="FILE", help="The certificate that this authority itself has.")
@click.option(
    "--renew", is_flag=True, help="Give Caddy its part as this version writes it, and load all."
)
@_pass_machine
def site(machine: Machine, /, renew: bool, **options: Any) -> None:
    """Show the address of this server, or change what the options name."""
    _check_machine(machine)
    address = Address(**options)
    if (renew or address.changes_something) and not change_site(
        machine, lambda old: with_address(old, address)
    ):
        say("Nothing had to be changed.")
    _show(configured(read_site(machine.layout)))


@click.group(cls=Commands, short_help=_WHO)
def users() -> None:
    """Who may sign in."""


@users.command("list")
@_pass_machine
def list_users(machine: Machine) -> None:
    """List the users."""
    _check_machine(machine)
    for user in configured(read_site(machine.layout)).users:
        say(user.name)


@users.command()
@click.argument("name")
@_password_file
@_pass_machine
def add(machine: Machine, name: str, password_file: IO[str] | None) -> None:
    """Let somebody in, with a password of their own."""
    _check_machine(machine)
    check_new_name(configured(read_site(machine.layout)), name)
    password = _password(password_file)
    change_site(machine, lambda old: with_user(configured(old), name, password))
    say(fill("{name} can sign in.", name=name))


@users.command()
@click.argument("name")
@_password_file
@_pass_machine
def passwd(machine: Machine, name: str, password_file: IO[str] | None) -> None:
    """Change a password; who is signed in with it is out within ten seconds."""
    _check_machine(machine)
    check_known_name(configured(read_site(machine.layout)), name)
    password = _password(password_file)
    change_site(machine, lambda old: with_password(configured(old), name, password))
    say(fill("{name} has a new password, and has to sign in again.", name=name))


@users.command()
@click.argument("name")
@_pass_machine
def remove(machine: Machine, name: str) -> None:
    """Let somebody in no more; open pages end within ten seconds."""
    _check_machine(machine)
    change_site(machine, lambda old: without_user(configured(old), name))
    say(fill("{name} is removed; open pages end within ten seconds.", name=name))


@click.command(cls=Command)
@click.option("--remove", "removing", is_flag=True, help="Search by keyword only from now on.")
@_pass_machine
def key(machine: Machine, removing: bool) -> None:
    """Store the OpenAI key, asked for or from standard input."""
    _check_machine(machine)
    text = "" if removing else _key()
    restarted = store_key(machine, text)
    say("The key is removed." if removing else "The key is stored.")
    if not restarted:
        say("BookBrain could not be restarted: sudo systemctl restart bookbrain")
    if not removing:
        say("Embed the books that are there already: sudo bookbrain embed")


def _check_machine(machine: Machine) -> None:
    etc = machine.layout.etc
    if not etc.is_dir():
        raise ConfigError(
            "BookBrain is not installed as a server here.",
            "Install it so: sudo ./install.sh --domain DOMAIN --email EMAIL",
        )
    if not os.access(etc, os.W_OK):
        raise BookBrainError("Only root can look after a server.", "Run it with sudo.")


def _show(site: Site) -> None:
    say(fill("Address: {url}", url=site.url))
    if not site.acme:
        say("Certificate: the server's own, which browsers warn of")
    elif site.acme_directory:
        say(
            fill(
                "Certificate: by {url}; letters go to {email}",
                url=site.acme_directory,
                email=site.email,
            )
        )
    else:
        say(fill("Certificate: public; letters go to {email}", email=site.email))
    if site.users:
        say(fill("Users: {names}", names=", ".join(user.name for user in site.users)))
    else:
        say("Nobody can sign in yet: sudo bookbrain-admin users add NAME")


def _password(file: IO[str] | None) -> str:
    """The first line of `file`, else what is typed twice."""
    if file:
        return _first_line(file)
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


def _key() -> str:
    if sys.stdin.isatty():
        text = str(click.prompt(shown("OpenAI key"), hide_input=True, err=True))
    else:
        text = _first_line(sys.stdin)
    if not text.strip():
        raise InputError("There was no key.", "To take the stored one away: add --remove.")
    return text.strip()


def _first_line(file: IO[str]) -> str:
    try:
        return file.readline().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError("That is not text in UTF-8.", "Check the file.") from error
