"""What a search and the picture of a page take while scans are read, beside the quiet time before.

    PYTHONPATH=tests python tests/bench/beside_ocr.py [--seconds 60]

A search by keyword and a picture in turn, ten a second, of `bookbrain serve` on five Debian books;
then it reads a scanned book by itself, with all its readers. Says how many pages that are, too.
"""

import argparse
import http.client
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter, sleep
from urllib.parse import urlencode

import pypdfium2 as pdfium
from support.app import App, serving
from support.debian_books import QUERIES, five_books, needed
from support.scans import TYPICAL, sample_pages, save_book, scan_page
from support.shelf import Shelf, wait_for

PAUSE = 0.1  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="of each of both times")
    options = parser.parse_args()
    with needed():
        books = five_books()
        pages = sample_pages()
    with TemporaryDirectory() as folder, Shelf(Path(folder) / "library") as shelf:
        shelf.add(*books)
        scans = [scan_page(pdfium.PdfDocument(path), number, TYPICAL) for path, number in pages]
        scanned = save_book(Path(folder) / "scanned.pdf", scans, TYPICAL)
        with serving(shelf) as app:
            compare(shelf, app, scanned, options.seconds)
    return 0


def compare(shelf: Shelf, app: App, scanned: Path, seconds: int) -> None:
    """Print a line for each time."""
    shown = [(book["id"], book["pages"]) for book in shelf.books()]
    chance = random.Random(1)  # one for all: a picture that was painted is kept
    visit(app, shown, 10, chance)
    quiet = visit(app, shown, seconds, chance)
    show("quiet", quiet, quiet)
    shelf.add(scanned)
    wait_for(lambda: read(shelf), "the first page", 300)
    before, begun = read(shelf), monotonic()
    show("reading", visit(app, shown, seconds, chance), quiet)
    assert shelf.processes("read-scans"), "it was done before the time was over"
    pages = read(shelf) - before
    print(f"pages read meanwhile: {pages}, {pages / (monotonic() - begun) * 60:.1f} a minute")


def read(shelf: Shelf) -> int:
    return sum(book["recognised"] for book in shelf.books())


def visit(
    app: App, shown: Sequence[tuple[str, int]], seconds: int, chance: random.Random
) -> dict[str, list[float]]:
    """The milliseconds of each search and of each picture."""
    until = monotonic() + seconds
    seen: dict[str, list[float]] = {"search": [], "picture": []}
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    while monotonic() < until:
        book, pages = chance.choice(shown)
        query = urlencode({"q": chance.choice(QUERIES), "mode": "keyword"})
        for name, path in (
            ("search", f"/api/search?{query}"),
            ("picture", f"/page/{book}/{chance.randint(1, pages)}.png"),
        ):
            begun = perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (path, answer.status)
            seen[name].append((perf_counter() - begun) * 1000)
            sleep(PAUSE)
    return seen


def show(name: str, seen: dict[str, list[float]], quiet: dict[str, list[float]]) -> None:
    for kind, times in seen.items():
        p50, p95 = (sorted(times)[int(share * len(times))] for share in (0.5, 0.95))
        before = sorted(quiet[kind])[int(0.95 * len(quiet[kind]))]
        print(
            f"{name:8} {kind:8} {len(times):4}, p50 {p50:6.1f} ms, p95 {p95:6.1f} ms, "
            f"{p95 / before:.2f} times the quiet p95"
        )


if __name__ == "__main__":
    raise SystemExit(main())
