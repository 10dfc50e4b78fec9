"""`bookbrain-admin backup`."""

import os
from dataclasses import asdict
from pathlib import Path

import click

from bookbrain.admin.options import json_object_option, pass_machine, work_quietly
from bookbrain.backup.archives import backup_folder
from bookbrain.backup.contents import Request
from bookbrain.backup.creation import NewBackup, take_backup
from bookbrain.cli.command import Command, fail
from bookbrain.cli.terminal import print_json, say, shown_bytes
from bookbrain.errors import BookBrainError
from bookbrain.messages import fill, message_of
from bookbrain.model import to_json
from bookbrain.paths import Layout
from bookbrain.privileges import become_service, works_for_service
from bookbrain.server.caddy import Machine


@click.command(cls=Command)
@click.option("--no-books", is_flag=True, help="Leave the PDFs out: you have them elsewhere.")
@click.option(
    "--encrypt",
    is_flag=True,
    help="Encrypt it to BOOKBRAIN_BACKUP_RECIPIENT, and put the secrets of the server in.",
)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
    metavar="FOLDER",
    help="Put it here instead.",
)
@json_object_option
@pass_machine
def backup(
    machine: Machine, no_books: bool, encrypt: bool, folder: Path | None, as_json: bool
) -> None:
    """Put the library into one file, while searches go on, and see that it is good.

    Then as many old backups are removed as BOOKBRAIN_BACKUP_KEEP says, and no good one before.
    """
    work_quietly()
    secrets = server_secrets(machine.layout) if encrypt else {}
    settings = become_service(machine.layout)
    target = folder or backup_folder(settings, machine.layout)
    request = Request(target, not no_books, encrypt, secrets)
    with shown_bytes() as bar:
        taken = take_backup(settings, request, bar.bytes)
    if as_json:
        more = {"lost": taken.lost, "unsound": taken.unsound, "removed": taken.removed}
        print_json(to_json(asdict(taken.backup) | more))
    else:
        _show_taken(taken)
    if taken.not_copied:
        fail(taken.not_copied)
    if taken.backup.damaged:
        seen = fill(
            "The library is damaged. {path} is kept for rescue only.", path=taken.backup.path
        )
        hint = "Restore the newest sound backup: `bookbrain-admin backups` lists them."
        fail(BookBrainError(seen, hint))


def _show_taken(taken: NewBackup) -> None:
    made = taken.backup
    if not made.damaged:
        good = "{path}: books {books}, {size:.1f} MB, read again and good."
        say(good, path=made.path, books=made.books, size=made.size / 1e6)
    for what in taken.unsound:
        say("Damaged: {what}", what=message_of(what), fg="red", err=True)
    for name in taken.lost:
        gone = "The file of a book is gone or damaged, and not in it: {file}"
        say(gone, file=name, fg="red", err=True)
    if taken.removed:
        say("Older ones removed: {count}.", count=len(taken.removed))


def server_secrets(layout: Layout) -> dict[str, bytes]:
    """What only root can read of a server; nothing for others."""
    if not works_for_service(os.environ, layout):
        return {}
    paths = {"secrets/site.json": layout.site}
    if layout.credentials.is_dir():
        paths |= {f"secrets/credentials/{p.name}": p for p in layout.credentials.iterdir()}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
