"""How long a shelf takes to be embedded by an endpoint that answers in 300 ms.

    PYTHONPATH=tests python tests/bench/embedding.py [--books 200] [--before TREE]

The books, of 100 pages each, are in the library already, without vectors. `--before` is a checkout
of an earlier release, which gets a copy of the library.
"""

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from support import pdfs
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

_SECONDS = 0.3  # the endpoint's
_PAGES = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--books", type=int, default=200)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier release")
    parser.add_argument("--add", action="store_true", help="time `add`, not `embed`")
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        books = folder / "books"
        books.mkdir()
        for seed in range(options.books):
            pdfs.long_book(books / f"{seed}.pdf", _PAGES, seed=seed)
        home = folder / "library"
        with Shelf(home) as shelf:
            if not options.add:
                shelf.finish(shelf.start("add", books))
        seconds = {"now": _embedding(home, folder / "now", books, options.add)}
        if options.before:
            path = str(options.before.resolve())
            seconds["before"] = _embedding(home, folder / "then", books, options.add, path)
            print(f"ratio {seconds['before'] / seconds['now']:.2f}")
    return 0


def _embedding(home: Path, copy: Path, books: Path, add: bool, code: str = "") -> float:
    """The seconds that all books take; the line of the release too."""
    if home.exists():
        shutil.copytree(home, copy)
    own = {"PYTHONPATH": code} if code else {}
    with OpenAIProcess() as openai, Shelf(copy, openai, **own) as shelf:
        del shelf.env["BOOKBRAIN_EMBEDDING_DIMENSIONS"]
        openai.fail("slow", seconds=_SECONDS, times=1_000_000)
        begun = monotonic()
        process = shelf.start("add", books) if add else shelf.start("embed", "--yes")
        _, complaint = process.communicate()
        seconds = monotonic() - begun
        if process.returncode:
            raise SystemExit(complaint)
        requests = len(openai.requests)
    print(f"{code or 'now'}: {seconds:.1f} s, {requests} requests", flush=True)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
