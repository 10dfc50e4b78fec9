"""A shard: the postings of some books as plain arrays in a file that never changes.

Its name says what is in it: the same books in the same order are always the same shard.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from bookbrain.durable import new_file
from bookbrain.index.analyzer import ANALYZER_VERSION
from bookbrain.index.arrays import ArrayFile, map_arrays
from bookbrain.index.postings import Documents, Frequencies, Lengths, Segment, Terms
from bookbrain.index.signatures import HASHES, Signatures, signatures

# What a file gives that is not whole.
DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, OverflowError, RecursionError)
LAYOUT = 4  # of the arrays in the file
_CHUNK = 1 << 20  # postings that are looked at at a time


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
    same = signatures(segment.terms, segment.documents, len(segment.lengths))
    books = [ShardBook(book_id, 0, len(same))]
    with new_shard(folder / name, books, segment.lengths, same) as file:
        file.write("documents", segment.documents)
        file.write("frequencies", segment.frequencies)
        file.write("terms", terms)
        file.write("starts", np.append(starts, len(segment.terms)).astype(np.int64))
    return name


@contextmanager
def new_shard(
    path: Path, books: Sequence[ShardBook], lengths: Lengths, same: Signatures
) -> Iterator[ArrayFile]:
    """The file of a shard, where its postings and terms are still to be written.

    It is at `path`, whole, when the block ends well.
    """
    said = {
        "books": [[book.id, book.documents] for book in books],
        "full": int(np.count_nonzero(lengths)),
        "length": int(lengths.sum(dtype=np.int64)),
    }
    with new_file(path) as file:
        arrays = ArrayFile(file)
        arrays.write("lengths", lengths)
        arrays.write("signatures", same.ravel())
        yield arrays
        arrays.finish(said)


def open_shard(path: Path) -> Shard:
    """Map a shard's arrays; raises one of `DAMAGE` when it is not whole, or not of this layout."""
    file = map_arrays(path)
    shard = Shard(
        tuple(_placed(file.said["books"])),
        file.said["full"],
        file.said["length"],
        file.array("terms", np.uint64),
        file.array("starts", np.int64),
        file.array("documents", np.int32),
        file.array("frequencies", np.uint16),
        file.array("lengths", np.int32),
        file.array("signatures", np.uint8).reshape(-1, HASHES),
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


def is_sound(shard: Shard, pages: Mapping[str, int]) -> bool:
    """Whether every number in a shard is in its bounds; `pages` says how many each book has."""
    ascending = np.diff(shard.starts) > 0
    return (
        all(book.documents == pages.get(book.id) for book in shard.books)
        and int(shard.starts[0]) == 0
        and bool(ascending.all())
        and bool((shard.terms[1:] > shard.terms[:-1]).all())
        and bool((shard.lengths >= 0).all())
        and shard.full == np.count_nonzero(shard.lengths)
        and shard.length == shard.lengths.sum(dtype=np.int64)
        and all(_are_in_order(shard, first) for first in range(0, len(shard.documents), _CHUNK))
    )


def _are_in_order(shard: Shard, first: int) -> bool:
    """Whether the postings from `first` are of documents that there are, ascending in a term."""
    documents = shard.documents[first : first + _CHUNK + 1]  # one more: the step to the next chunk
    steps = np.diff(documents.astype(np.int64)) > 0
    begins = shard.starts[np.searchsorted(shard.starts, first, side="right") :] - first - 1
    steps[begins[begins < len(steps)]] = True  # of the next term
    return (
        bool(steps.all())
        and int(documents.min()) >= 0
        and int(documents.max()) < len(shard.lengths)
        and bool((shard.frequencies[first : first + _CHUNK] > 0).all())
    )
