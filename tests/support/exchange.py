"""Two names that change places without pause, as somebody may do who can write in a folder."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def exchange(one: Path, other: Path) -> None:
    """renameat2(2) with RENAME_EXCHANGE."""
    done = ctypes.CDLL(None).renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )
    assert done == 0


@contextmanager
def exchanging(one: Path, other: Path) -> Iterator[None]:
    """Exchange the two in another process until the block ends."""
    process = subprocess.Popen([sys.executable, __file__, str(one), str(other)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    names = [os.fsencode(name) for name in sys.argv[1:]]
    library = ctypes.CDLL(None)
    while True:  # also while one of them is away
        library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
