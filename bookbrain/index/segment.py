"""A segment: the postings of some books, as plain arrays in a file that never changes.

The arrays come first, then a JSON object that says where each of them is, then its length.

MinHash (Broder, "On the resemblance and containment of documents", 1997), of each minimum the
lowest 8 bits (Li and König, "b-Bit Minwise Hashing", 2010).

A term is known by 64 bits of BLAKE2b: two of ten million terms share them with a chance of 3e-6.

Its name says what is in it: the same texts in the same order are always the same segment, and
another text of a book is in another one.
"""

import json
import mmap
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray
from rank_bm25 import BM25Plus

from bookbrain.files import new_file
from bookbrain.index.analyzer import ANALYZER_VERSION, is_word, page_terms
from bookbrain.model import Page, TextId

_ALIGNED = 64  # bytes: where an array may begin
_TAIL = 8  # bytes that say how long the object before them is


class ArrayFile:
    """Writes one-dimensional arrays into a new file.

    Raises OSError when the disk is full, as a mapped file would not: it would kill the process.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._places: dict[str, _Place] = {}
        self._end = 0

    def make_room(self, name: str, dtype: DTypeLike, most: int) -> None:
        """Begin an array of at most so many values; what stays free costs no disk space."""
        place = _Place(self._end, np.dtype(dtype))
        self._places[name] = place
        self._end += -(-most * place.dtype.itemsize // _ALIGNED) * _ALIGNED

    def append(self, name: str, values: NDArray[Any]) -> None:
        """Write the values behind those that are there."""
        place = self._places[name]
        self._file.seek(place.start + place.length * place.dtype.itemsize)
        self._file.write(np.ascontiguousarray(values, place.dtype).data)
        place.length += len(values)

    def write(self, name: str, values: NDArray[Any]) -> None:
        """Write a whole array."""
        self.make_room(name, values.dtype, len(values))
        self.append(name, values)

    def finish(self, said: Mapping[str, Any]) -> None:
        """Write what is said of the arrays."""
        places = {name: (p.start, p.dtype.str, p.length) for name, p in self._places.items()}
        footer = json.dumps({"arrays": places, **said}).encode()
        self._file.seek(self._end)
        self._file.write(footer + len(footer).to_bytes(_TAIL, "little"))


@dataclass(slots=True)
class _Place:
    """Where in a file an array is; `start` in bytes, `length` in values."""

    start: int
    dtype: np.dtype[Any]
    length: int = 0


@dataclass(frozen=True, slots=True)
class MappedArrays:
    """The arrays of a file, and what is said of them."""

    said: Mapping[str, Any]
    _mapped: mmap.mmap

    def array(self, name: str, dtype: DTypeLike) -> NDArray[Any]:
        """One of them; KeyError or ValueError when it is not there or of another type."""
        start, kind, length = self.said["arrays"][name]
        if np.dtype(kind) != np.dtype(dtype):
            raise ValueError(f"{name} is not what it should be")
        return np.frombuffer(self._mapped, dtype, length, start)


def map_arrays(path: Path) -> MappedArrays:
    """Open a file of arrays; OSError or ValueError when it is gone or cut off."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    end = len(mapped) - _TAIL
    start = end - int.from_bytes(mapped[max(end, 0) :], "little")
    if start < 0:
        raise ValueError(f"{path.name} is cut off")
    return MappedArrays(json.loads(mapped[start:end]), mapped)


HASHES = 32
_ALIKE = 26  # of the 32 equal: about four fifths of all their different terms are on both
Signatures = NDArray[np.uint8]  # one of 32, or a row for each document
_MULTIPLIERS = np.random.default_rng(2026).integers(1, 2**64, HASHES, np.uint64) | np.uint64(1)


def signatures(
    terms: NDArray[np.uint64], documents: NDArray[np.integer[Any]], count: int
) -> Signatures:
    """The signature of each of `count` documents from its distinct terms: (count, 32).

    `terms` and `documents` are parallel, in any order. A document without terms has zeros.
    """
    order = np.argsort(documents, kind="stable")
    present, first = np.unique(documents[order], return_index=True)
    terms = terms[order]
    found = np.zeros((count, HASHES), np.uint8)
    if len(first):
        for column, multiplier in enumerate(_MULTIPLIERS):
            smallest = np.minimum.reduceat(_mixed(terms, multiplier), first)
            found[present, column] = smallest.astype(np.uint8)
    return found


