"""`bookbrain-admin restore`."""

from dataclasses import asdict
from pathlib import Path

import click

from bookbrain.admin.options import archive_path, identity_option, pass_machine
from bookbrain.backup.archive import Archive, Manifest
from bookbrain.backup.encryption import decrypting
from bookbrain.backup.restoration import Differences, differences, find_listed, restore, trusting
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import say, shown, shown_bytes
from bookbrain.messages import message_of
from bookbrain.privileges import become_service
from bookbrain.server.caddy import Machine

_MOST_NAMED = 10  # books


@click.command("restore", cls=Command)
@click.argument("file", type=archive_path)
@click.option("--book", metavar="ID", help="Only this book: its id or its file name.")
@identity_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_machine
def restore_command(
    machine: Machine, file: Path, book: str | None, identity: Path | None, yes: bool
) -> None:
    """Bring back the library of a backup, or one book of it; shows first what would change.

    The backup is proven before anything changes, and the library of now comes back by itself if the
    restored one does not work. Searches go on meanwhile. Costs nothing.
    """
    with decrypting(file, identity) as opened:
        settings = become_service(machine.layout)
        with trusting():
            archive = Archive(opened)
        manifest = archive.manifest
        only = find_listed(manifest, book) if book else None
        _show_manifest(manifest, differences(settings, manifest, only))
        if not yes:
            click.confirm(shown("Restore it?"), abort=True)
        with shown_bytes() as bar:
            restored = restore(settings, archive, only, bar.bytes, bar)
    say("Restored. Books now: {books}.", books=restored.books)
    for path in restored.aside:
        say("The damaged database is kept, and can be deleted: {path}", path=path, err=True)
    for name in restored.without_file[:_MOST_NAMED]:
        gone = "Found by search, but its PDF is not here; add it again: {file}"
        say(gone, file=name, err=True)


def _show_manifest(manifest: Manifest, change: Differences) -> None:
    made, version = f"{manifest.time:%Y-%m-%d %H:%M}", manifest.versions.get("bookbrain", "?")
    say("Backup of {made} UTC, by BookBrain {version}", made=made, version=version)
    say(
        "books: {books}, pages: {pages}, passages: {passages}, embeddings: {embeddings}",
        embeddings=manifest.embeddings,
        **asdict(manifest.expected),
    )
    if not manifest.complete:
        say("Not all PDFs are in it.")
    for what in manifest.unsound:
        say("Damaged when it was made: {what}", what=message_of(what), fg="red", err=True)
    say(
        "Books that come: {come}, that go: {go}, that stay: {stay}",
        come=len(change.come),
        go=len(change.go),
        stay=change.stay,
    )
    for mark, titles in (
        ("+", [book.title for book in change.come]),
        ("-", [book.title for book in change.go]),
    ):
        for title in titles[:_MOST_NAMED]:
            say("  {mark} {title}", mark=mark, title=title)
        if len(titles) > _MOST_NAMED:
            click.echo(f"  {mark} … {len(titles) - _MOST_NAMED}")
