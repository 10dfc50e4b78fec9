"""A database of the library is exchanged for one that was made anew, at one instant."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bookbrain.durable import PART, free_name, remove, sync_file, sync_folder
from bookbrain.errors import BusyError
from bookbrain.index.database import locked_database, remove_database
from bookbrain.wording import fill

_PATIENCE = 10.0  # seconds for whoever reads or writes


@contextmanager
def exchanged(path: Path) -> Iterator[tuple[Path, Path]]:
    """Where to make the new database, and where the old one will be kept. When the block ends well
    the new one has the name `path`; killed at any instant it is the old one or the new one.

    Nobody else writes to the old one meanwhile. Raises BusyError where somebody does all the time.
    """
    part, aside = path.with_name(path.name + PART), free_name(path, ".damaged")
    remove_database(part)
    with _nobody_writing(path):
        yield part, aside
        sync_file(part)
        if path.exists():
            os.link(path, aside)
        wal = Path(f"{path}-wal")
        if path.exists() and wal.exists() and wal.stat().st_size:  # SQLite could not open the file
            wal.replace(f"{aside}-wal")
        for end in ("-wal", "-shm"):  # what was in them is in the old file
            remove(Path(f"{path}{end}"))
        part.replace(path)
        sync_folder(path.parent)


@contextmanager
def _nobody_writing(path: Path) -> Iterator[None]:
    """With all that was written in the file itself. One that SQLite cannot open has no writers."""
    if not path.exists():
        yield
        return
    with locked_database(path, _PATIENCE) as settled:
        if not settled:
            raise BusyError(fill("{file} is being used.", file=path.name), "Run this again later.")
        yield
