"""Which library a file belongs to, and how far the library had come.

The catalog has the stamp that counts. Copies of it are beside the books, beside the keyword index
and in the embedding store: a catalog that is lost, of another library, or older than they are,
shows.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bookbrain.durable import write_file

FILE = "library.json"  # in `books` and in `keywords`


@dataclass(frozen=True, slots=True)
class Stamp:
    """`library` is its identity, in hex; `changes` counts those of its books, `books` them."""

    library: str
    changes: int
    books: int


def read_stamp_file(folder: Path) -> Stamp | None:
    """The stamp in `folder`; None where there is none that can be read."""
    try:
        values = json.loads((folder / FILE).read_bytes())
        library, changes, books = values["library"], values["changes"], values["books"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    if (type(library), type(changes), type(books)) != (str, int, int):
        return None
    return Stamp(library, changes, books)


def write_stamp_file(folder: Path, stamp: Stamp) -> None:
    """Put the stamp into `folder`, whole or not at all."""
    write_file(folder / FILE, json.dumps(asdict(stamp)).encode())
