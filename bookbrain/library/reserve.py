"""Room that is kept on the library's disk, for the removal of a book when there is no other left.

Files and not one: where a disk has no more files, that many of SQLite's can be made.
"""

import os
from pathlib import Path

from bookbrain.durable import has_room, remove, write_file
from bookbrain.index.database import lacks_room

FOLDER = "reserve"  # in the library's folder

_FILES, _SIZE = 8, 1 << 18  # bytes of each: a removal writes some hundred kB


def keep(home: Path, beside: int = _FILES * _SIZE) -> None:
    """Have the room kept, where `beside` it so many bytes are free.

    It is of random bytes, which no disk makes small.
    """
    folder = home / FOLDER
    missing = [path for n in range(_FILES) if not _is_whole(path := folder / str(n))]
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for path in missing:
            if not has_room(home, _SIZE + beside):
                return
            write_file(path, os.urandom(_SIZE))
    except OSError as error:
        if not lacks_room(error):
            raise
        remove(folder)


def give_up(home: Path) -> None:
    """Let go of it where there is no other room. Only for the one writer, who needs it."""
    probe = home / f"{FOLDER}.part"
    try:
        write_file(probe, os.urandom(_FILES * _SIZE))
    except OSError as error:
        if not lacks_room(error):
            raise
        remove(home / FOLDER)
    finally:
        remove(probe)


def _is_whole(path: Path) -> bool:
    return path.exists() and path.stat().st_blocks * 512 >= _SIZE
