"""The card of a book: what only the catalog knows of it, kept beside its file.

Where the catalog is lost the files and their cards are what the library is made of again.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from bookbrain.durable import open_file, write_file
from bookbrain.index.catalog import Catalog

_NAME = re.compile(r"([0-9a-f]{64})\.(pdf|json)", re.ASCII)


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
    try:
        with open_file(card_file(books, book_id)) as file:
            values = json.loads(file.read())
        seal = values.pop("sha256")
        card = Card(**values)
        whole = seal == _seal(card) and card.id == book_id
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


def orphans(books: Path, known: Iterable[str]) -> list[str]:
    """The ids of the files in `books` that belong to no book of the catalog."""
    return sorted(stored_files(books) - set(known))


def _ids(books: Path, kind: str) -> set[str]:
    try:
        names = [path.name for path in books.iterdir()]
    except FileNotFoundError:
        return set()
    return {m[1] for name in names if (m := _NAME.fullmatch(name)) and m[2] == kind}


def _seal(card: Card) -> str:
    return sha256(json.dumps(asdict(card), sort_keys=True).encode()).hexdigest()
