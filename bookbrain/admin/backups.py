"""The commands `backup`, `backups`, `verify` and `restore`."""

import json
import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from bookbrain.admin.publishing import Machine
from bookbrain.backup.archive import Archive
from bookbrain.backup.encryption import decrypting
from bookbrain.backup.listing import Backup, backup_folder, list_backups
from bookbrain.backup.manifest import Manifest
from bookbrain.backup.packing import Request
from bookbrain.backup.restoring import Differences, differences, find_listed, restore
from bookbrain.backup.taking import Taken, take_backup
from bookbrain.backup.trust import trusting
from bookbrain.backup.verifying import verify
from bookbrain.cli.byte_progress import shown_bytes
from bookbrain.cli.errors import fail
from bookbrain.cli.help import Command
from bookbrain.cli.opening import take_settings
from bookbrain.cli.show import print_json, say, shown
from bookbrain.errors import BookBrainError, InputError
from bookbrain.logs import is_journal, log_work, set_up_logging
from bookbrain.server import Layout
from bookbrain.service_user import works_for_service
from bookbrain.wording import fill, message_of

_MOST_NAMED = 10  # books
_NICE = 10

_pass_machine = click.make_pass_decorator(Machine, ensure=True)
_file = click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True)
# Root opens it, in a folder of the service's user: a link there leads nowhere.
_archive = click.Path(exists=True, dir_okay=False, path_type=Path)
_identity = click.option(
    "--identity",
    type=_file,
    metavar="FILE",
    help="The file with your private key of age, for an encrypted backup.",
)


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
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_pass_machine
def backup(
    machine: Machine, no_books: bool, encrypt: bool, folder: Path | None, as_json: bool
) -> None:
    """Put the library into one file, while searches go on, and see that it is good.

    Then as many old backups are removed as BOOKBRAIN_BACKUP_KEEP says, and no good one before.
    """
    _work_quietly()
    secrets = _secrets(machine.layout) if encrypt else {}
    settings = take_settings(machine.layout)
    target = folder or backup_folder(settings, machine.layout)
    request = Request(target, not no_books, encrypt, secrets)
    with shown_bytes() as bar:
        taken = take_backup(settings, request, bar.bytes)
    if as_json:
        more = {"lost": taken.lost, "unsound": taken.unsound, "removed": taken.removed}
        print_json(_json(asdict(taken.backup) | more))
    else:
        _show_taken(taken)
    if taken.not_copied:
        fail(taken.not_copied)
    if taken.backup.damaged:
        fail(
            BookBrainError(
                fill(
                    "The library is damaged. {path} is kept for rescue only.",
                    path=taken.backup.path,
                ),
                "Restore the newest sound backup: `bookbrain-admin backups` lists them.",
            )
        )


