"""When an archive is refused, and in which words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bookbrain.backup.manifest import Flaw, ListedBook, Manifest
from bookbrain.errors import OLDER_BACKUP, InputError
from bookbrain.library.replacing import look_into, newest_schemas
from bookbrain.wording import fill, message_of

_RESCUE = (
    "Choose an older backup. Of this one `--book ID` may still bring a book, and tar unpacks its "
    "PDFs."
)


@contextmanager
def trusting() -> Iterator[None]:
    """A flaw that shows in the block refuses the archive."""
    try:
        yield
    except Flaw as flaw:
        raise InputError(
            fill("This backup cannot be used: {flaw}.", flaw=flaw.what), OLDER_BACKUP
        ) from flaw


def check_versions(manifest: Manifest) -> None:
    """Raise InputError when a newer BookBrain made the databases."""
    known = newest_schemas()
    if any(number > known.get(name, 0) for name, number in manifest.schemas.items()):
        raise InputError(
            "This backup cannot be used: a newer BookBrain made it.", "Upgrade BookBrain."
        )


def compare(home: Path, manifest: Manifest, only: str | None = None) -> None:
    """Raise Flaw or InputError unless the databases in `home` are sound, and as the manifest says.

    With `only` that one book is looked for, and what is wrong with others does not matter.
    """
    held = look_into(home, only)
    if held.unsound and manifest.unsound:
        raise InputError(
            fill("This backup is of a damaged library: {what}.", what=message_of(held.unsound)),
            _RESCUE,
        )
    if held.unsound:
        raise Flaw(held.unsound)
    found = {ListedBook(b.id, b.title, b.file, b.pages, b.passages) for b in held.books}
    if found != {book for book in manifest.books if only in (None, book.id)}:
        raise Flaw("its books are not those of its manifest")
    if not only and (
        held.embeddings != manifest.embeddings or {*held.spaces} != {*manifest.spaces}
    ):
        raise Flaw("its counts are not those of its manifest")
