"""A library of made-up books, made without reading a PDF, and what a check says of it damaged."""

import random
import shutil
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from support.flips import DATABASES, dump, flip, says_the_same

from bookbrain.formats.text import make_passages
from bookbrain.messages import fill
from bookbrain.model import Book, EmbeddingSpace, Heading, Page
from bookbrain.ocr.engine import RecognisedPage, Word
from bookbrain.settings import Settings
from bookbrain.store.catalog import NewBook
from bookbrain.store.damage import check_library
from bookbrain.store.folder import Stores
from bookbrain.store.recognised import Reading, UnreadPage

_WORDS = "the lock waits for the queue and the socket, 그리고 버퍼는 커널을 기다린다. "


def make_library(
    home: Path, *, books: int, pages: int, dimensions: int = 64, size: int = 60_000
) -> None:
    """Books of so many pages each, all passages embedded and all pages recognised, with files of
    `size` random bytes."""
    numbers, space = np.random.default_rng(1), EmbeddingSpace("모델", dimensions)
    with closing(Stores(Settings(home))) as stores:
        for book in range(books):
            data = b"%PDF-1.4\n" + numbers.bytes(size)
            book_id = sha256(data).hexdigest()
            stores.paths.book_file(book_id).write_bytes(data)
            made = [
                Page(n, str(n), "Ch", f"{book} {n} {_WORDS * 30}", (Heading(0, "1. 머리말"),))
                for n in range(1, pages + 1)
            ]
            passages = make_passages(made)
            vectors = numbers.standard_normal((len(passages), dimensions)).astype(np.float32)
            digests = (passage.digest for passage in passages)
            stores.embeddings.put(space, dict(zip(digests, vectors, strict=True)))
            for page in range(1, pages + 1):
                stores.embeddings.recognised.put(book_id, page, _ENGINE, _reading(page))
            row = Book(book_id, f"Title {book}", "a.pdf", pages, len(passages), _ADDED)
            new = NewBook(row, made, passages, str(space), {0: "too long"} if book else {})
            stores.catalog.add_book(new, "a" * 24, 1)
        stores.embeddings.set_own_dimensions("모델", dimensions)
        stores.keep_identity()


def _reading(page: int) -> Reading:
    if page == 1:
        return UnreadPage(fill("reading it takes longer than {seconds:g} seconds", seconds=60))
    words = [Word(f"{word}{page}", (n, n, n + 9, n + 9), 90.5, n) for n, word in enumerate("가나")]
    return RecognisedPage(tuple(words), (0.24, 0.0, 0.0, -0.24, 0.0, 792.0))


_ENGINE = "an engine 5; a model; 1.1"
_ADDED = "2026-11-23T04:00:00.000+00:00"


@dataclass
class Tally:
    """How often a check named the file with the changed byte, and no other; how often the byte was
    in free space; and the file and place of every other one."""

    named: int = 0
    free: int = 0
    missed: list[tuple[str, int]] = field(default_factory=list)


def try_flips(home: Path, scratch: Path, files: list[Path], count: int, seed: int) -> Tally:
    """Change one byte of one of the files, in a copy of the library, so many times."""
    bits, tally = random.Random(seed), Tally()
    before = {name: dump(home / name) for name in DATABASES}
    for _ in range(count):
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(home, scratch)
        name = str(bits.choice(files).relative_to(home))
        place = flip(scratch / name, bits)
        same = name in before and says_the_same(scratch / name, before[name])
        last = check_library(scratch).last
        found = {damage.file for damage in last.damage} if last else set()
        if found == {name}:
            tally.named += 1
        elif same and not found:
            tally.free += 1
        else:
            tally.missed.append((name, place))
    return tally
