"""A commit: one small file that names the segments of an index, and how segments merge.

O'Neil et al., "The log-structured merge-tree", 1996; Lucene's merge policies do likewise. A posting
is moved once a tier, so a library's life costs n log n, and its segments are about 3 a tier.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bookbrain import paths
from bookbrain.files import PART, remove, write_file
from bookbrain.index.segment import (
    SEGMENT_DAMAGE,
    ArrayFile,
    Documents,
    Frequencies,
    Segment,
    SegmentBook,
    Terms,
    content_name,
    is_sound,
    manifest_name,
    new_segment,
    open_segment,
    segment_name,
    segments_of,
)
from bookbrain.model import TextId

FANOUT = 4
SMALLEST = 1 << 16  # postings: up to here all are of one size. About 320 pages.
LARGEST = 1 << 24  # from here a segment is left as it is: no add waits longer than for four such


def merge_plan(sizes: Sequence[int]) -> list[list[int]]:
    """Groups of segments to become one each, by their places in `sizes`; groups of one stay.

    The segments are taken as if they came one after another, so that to add them together or each
    for itself comes to the same.
    """
    groups: list[tuple[int, list[int]]] = []
    for place, size in enumerate(sizes):
        groups.append((size, [place]))
        while alike := _full_tier(groups):
            merged = [groups[n] for n in alike]
            groups = [group for n, group in enumerate(groups) if n not in alike]
            groups.append((sum(s for s, _ in merged), [p for _, g in merged for p in g]))
    return [group for _, group in groups]


def _full_tier(groups: Sequence[tuple[int, list[int]]]) -> list[int]:
    """The first segments of the lowest tier that has enough."""
    tiers: dict[int, list[int]] = {}
    for n, (size, _) in enumerate(groups):
        if size < LARGEST:
            tiers.setdefault(_tier(size), []).append(n)
    full = [tier for tier, members in tiers.items() if len(members) >= FANOUT]
    return tiers[min(full)] if full else []


def _tier(size: int) -> int:
    tier = 0
    while size >= SMALLEST * FANOUT**tier:
        tier += 1
    return tier


CHUNK = 1 << 21  # postings that are in memory at a time, about: some 60 MB
_Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """Those texts of a segment that shall be in the new one."""

    segment: Segment
    kept: Collection[TextId]

    @property
    def books(self) -> list[SegmentBook]:
        return [book for book in self.segment.books if book.text in self.kept]

    @property
    def is_whole(self) -> bool:
        return len(self.books) == len(self.segment.books)

    @property
    def postings(self) -> int:
        """How many there are in it, about, where books were left out."""
        kept = sum(book.documents for book in self.books)
        return len(self.segment.documents) * kept // max(len(self.segment.lengths), 1)


def merge(folder: Path, parts: Sequence[Part], chunk: int = CHUNK) -> str:
    """Write the segment of all the parts' books into `folder`, at once; its name.

    The books keep their order. Takes time in proportion to the postings and the vocabulary, and
    memory in proportion to the vocabulary and to `chunk`.
    """
    inputs, books = [], []
    first = 0
    for part in parts:
        renumbered, placed = _renumbering(part, first)
        inputs.append(_Input(part.segment, renumbered))
        books += placed
        first += sum(book.documents for book in placed)
    name = segment_name(book.text for book in books)
    lengths = np.concatenate([i.segment.lengths[i.renumbered >= 0] for i in inputs])
    same = np.concatenate([i.segment.signatures[i.renumbered >= 0] for i in inputs])

    if not (folder / name).exists():
        with new_segment(folder / name, books, lengths, same) as file:
            terms, counts = _write_postings(file, inputs, chunk)
            found = counts > 0  # the others stood in books that went out
            file.write("terms", terms[found])
            file.write("starts", np.append(0, np.cumsum(counts[found])))
    return name


@dataclass(frozen=True, slots=True)
class _Input:
    """A segment, and the new number of each of its documents: -1 for one that goes out."""

    segment: Segment
    renumbered: Documents


def _renumbering(part: Part, first: int) -> tuple[Documents, list[SegmentBook]]:
    """The new numbers from `first`, and the books where they then stand."""
    numbers = np.full(len(part.segment.lengths), -1, np.int32)
    placed = []
    for book in part.books:
        numbers[book.first : book.first + book.documents] = np.arange(first, first + book.documents)
        placed.append(SegmentBook(book.text, first, book.documents))
        first += book.documents
    return numbers, placed


def _write_postings(
    file: ArrayFile, inputs: Sequence[_Input], chunk: int
) -> tuple[Terms, _Numbers]:
    """Write documents and frequencies; all terms, ascending, and how many postings each has."""
    terms = _union([i.segment.terms for i in inputs])
    places = [np.searchsorted(terms, i.segment.terms).astype(np.int32) for i in inputs]
    counts = np.zeros(len(terms), np.int64)
    for i, place in zip(inputs, places, strict=True):
        counts[place] += np.diff(i.segment.starts)
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
        starts = i.segment.starts[low : high + 1]
        sizes = np.diff(starts)
        here = slice(int(starts[0]), int(starts[-1]))
        target = np.repeat(free[mine] - starts[:-1], sizes) + np.arange(here.start, here.stop)
        documents[target] = i.renumbered[i.segment.documents[here]]
        frequencies[target] = i.segment.frequencies[here]
        free[mine] += sizes
    return documents, frequencies


def texts_of(folder: Path, name: str) -> set[TextId]:
    """The texts in a commit; raises one of `SEGMENT_DAMAGE` when it is gone or not whole."""
    segments = [open_segment(folder / segment) for segment in segments_of(folder, name)]
    return {book.text for segment in segments for book in segment.books}


def write_commit(
    folder: Path, current: str | None, texts: Sequence[TextId], index: Callable[[TextId], None]
) -> str:
    """Write the commit of exactly these texts, from the segments of `current`; its name.

    `index` writes the segment of one book that has none: it is new, or its segment was damaged.
    """
    wanted = set(texts)
    parts = [
        part
        for segment in (_sound_segments(folder, current) if current else [])
        if (part := Part(segment, wanted)).books
    ]
    held = {book.text for part in parts for book in part.books}
    parts += [Part(_own_segment(folder, t, index), {t}) for t in texts if t not in held]
    names = []
    for group in merge_plan([part.postings for part in parts]):
        chosen = [parts[place] for place in group]
        if len(chosen) == 1 and chosen[0].is_whole:
            names.append(segment_name(book.text for book in chosen[0].books))
        else:
            names.append(merge(folder, chosen))
    name = content_name(["commit", *names])
    write_file(folder / manifest_name(name), json.dumps({"shards": names}).encode())
    return name


def drop_unnamed(
    folder: Path, current: str | None, known: Collection[TextId] | None = None
) -> None:
    """Remove every commit but `current`, and the segments that it does not name.

    With `known`, the segment of one text that is not in it stays, and unfinished ones: it is on
    its way.
    """
    named = {paths.STAMP_FILE, *([manifest_name(current)] if current else [])}
    if current:
        with suppress(*SEGMENT_DAMAGE):
            named.update(segments_of(folder, current))
    for path in folder.iterdir():
        if path.name not in named and (known is None or not _is_coming(path, known)):
            remove(path)


def drop_unsound(folder: Path, pages: Mapping[str, int]) -> None:
    """Remove the segments that anybody may have made, unless each is one of books that have so many
    `pages`, and every number in it is in its bounds."""
    for path in folder.iterdir():
        if not path.name.endswith(".json"):
            sound = False
            with suppress(*SEGMENT_DAMAGE):
                sound = is_sound(open_segment(path), pages)
            if not sound:
                remove(path)


def _is_coming(path: Path, known: Collection[TextId]) -> bool:
    """Whether it is, or is becoming, the segment of a text that is none of `known`."""
    if path.name.endswith(PART):
        return True
    with suppress(*SEGMENT_DAMAGE):
        books = open_segment(path).books
        return len(books) == 1 and books[0].text not in known
    return False


def _sound_segments(folder: Path, name: str) -> Iterator[Segment]:
    """The segments of a commit that can be used; the others go, for their names are reused."""
    with suppress(*SEGMENT_DAMAGE):
        for segment in segments_of(folder, name):
            try:
                yield open_segment(folder / segment)
            except SEGMENT_DAMAGE:
                remove(folder / segment)


def _own_segment(folder: Path, text: TextId, index: Callable[[TextId], None]) -> Segment:
    path = folder / segment_name([text])
    with suppress(*SEGMENT_DAMAGE):
        return open_segment(path)
    remove(path)
    index(text)
    return open_segment(path)
