"""Which library a file belongs to, and how far the library had come.

The catalog has the stamp that counts. Copies of it are beside the books, beside the keyword index
and in the embedding store: a catalog that is lost, of another library, or older than they are,
shows.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from bookbrain.durable import open_file, write_file

FILE = "library.json"  # in `books` and in `keywords`


@dataclass(frozen=True, slots=True)
class Stamp:
    """`library` is its identity, in hex; `changes` counts those of its books, `books` them."""

    library: str
    changes: int
    books: int


def read_stamp_file(folder: Path) -> Stamp | None:
    """The stamp in `folder`; None where there is none that is whole."""
    try:
        with open_file(folder / FILE) as file:
            values = json.loads(file.read())
        stamp = Stamp(values["library"], values["changes"], values["books"])
        whole = values["sha256"] == _seal(stamp)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return stamp if whole else None


def write_stamp_file(folder: Path, stamp: Stamp) -> None:
    """Put the stamp into `folder`, whole or not at all."""
    text = json.dumps({**asdict(stamp), "sha256": _seal(stamp)})
    write_file(folder / FILE, text.encode())


def _seal(stamp: Stamp) -> str:
    return sha256(json.dumps(asdict(stamp), sort_keys=True).encode()).hexdigest()
