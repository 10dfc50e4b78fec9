"""The golden set in tests/golden, and the very editions of the books that it was written over."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.debian_books import NoBooks, fetch

from bookbrain.search.evaluation import GoldenQuery, Place, load_golden

FOLDER = Path(__file__).parents[1] / "golden"
SETS = ("tuning", "held_out")
HARD = "hard"  # paraphrases that keywords seldom find
TYPED = "typed"  # command lines, messages and traces that stand in the books
HANDBOOK = "handbook.pdf"  # our own, in every wheel


@dataclass(frozen=True, slots=True)
class Entry:
    """A query as `bookbrain eval` reads it, its language ("ko", "en"), its first answer."""

    golden: GoldenQuery
    language: str
    main: Place


def entries(name: str) -> list[Entry]:
    """The queries of one of SETS, of HARD or of TYPED, in the order of the file."""
    path = FOLDER / f"{name}.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Entry(golden, line["lang"], (line["book"], line["pages"][0]))
        for golden, line in zip(load_golden(path), lines, strict=True)
    ]


def packages() -> dict[str, str]:
    """Of each Debian book that an answer names, the package."""
    return {book: package for book, (package, _) in _editions().items()}


def fetch_editions(books: Sequence[str]) -> list[Path]:
    """The files of these Debian books; raises NoBooks when one cannot be had.

    Another edition is as bad as none: its pages are not those that were read.
    """
    return [_fetch_edition(book) for book in books]


def _fetch_edition(book: str) -> Path:
    package, digest = _editions()[book]
    path = next((path for path in fetch(package) if path.name == book), None)
    if path is None:
        raise NoBooks(f"{package} has no {book} here")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise NoBooks(f"{book} of {package} is another edition here: the set is over Debian 12's")
    return path


def _editions() -> dict[str, tuple[str, str]]:
    """Book → its package and SHA-256."""
    found = {}
    for line in (FOLDER / "books.sha256").read_text(encoding="utf-8").splitlines():
        digest, name = line.split()
        package, book = name.split("/")
        found[book] = package, digest
    return found