def are_alike(found: Signatures) -> NDArray[np.bool_]:
    """Which of some documents are nearly the same: (n, 32) gives (n, n).

    One without terms is like none.
    """
    same = np.count_nonzero(found[:, None] == found[None], axis=2) >= _ALIKE
    return np.asarray(same & found.any(axis=1))


def _mixed(terms: NDArray[np.uint64], multiplier: np.uint64) -> NDArray[np.uint64]:
    """Another order of the terms for each multiplier, whose lowest bits are as random as others."""
    product = terms * multiplier
    return product ^ (product >> np.uint64(32))


_KEY = np.dtype("<u8")  # how `_digest` is read as a number
MOST = int(np.iinfo(np.uint16).max)  # on one page: what is more says nothing more
Terms = NDArray[np.uint64]
Documents = NDArray[np.int32]
Frequencies = NDArray[np.uint16]
Lengths = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class PageCounts:
    """How often each term stands in each document, sorted by (term, document).

    `terms`, `documents` and `frequencies` have one entry a posting; `lengths` has one a document:
    its number of terms that are words, repetitions counted.
    """

    terms: Terms
    documents: Documents
    frequencies: Frequencies
    lengths: Lengths


def term_key(term: str) -> int:
    """The 64 bits that a term is known by."""
    return int.from_bytes(_digest(term), "little")


def count_pages(pages: Sequence[Page]) -> PageCounts:
    """Count what each page is found by."""
    return count_terms(page_terms(pages))


class _Counted(BM25Plus):  # type: ignore[misc]
    """The counts of BM25Plus without its weights: these change with every book."""

    def _calc_idf(self, nd: dict[str, int]) -> None:
        self.idf = nd


def count_terms(documents: Sequence[Sequence[str]]) -> PageCounts:
    """Count the terms of each document with rank_bm25."""
    if not any(documents):
        return PageCounts(
            np.empty(0, np.uint64), np.empty(0, np.int32), np.empty(0, np.uint16),
            np.zeros(len(documents), np.int32),
        )  # fmt: skip
    counted = _Counted([list(document) for document in documents])
    frequencies: list[dict[str, int]] = counted.doc_freqs
    places = {term: place for place, term in enumerate(counted.idf)}
    keys = np.frombuffer(b"".join(map(_digest, places)), _KEY).astype(np.uint64)
    is_counted = np.array([is_word(term) for term in places])
    of_terms = np.array([places[term] for counts in frequencies for term in counts], np.int64)
    numbers = np.repeat(np.arange(len(documents), dtype=np.int32), [len(c) for c in frequencies])
    values = np.array([n for counts in frequencies for n in counts.values()], np.int64)
    terms = keys[of_terms]
    order = np.lexsort((numbers, terms))
    lengths = np.bincount(numbers, values * is_counted[of_terms], len(documents)).astype(np.int32)
    times = np.minimum(values[order], MOST).astype(np.uint16)
    return PageCounts(terms[order], numbers[order], times, lengths)


def _digest(term: str) -> bytes:
    return blake2b(term.encode(), digest_size=8).digest()


# What a file gives that is not whole.
SEGMENT_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, OverflowError, RecursionError)
LAYOUT = 5  # of the arrays in the file
_CHUNK = 1 << 20  # postings that are looked at at a time


@dataclass(frozen=True, slots=True)
class SegmentBook:
    """A book in a segment; its pages are `documents` of the segment's, from `first`."""

    text: TextId
    first: int
    documents: int

    @property
    def id(self) -> str:
        return self.text.book


@dataclass(frozen=True, slots=True)
class Segment:
    """An open segment. The postings of `terms[i]` are `documents[starts[i]:starts[i + 1]]`,
    ascending, and the same slice of `frequencies`; `lengths` and `signatures` have one entry a
    document.

    `full` documents have any term at all, and `length` is their length together.
    """

    books: tuple[SegmentBook, ...]
    full: int
    length: int
    terms: Terms
    starts: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    documents: Documents
    frequencies: Frequencies
    lengths: Lengths
    signatures: Signatures


def segment_name(texts: Iterable[TextId]) -> str:
    """The name of the segment of these texts in this order."""
    return content_name([f"segment {LAYOUT} {ANALYZER_VERSION}", *map(" ".join, texts)])


def content_name(lines: Sequence[str]) -> str:
    """24 hexadecimal digits that stand for the lines."""
    return sha256("\n".join(lines).encode()).hexdigest()[:24]


