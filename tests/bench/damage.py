"""How fast a library is checked, and how many of 400 single flipped bytes are named.

PYTHONPATH=tests python tests/bench/damage.py [BOOKS [FLIPS]]
"""

import sys
import tempfile
import time
from pathlib import Path

from support.damaged import make_library, try_flips
from support.flips import DATABASES

from bookbrain.store.damage import check_library


def main(books: int = 1000, flips: int = 400) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "small"
        make_library(home, books=12, pages=24)
        files = [*(home / "books").glob("*.pdf"), *[home / name for name in DATABASES] * 6]
        tally = try_flips(home, Path(folder) / "copy", files, flips, seed=7)
        print(f"named right: {tally.named} of {flips}, free space: {tally.free}")
        print(f"missed: {tally.missed}")
        home = Path(folder) / "large"
        make_library(home, books=books, pages=30, dimensions=1536, size=500_000)
        size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        began = time.perf_counter()
        state = check_library(home)
        seconds = time.perf_counter() - began
        assert state.last
        assert not state.last.damage
        print(
            f"books {books}, {size / 1e6:.0f} MB: {seconds:.1f} s, {size / 1e6 / seconds:.0f} MB/s"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
