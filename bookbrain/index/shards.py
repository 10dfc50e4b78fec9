"""A shard: the postings of some books in a folder of plain arrays that never changes.

Its name says what is in it: the same books in the same order are always the same shard.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from bookbrain.durable import write_folder
from bookbrain.index.analyzer import ANALYZER_VERSION
from bookbrain.index.arrays import map_array, write_array
from bookbrain.index.postings import Documents, Frequencies, Lengths, Segment, Terms
from bookbrain.index.signatures import HASHES, Signatures, signatures

DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError)  # what a file that is not whole gives
LAYOUT = 3  # of the arrays in the folder
_BOOKS = "books.json"


@dataclass(frozen=True, slots=True)
class ShardBook:
    """A book in a shard; its pages are `documents` of the shard's, from `first`."""

    id: str
    first: int
    documents: int


@dataclass(frozen=True, slots=True)
class Shard:
    """An open shard. The postings of `terms[i]` are `documents[starts[i]:starts[i + 1]]`,
    ascending, and the same slice of `frequencies`; `lengths` and `signatures` have one entry a
    document.

    `full` documents have any term at all, and `length` is their length together.
    """

    books: tuple[ShardBook, ...]
    full: int
    length: int
    terms: Terms
    starts: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    documents: Documents
    frequencies: Frequencies
    lengths: Lengths
    signatures: Signatures


def shard_name(book_ids: Iterable[str]) -> str:
    """The name of the shard of these books in this order."""
    return content_name([f"shard {LAYOUT} {ANALYZER_VERSION}", *book_ids])


def content_name(lines: Sequence[str]) -> str:
    """24 hexadecimal digits that stand for the lines."""
    return sha256("\n".join(lines).encode()).hexdigest()[:24]


def write_shard(folder: Path, book_id: str, segment: Segment) -> str:
    """Write the shard of one book into `folder`, at once, unless it is there; its name."""
    name = shard_name([book_id])
    if (folder / name).exists():
        return name
    terms, starts = np.unique(segment.terms, return_index=True)

    def fill(target: Path) -> None:
        write_array(target / "terms.npy", terms)
        write_array(target / "starts.npy", np.append(starts, len(segment.terms)).astype(np.int64))
        write_array(target / "documents.npy", segment.documents)
        write_array(target / "frequencies.npy", segment.frequencies)
        same = signatures(segment.terms, segment.documents, len(segment.lengths))
        write_books(target, [ShardBook(book_id, 0, len(same))], segment.lengths, same)

    write_folder(folder / name, fill)
    return name


def write_books(
    target: Path, books: Sequence[ShardBook], lengths: Lengths, same: Signatures
) -> None:
    """Write what a shard says of its documents."""
    write_array(target / "lengths.npy", lengths)
    write_array(target / "signatures.npy", same.ravel())
    said = {
        "books": [[book.id, book.documents] for book in books],
        "full": int(np.count_nonzero(lengths)),
        "length": int(lengths.sum(dtype=np.int64)),
    }
    (target / _BOOKS).write_text(json.dumps(said))


def open_shard(path: Path) -> Shard:
    """Map a shard's arrays; raises one of `DAMAGE` when it is not whole, or not of this layout."""
    said = json.loads((path / _BOOKS).read_text())
    shard = Shard(
        tuple(_placed(said["books"])),
        said["full"],
        said["length"],
        map_array(path / "terms.npy", np.uint64),
        map_array(path / "starts.npy", np.int64),
        map_array(path / "documents.npy", np.int32),
        map_array(path / "frequencies.npy", np.uint16),
        map_array(path / "lengths.npy", np.int32),
        map_array(path / "signatures.npy", np.uint8).reshape(-1, HASHES),
    )
    if (
        path.name != shard_name(book.id for book in shard.books)
        or len(shard.starts) != len(shard.terms) + 1
        or len(shard.documents) != len(shard.frequencies)
        or int(shard.starts[-1]) != len(shard.documents)
        or sum(book.documents for book in shard.books) != len(shard.lengths)
        or len(shard.signatures) != len(shard.lengths)
    ):
        raise ValueError(f"{path.name} does not fit together")
    return shard


def _placed(books: Sequence[tuple[str, int]]) -> Iterator[ShardBook]:
    """The books of a shard, one after another."""
    first = 0
    for book_id, documents in books:
        yield ShardBook(book_id, first, documents)
        first += documents
