"""Shards become one, and books go out of one: each posting is moved once, none is sorted."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bookbrain.index.arrays import ArrayFile
from bookbrain.index.postings import Documents, Frequencies, Terms
from bookbrain.index.shards import Shard, ShardBook, new_shard, shard_name

CHUNK = 1 << 21  # postings that are in memory at a time, about: some 60 MB

_Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """Those books of a shard that shall be in the new one."""

    shard: Shard
    kept: Collection[str]

    @property
    def books(self) -> list[ShardBook]:
        return [book for book in self.shard.books if book.id in self.kept]

    @property
    def is_whole(self) -> bool:
        return len(self.books) == len(self.shard.books)

    @property
    def postings(self) -> int:
        """How many there are in it, about, where books were left out."""
        kept = sum(book.documents for book in self.books)
        return len(self.shard.documents) * kept // max(len(self.shard.lengths), 1)


def merge(folder: Path, parts: Sequence[Part], chunk: int = CHUNK) -> str:
    """Write the shard of all the parts' books into `folder`, at once; its name.

    The books keep their order. Takes time in proportion to the postings and the vocabulary, and
    memory in proportion to the vocabulary and to `chunk`.
    """
    inputs, books = [], []
    first = 0
    for part in parts:
        renumbered, placed = _renumbering(part, first)
        inputs.append(_Input(part.shard, renumbered))
        books += placed
        first += sum(book.documents for book in placed)
    name = shard_name(book.id for book in books)
    lengths = np.concatenate([i.shard.lengths[i.renumbered >= 0] for i in inputs])
    same = np.concatenate([i.shard.signatures[i.renumbered >= 0] for i in inputs])

    if not (folder / name).exists():
        with new_shard(folder / name, books, lengths, same) as file:
            terms, counts = _write_postings(file, inputs, chunk)
            found = counts > 0  # the others stood in books that went out
            file.write("terms", terms[found])
            file.write("starts", np.append(0, np.cumsum(counts[found])))
    return name


@dataclass(frozen=True, slots=True)
class _Input:
    """A shard, and the new number of each of its documents: -1 for one that goes out."""

    shard: Shard
    renumbered: Documents


def _renumbering(part: Part, first: int) -> tuple[Documents, list[ShardBook]]:
    """The new numbers from `first`, and the books where they then stand."""
    numbers = np.full(len(part.shard.lengths), -1, np.int32)
    placed = []
    for book in part.books:
        numbers[book.first : book.first + book.documents] = np.arange(first, first + book.documents)
        placed.append(ShardBook(book.id, first, book.documents))
        first += book.documents
    return numbers, placed


def _write_postings(
    file: ArrayFile, inputs: Sequence[_Input], chunk: int
) -> tuple[Terms, _Numbers]:
    """Write documents and frequencies; all terms, ascending, and how many postings each has."""
    terms = _union([i.shard.terms for i in inputs])
    places = [np.searchsorted(terms, i.shard.terms).astype(np.int32) for i in inputs]
    counts = np.zeros(len(terms), np.int64)
    for i, place in zip(inputs, places, strict=True):
        counts[place] += np.diff(i.shard.starts)
    most = int(counts.sum())
    file.make_room("documents", np.int32, most)
    file.make_room("frequencies", np.uint16, most)
    for start, end in _chunks(counts, chunk):
        merged, values = _merged(inputs, places, counts, start, end)
        kept = merged >= 0
        if not kept.all():
            bounds = np.append(0, np.cumsum(counts[start:end]))
            counts[start:end] = np.diff(np.append(0, np.cumsum(kept))[bounds])
            merged, values = merged[kept], values[kept]
        file.append("documents", merged)
        file.append("frequencies", values)
    return terms, counts


def _union(lists: Sequence[Terms]) -> Terms:
    """All terms of ascending lists, ascending, each once."""
    together = np.sort(np.concatenate(lists), kind="stable")  # which knows runs when it meets them
    first = np.append(True, together[1:] != together[:-1])[: len(together)]
    return np.asarray(together[first])


def _chunks(counts: _Numbers, chunk: int) -> Iterator[tuple[int, int]]:
    """Ranges of terms with about `chunk` postings each."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = int(ends[start - 1]) if start else 0
        end = max(int(np.searchsorted(ends, done + chunk, side="right")), start + 1)
        yield start, end
        start = end


def _merged(
    inputs: Sequence[_Input], places: Sequence[NDArray[np.int32]], counts: _Numbers,
    start: int, end: int,
) -> tuple[Documents, Frequencies]:  # fmt: skip
    """The postings of terms `start` to `end`, by term, and by input in a term."""
    bounds = np.append(0, np.cumsum(counts[start:end]))
    documents = np.empty(bounds[-1], np.int32)
    frequencies = np.empty(bounds[-1], np.uint16)
    free = bounds[:-1].copy()  # where the next posting of each term goes
    for i, place in zip(inputs, places, strict=True):
        low, high = np.searchsorted(place, [start, end])
        mine: NDArray[Any] = place[low:high] - start
        starts = i.shard.starts[low : high + 1]
        sizes = np.diff(starts)
        here = slice(int(starts[0]), int(starts[-1]))
        target = np.repeat(free[mine] - starts[:-1], sizes) + np.arange(here.start, here.stop)
        documents[target] = i.renumbered[i.shard.documents[here]]
        frequencies[target] = i.shard.frequencies[here]
        free[mine] += sizes
    return documents, frequencies
