"""Pages a second of `bookbrain add` beside a peer: the same Debian books, in one run.

    PYTHONPATH=tests python tests/bench/ingest.py [--books 8] [--library]

`--library` takes a thousand books instead of some forty, and only Recoll beside us.
BookBrain reads, analyses and indexes by keyword into a library of its own. The peers, whichever are
installed: Recoll (`recollindex`, package recollcmd) reads and indexes as well; `pdftotext` (package
poppler-utils) only reads.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pypdfium2
from support.debian_books import LIBRARY, PACKAGES, fetch, needed

Peer = Callable[[Sequence[Path], Path], None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--books", type=int, default=0, help="only the largest so many (0: all)")
    parser.add_argument("--library", action="store_true", help="the library of a thousand books")
    options = parser.parse_args()
    with needed():
        books = [
            path for name in (LIBRARY if options.library else PACKAGES) for path in fetch(name)
        ]
    once = {sha256(path.read_bytes()).digest(): path for path in books}.values()
    books = sorted(once, key=lambda path: -path.stat().st_size)[: options.books or None]
    pages = sum(map(count_pages, books))
    print(f"{len(books)} books, {pages:,} pages")
    seconds = {"bookbrain add": measure(run_bookbrain, books)}
    for program, (name, peer) in PEERS.items():
        if options.library and program != "recollindex":
            continue
        if shutil.which(program):
            seconds[name] = measure(peer, books)
        else:
            print(f"{program} is not installed: left out")
    print_table(pages, seconds)
    return 0


def count_pages(path: Path) -> int:
    document = pypdfium2.PdfDocument(path)
    number = len(document)
    document.close()
    return number


def measure(run: Peer, books: Sequence[Path]) -> float:
    """Seconds from an empty folder to the end of the last process."""
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        run(books, Path(folder))
        return time.perf_counter() - started


def run_bookbrain(books: Sequence[Path], folder: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "BOOKBRAIN_"))}
    environment = clean | {"BOOKBRAIN_HOME": str(folder / "library")}
    command = [sys.executable, "-m", "bookbrain.cli"]
    with (folder / "report").open("w") as report:
        run([*command, "add", *map(str, books)], env=environment, stdout=report)
    listed = run([*command, "books", "--json"], env=environment, stdout=subprocess.PIPE)
    known = len(json.loads(listed))
    if known != len(books):
        raise SystemExit(f"bookbrain took {known} of {len(books)} books")


def run_pdftotext(books: Sequence[Path], folder: Path) -> None:
    for number, book in enumerate(books):
        run(["pdftotext", "-q", str(book), str(folder / f"{number}.txt")])


def run_recoll(books: Sequence[Path], folder: Path) -> None:
    shelf, settings = folder / "shelf", folder / "settings"
    shelf.mkdir()
    settings.mkdir()
    for number, book in enumerate(books):
        shutil.copy(book, shelf / f"{number}-{book.name}")
    (settings / "recoll.conf").write_text(f"topdirs = {shelf}\nloglevel = 2\n")
    run(["recollindex", "-c", str(settings)])


PEERS: dict[str, tuple[str, Peer]] = {
    "recollindex": ("recollindex", run_recoll),
    "pdftotext": ("pdftotext (only reads)", run_pdftotext),
}


def run(
    command: Sequence[str],
    env: dict[str, str] | None = None,
    stdout: object = subprocess.DEVNULL,
) -> bytes:
    done = subprocess.run(command, env=env, stdout=stdout, stderr=subprocess.PIPE, check=False)  # type: ignore[call-overload]
    if done.returncode:
        sys.stderr.buffer.write(done.stderr[-2000:])
        raise SystemExit(f"{command[0]} ended with {done.returncode}")
    return done.stdout or b""


def print_table(pages: int, seconds: dict[str, float]) -> None:
    ours = seconds["bookbrain add"]
    print(f"\n{'program':<24}{'seconds':>9}{'pages/s':>9}{'its time to ours':>18}")
    for name, taken in seconds.items():
        print(f"{name:<24}{taken:>9.1f}{pages / taken:>9.0f}{taken / ours:>17.2f}×")


if __name__ == "__main__":
    sys.exit(main())
