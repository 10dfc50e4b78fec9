"""When an archive is refused, and in which words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bookbrain.backup.manifest import Flaw, Manifest
from bookbrain.errors import InputError
from bookbrain.library.replacing import check_copies, newest_schemas

_ANOTHER = "Take another one: `bookbrain-admin backups` lists them."


@contextmanager
def trusting() -> Iterator[None]:
    """A flaw that shows in the block refuses the archive."""
    try:
        yield
    except Flaw as flaw:
        raise InputError(f"This backup cannot be used: {flaw}.", _ANOTHER) from flaw


def check_versions(manifest: Manifest) -> None:
    """Raise InputError when a newer BookBrain made the databases."""
    known = newest_schemas()
    if any(number > known.get(name, 0) for name, number in manifest.schemas.items()):
        raise InputError(
            "This backup cannot be used: a newer BookBrain made it.", "Upgrade BookBrain."
        )


def compare(home: Path, manifest: Manifest) -> None:
    """Raise InputError, or Flaw, unless the databases in `home` are what the manifest says."""
    found, embeddings = check_copies(home)
    if found != manifest.expected or embeddings != manifest.embeddings:
        raise Flaw("its counts are not those of its manifest")
