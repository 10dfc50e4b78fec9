"""How long it takes to read pages on this machine: as long as the last ones took.

Until some were read it is guessed, from a page full of text and the cores that there are.
"""

import json
import os
from contextlib import suppress
from pathlib import Path

from bookbrain.files import write_file
from bookbrain.paths import LibraryPaths

_SECONDS = 6.0  # of a core's time, for a full page
_LONGEST = 3600.0  # seconds a page; longer, and the machine slept


def readers() -> int:
    """How many pages are read at a time: a core is left to others, where there are several."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def seconds_for(pages: int, home: Path) -> int:
    """About how long reading so many pages takes for the library in `home`."""
    pace = _SECONDS / readers()
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        kept = float(json.loads(LibraryPaths(home).ocr_pace.read_bytes())["seconds"])
        if 0 < kept < _LONGEST:
            pace = kept
    return round(pages * pace)


def keep_pace(home: Path, seconds: float, pages: int) -> None:
    """Note how long the last pages took. It is only an estimate: without room it is left out."""
    text = json.dumps({"seconds": round(seconds / pages, 2)})
    with suppress(OSError):
        write_file(LibraryPaths(home).ocr_pace, text.encode())
