"""`bookbrain-admin verify`."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from bookbrain.admin.options import (
    archive_path,
    identity_option,
    json_object_option,
    pass_machine,
    work_quietly,
)
from bookbrain.backup.archive import Archive
from bookbrain.backup.archives import backup_folder, list_backups
from bookbrain.backup.encryption import decrypting
from bookbrain.backup.restoration import trusting, verify
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import print_json, say, shown_bytes
from bookbrain.errors import InputError
from bookbrain.model import to_json
from bookbrain.privileges import become_service
from bookbrain.server.caddy import Machine


@click.command("verify", cls=Command)
@click.argument("file", type=archive_path, required=False, metavar="[FILE]")
@identity_option
@json_object_option
@pass_machine
def verify_command(
    machine: Machine, file: Path | None, identity: Path | None, as_json: bool
) -> None:
    """Restore a backup, the newest one, into a scratch library and ask it; nothing is changed.

    Reads every byte, compares every checksum and count, and searches. Costs nothing.
    """
    work_quietly()
    with ExitStack() as block:
        # What only root can read is opened before root's rights are given up.
        opened = block.enter_context(decrypting(file, identity)) if file else None
        settings = become_service(machine.layout)
        if opened is None:
            file = _newest(backup_folder(settings, machine.layout))
            if file is None:
                return
            opened = block.enter_context(decrypting(file, None))
        with shown_bytes() as bar, trusting():
            archive = Archive(opened)
            asked = verify(settings, archive, bar.bytes, bar)
    books = len(archive.manifest.books)
    seen: dict[str, Any] = {"file": file, "ok": True, "books": books, "asked": asked}
    if as_json:
        print_json(to_json(seen))
    else:
        say("{file} is good: books {books}, queries asked {asked}.", **seen)


def _newest(folder: Path) -> Path | None:
    """The newest that can be read here; None, having said so, where all are encrypted."""
    found = [one for one in list_backups(folder) if one.is_sound]
    if not found:
        raise InputError("There is no sound backup.", "Make one: bookbrain-admin backup")
    if plain := [one for one in found if not one.encrypted]:
        return plain[0].path
    say(
        "{path} is encrypted: try it where the key is, with verify FILE --identity KEY.",
        path=found[0].path,
    )
    return None
