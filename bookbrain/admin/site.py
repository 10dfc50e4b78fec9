"""`bookbrain-admin site`."""

from typing import Any

import click

from bookbrain.admin.options import check_root, pass_machine
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import say
from bookbrain.server.access import Address, Site, configured, read_site, with_address
from bookbrain.server.caddy import Machine, change_site


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
@pass_machine
def site(machine: Machine, /, renew: bool, **options: Any) -> None:
    """Show the address of this server, or change what the options name."""
    check_root(machine)
    address = Address(**options)
    if (renew or address.changes_something) and not change_site(
        machine, lambda old: with_address(old, address)
    ):
        say("Nothing had to be changed.")
    _show(configured(read_site(machine.layout)))


def _show(site: Site) -> None:
    say("Address: {url}", url=site.url)
    if not site.acme:
        say("Certificate: the server's own, which browsers warn of")
    elif url := site.acme_directory:
        say("Certificate: by {url}; letters go to {email}", url=url, email=site.email)
    else:
        say("Certificate: public; letters go to {email}", email=site.email)
    if site.users:
        say("Users: {names}", names=", ".join(user.name for user in site.users))
    else:
        say("Nobody can sign in yet: sudo bookbrain-admin users add NAME")
