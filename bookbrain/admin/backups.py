"""`bookbrain-admin backups`."""

import click

from bookbrain.admin.options import pass_machine
from bookbrain.backup.archives import Backup, backup_folder, list_backups
from bookbrain.cli.command import Command, json_option
from bookbrain.cli.terminal import print_json, say
from bookbrain.messages import fill
from bookbrain.model import to_json
from bookbrain.privileges import become_service
from bookbrain.server.caddy import Machine


@click.command(cls=Command)
@json_option
@pass_machine
def backups(machine: Machine, as_json: bool) -> None:
    """List the backups, newest first."""
    found = list_backups(backup_folder(become_service(machine.layout), machine.layout))
    if as_json:
        print_json(to_json(found))
        return
    if not found:
        say("No backups yet. Make one: bookbrain-admin backup")
    for one in found:
        say(
            "{made:%Y-%m-%d %H:%M} UTC  {size:>9.1f} MB  {what}  {path}",
            made=one.made,
            size=one.size / 1e6,
            what=_what(one),
            path=one.path,
            fg=None if one.is_sound else "red",
        )


def _what(one: Backup) -> str:
    if not one.is_sound:
        return fill("damaged")
    if one.encrypted:
        return fill("encrypted")
    return (
        fill("books: {books}", books=one.books)
        if one.complete
        else fill("books: {books}, not all PDFs", books=one.books)
    )