_NAME = re.compile(r"[0-9a-f]{24}", re.ASCII)


def manifest_name(commit: str) -> str:
    """The file that is the commit: it names the segments of an index."""
    return f"{commit}.json"


def segments_of(folder: Path, commit: str) -> list[str]:
    """The segments that a commit names; raises one of `SEGMENT_DAMAGE` where it is damaged."""
    segments: list[str] = json.loads((folder / manifest_name(commit)).read_text())["shards"]
    if not all(_NAME.fullmatch(segment) for segment in segments):  # else it leads out of the folder
        raise ValueError(f"{commit} names what is no segment")
    return segments


def write_segment(folder: Path, text: TextId, counts: PageCounts) -> str:
    """Write the segment of one book into `folder`, at once, unless it is there; its name."""
    name = segment_name([text])
    if (folder / name).exists():
        return name
    terms, starts = np.unique(counts.terms, return_index=True)
    same = signatures(counts.terms, counts.documents, len(counts.lengths))
    books = [SegmentBook(text, 0, len(same))]
    with new_segment(folder / name, books, counts.lengths, same) as file:
        file.write("documents", counts.documents)
        file.write("frequencies", counts.frequencies)
        file.write("terms", terms)
        file.write("starts", np.append(starts, len(counts.terms)).astype(np.int64))
    return name


@contextmanager
def new_segment(
    path: Path, books: Sequence[SegmentBook], lengths: Lengths, same: Signatures
) -> Iterator[ArrayFile]:
    """The file of a segment, where its postings and terms are still to be written.

    It is at `path`, whole, when the block ends well.
    """
    said = {
        "books": [[*book.text, book.documents] for book in books],
        "full": int(np.count_nonzero(lengths)),
        "length": int(lengths.sum(dtype=np.int64)),
    }
    with new_file(path) as file:
        arrays = ArrayFile(file)
        arrays.write("lengths", lengths)
        arrays.write("signatures", same.ravel())
        yield arrays
        arrays.finish(said)


def open_segment(path: Path) -> Segment:
    """Map a segment's arrays; raises one of `SEGMENT_DAMAGE` where it cannot be used."""
    file = map_arrays(path)
    segment = Segment(
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
        path.name != segment_name(book.text for book in segment.books)
        or len(segment.starts) != len(segment.terms) + 1
        or len(segment.documents) != len(segment.frequencies)
        or int(segment.starts[-1]) != len(segment.documents)
        or sum(book.documents for book in segment.books) != len(segment.lengths)
        or len(segment.signatures) != len(segment.lengths)
    ):
        raise ValueError(f"{path.name} does not fit together")
    return segment


def _placed(books: Sequence[tuple[str, str, int]]) -> Iterator[SegmentBook]:
    """The books of a segment, one after another."""
    first = 0
    for book_id, revision, documents in books:
        yield SegmentBook(TextId(book_id, revision), first, documents)
        first += documents


def is_sound(segment: Segment, pages: Mapping[str, int]) -> bool:
    """Whether every number in a segment is in its bounds; `pages` says how many each book has."""
    ascending = np.diff(segment.starts) > 0
    return (
        all(book.documents == pages.get(book.id) for book in segment.books)
        and int(segment.starts[0]) == 0
        and bool(ascending.all())
        and bool((segment.terms[1:] > segment.terms[:-1]).all())
        and bool((segment.lengths >= 0).all())
        and segment.full == np.count_nonzero(segment.lengths)
        and segment.length == segment.lengths.sum(dtype=np.int64)
        and all(_are_in_order(segment, first) for first in range(0, len(segment.documents), _CHUNK))
    )


def _are_in_order(segment: Segment, first: int) -> bool:
    """Whether the postings from `first` are of documents that there are, ascending in a term."""
    documents = segment.documents[
        first : first + _CHUNK + 1
    ]  # one more: the step to the next chunk
    steps = np.diff(documents.astype(np.int64)) > 0
    begins = segment.starts[np.searchsorted(segment.starts, first, side="right") :] - first - 1
    steps[begins[begins < len(steps)]] = True  # of the next term
    return (
        bool(steps.all())
        and int(np.min(documents)) >= 0
        and int(np.max(documents)) < len(segment.lengths)
        and bool((segment.frequencies[first : first + _CHUNK] > 0).all())
    )
