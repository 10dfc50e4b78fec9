"""`bookbrain-admin tokens`: which editors and agents may ask the library from elsewhere."""

import click

from bookbrain.admin.options import check_root, pass_machine
from bookbrain.cli.command import Commands
from bookbrain.cli.terminal import note, say
from bookbrain.server.access import configured, read_site
from bookbrain.server.agent_tokens import add_token, read_tokens, remove_token
from bookbrain.server.caddy import Machine
from bookbrain.server.probes import text_of

_WHICH = "Which editors and agents may ask the library over the network."


@click.group(cls=Commands, short_help=_WHICH)
def tokens() -> None:
    """Which editors and agents may ask the library over the network.

    A token opens `/mcp`, and nothing else, in place of a password. It is kept as a hash only.
    """


@tokens.command("list")
@pass_machine
def list_tokens(machine: Machine) -> None:
    """List the tokens by name, with the day on which each was added."""
    check_root(machine)
    known = read_tokens(machine.layout)
    if not known:
        note("There are no tokens. For one: sudo bookbrain-admin tokens add NAME")
    for token in known:
        say("{name}  (added {day})", name=token.name, day=token.added)


@tokens.command("add")
@click.argument("name")
@pass_machine
def add_named_token(machine: Machine, name: str) -> None:
    """Make a token, and show it this once; its name says later whose it is."""
    check_root(machine)
    url = configured(read_site(machine.layout)).url
    token = add_token(machine.layout, name)
    caddyfile = machine.layout.etc / "Caddyfile"
    if caddyfile.exists() and "bookbrain_token" not in text_of(caddyfile):
        note(
            "{path} was edited and knows no tokens yet: put what is new in {path}.new into it, "
            "then: sudo bookbrain-admin site --renew",
            path=caddyfile,
        )
    note(
        "It opens {url} only, sent as `Authorization: Bearer …`, until it is removed. Copy it "
        "now: nobody can show it again.",
        url=f"{url}mcp",
    )
    click.echo(token)


@tokens.command("remove")
@click.argument("name")
@pass_machine
def remove_named_token(machine: Machine, name: str) -> None:
    """Take a token away; who uses it is out within ten seconds."""
    check_root(machine)
    remove_token(machine.layout, name)
    say("The token {name} is removed; who uses it is out within ten seconds.", name=name)