def _show_taken(taken: Taken) -> None:
    made = taken.backup
    if not made.damaged:
        say(
            fill(
                "{path}: books {books}, {size:.1f} MB, read again and good.",
                path=made.path,
                books=made.books,
                size=made.size / 1e6,
            )
        )
    for what in taken.unsound:
        say(fill("Damaged: {what}", what=message_of(what)), fg="red", err=True)
    for name in taken.lost:
        say(
            fill("The file of a book is gone or damaged, and not in it: {file}", file=name),
            fg="red",
            err=True,
        )
    if taken.removed:
        say(fill("Older ones removed: {count}.", count=len(taken.removed)))


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@_pass_machine
def backups(machine: Machine, as_json: bool) -> None:
    """List the backups, newest first."""
    found = list_backups(backup_folder(take_settings(machine.layout), machine.layout))
    if as_json:
        print_json(_json([asdict(one) for one in found]))
        return
    if not found:
        say("No backups yet. Make one: bookbrain-admin backup")
    for one in found:
        say(
            fill(
                "{made:%Y-%m-%d %H:%M} UTC  {size:>9.1f} MB  {what}  {path}",
                made=one.made,
                size=one.size / 1e6,
                what=_what(one),
                path=one.path,
            ),
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


@click.command("verify", cls=Command)
@click.argument("file", type=_archive, required=False, metavar="[FILE]")
@_identity
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@_pass_machine
def verify_command(
    machine: Machine, file: Path | None, identity: Path | None, as_json: bool
) -> None:
    """Restore a backup, the newest one, into a scratch library and ask it; nothing is changed.

    Reads every byte, compares every checksum and count, and searches. Costs nothing.
    """
    _work_quietly()
    with ExitStack() as block:
        # What only root can read is opened before root's rights are given up.
        opened = block.enter_context(decrypting(file, identity)) if file else None
        settings = take_settings(machine.layout)
        if opened is None:
            file = _newest(backup_folder(settings, machine.layout))
            if file is None:
                return
            opened = block.enter_context(decrypting(file, None))
        with shown_bytes() as bar, trusting():
            verified = verify(settings, Archive(opened), bar.bytes, bar)
    books = len(verified.manifest.books)
    if as_json:
        print_json(_json({"file": str(file), "ok": True, "books": books, "asked": verified.asked}))
    else:
        say(
            fill(
                "{file} is good: books {books}, queries asked {asked}.",
                file=file,
                books=books,
                asked=verified.asked,
            )
        )


def _newest(folder: Path) -> Path | None:
    """The newest that can be read here; None, having said so, where all are encrypted."""
    found = [one for one in list_backups(folder) if one.is_sound]
    if not found:
        raise InputError("There is no sound backup.", "Make one: bookbrain-admin backup")
    if plain := [one for one in found if not one.encrypted]:
        return plain[0].path
    say(
        fill(
            "{path} is encrypted: try it where the key is, with verify FILE --identity KEY.",
            path=found[0].path,
        )
    )
    return None


@click.command("restore", cls=Command)
@click.argument("file", type=_archive)
@click.option("--book", metavar="ID", help="Only this book: its id or its file name.")
@_identity
@click.option("--yes", is_flag=True, help="Do not ask.")
@_pass_machine
def restore_command(
    machine: Machine, file: Path, book: str | None, identity: Path | None, yes: bool
) -> None:
    """Bring back the library of a backup, or one book of it; shows first what would change.

    The backup is proven before anything changes, and the library of now comes back by itself if the
    restored one does not work. Searches go on meanwhile. Costs nothing.
    """
    with decrypting(file, identity) as opened:
        settings = take_settings(machine.layout)
        with trusting():
            archive = Archive(opened)
        manifest = archive.manifest
        only = find_listed(manifest, book) if book else None
        _show_manifest(manifest, differences(settings, manifest, only))
        if not yes:
            click.confirm(shown("Restore it?"), abort=True)
        with shown_bytes() as bar:
            restored = restore(settings, archive, only, bar.bytes, bar)
    say(fill("Restored. Books now: {books}.", books=restored.books))
    for path in restored.aside:
        say(fill("The damaged database is kept, and can be deleted: {path}", path=path), err=True)
    for name in restored.without_file[:_MOST_NAMED]:
        say(
            fill("Found by search, but its PDF is not here; add it again: {file}", file=name),
            err=True,
        )


def _show_manifest(manifest: Manifest, change: Differences) -> None:
    made = f"{manifest.time:%Y-%m-%d %H:%M}"
    expected = manifest.expected
    say(
        fill(
            "Backup of {made} UTC, by BookBrain {version}",
            made=made,
            version=manifest.versions.get("bookbrain", "?"),
        )
    )
    say(
        fill(
            "books: {books}, pages: {pages}, passages: {passages}, embeddings: {embeddings}",
            books=expected.books,
            pages=expected.pages,
            passages=expected.passages,
            embeddings=manifest.embeddings,
        )
    )
    if not manifest.complete:
        say("Not all PDFs are in it.")
    for what in manifest.unsound:
        say(fill("Damaged when it was made: {what}", what=message_of(what)), fg="red", err=True)
    say(
        fill(
            "Books that come: {come}, that go: {go}, that stay: {stay}",
            come=len(change.come),
            go=len(change.go),
            stay=change.stay,
        )
    )
    for mark, titles in (
        ("+", [book.title for book in change.come]),
        ("-", [book.title for book in change.go]),
    ):
        for title in titles[:_MOST_NAMED]:
            say(fill("  {mark} {title}", mark=mark, title=title))
        if len(titles) > _MOST_NAMED:
            click.echo(f"  {mark} … {len(titles) - _MOST_NAMED}")


def _secrets(layout: Layout) -> dict[str, bytes]:
    """What only root can read of a server; nothing for others."""
    if not works_for_service(os.environ, layout):
        return {}
    paths = {"secrets/site.json": layout.etc / "site.json"}
    if layout.credentials.is_dir():
        paths |= {f"secrets/credentials/{p.name}": p for p in layout.credentials.iterdir()}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def _work_quietly() -> None:
    """Let searches go first; in a service, log what is done."""
    os.nice(_NICE)
    if is_journal(os.environ):
        set_up_logging()
        log_work()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
