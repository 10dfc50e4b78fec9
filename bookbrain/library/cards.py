"""The card of a book: what only the catalog knows of it, kept beside its file.

Where the catalog is lost the files and their cards are what the library is made of again.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from bookbrain.durable import open_file, write_file
from bookbrain.index.catalog import Catalog
from bookbrain.index.soundness import LONGEST_NAME
from bookbrain.index.stamps import FILE as STAMP

_NAME = re.compile(r"([0-9a-f]{64})\.(pdf|json)", re.ASCII)
_MOST_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class Card:
    """Of the book `id`; the other fields as in `Book`. `refused` has the passages that a space
    refused to embed: reasons by ordinal, by space."""

    id: str
    title: str
    file: str
    added_at: str
    refused: dict[str, dict[str, str]] = field(default_factory=dict)


def card_file(books: Path, book_id: str) -> Path:
    return books / f"{book_id}.json"


def read_card(books: Path, book_id: str) -> Card | None:
    """The card of a book in the folder `books`; None where there is none that is whole."""
    path = card_file(books, book_id)
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        with open_file(path) as file:
            values = json.loads(file.read())
        seal = values.pop("sha256")
        card = Card(**values)
        whole = seal == _seal(card) and card.id == book_id and _is_sound(card)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return card if whole else None


def write_cards(books: Path, catalog: Catalog, book_id: str | None = None) -> None:
    """Have the cards of all books of the catalog, or of one, in the folder `books` as they are."""
    refused = catalog.refused()
    for row in catalog.card_rows(book_id):
        of_book = {
            space: {str(ordinal): reason for ordinal, reason in reasons.items()}
            for space, reasons in refused.get(row[0], {}).items()
        }
        card = Card(*row, of_book)
        if read_card(books, card.id) != card:
            text = json.dumps({**asdict(card), "sha256": _seal(card)}, indent=1)
            write_file(card_file(books, card.id), text.encode())


def stored_files(books: Path) -> set[str]:
    """The ids of the books whose file is in the folder `books`."""
    return _ids(books, "pdf")


def stored_cards(books: Path) -> set[str]:
    """The ids of the books whose card is in the folder `books`."""
    return _ids(books, "json")


def is_of_books(name: str) -> bool:
    """Whether a file of this name in `books` is ours: a book, a card or the stamp."""
    return name == STAMP or bool(_NAME.fullmatch(name))


def orphans(books: Path, known: Iterable[str]) -> list[str]:
    """The ids of the files in `books` that belong to no book of the catalog."""
    return sorted(stored_files(books) - set(known))


def _ids(books: Path, kind: str) -> set[str]:
    try:
        names = [path.name for path in books.iterdir() if path.is_file()]
    except FileNotFoundError:
        return set()
    return {m[1] for name in names if (m := _NAME.fullmatch(name)) and m[2] == kind}


def _is_sound(card: Card) -> bool:
    """Whether it has what a catalog can take; raises as a wrong type does."""
    names = (card.title, card.file, card.added_at)
    reasons = [r for of_space in card.refused.values() for r in of_space.items()]
    return (
        all(type(name) is str and len(name) <= LONGEST_NAME for name in names)
        and datetime.fromisoformat(card.added_at).tzinfo is not None
        and all(ordinal.isdecimal() and type(reason) is str for ordinal, reason in reasons)
    )


def _seal(card: Card) -> str:
    return sha256(json.dumps(asdict(card), sort_keys=True).encode()).hexdigest()
