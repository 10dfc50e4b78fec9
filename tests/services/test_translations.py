"""A Korean edition of an English book is one hit with it, where the model knows both languages."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from support import pdfs
from support.shelf import Shelf

from bookbrain.model import EmbeddingSpace, text_digest
from bookbrain.search.exam import exam
from bookbrain.store.catalog import Catalog
from bookbrain.store.embeddings import EmbeddingStore, Vector

pytestmark = pytest.mark.slow

TOPICS = ("mutex", "semaphore", "barrier", "spinlock")
KOREAN = {"mutex": "뮤텍스", "semaphore": "세마포어", "barrier": "장벽", "spinlock": "스핀락"}


def code(topic: str) -> str:
    return f"{topic}_init {topic}_wait {topic}_post {topic}_destroy errno EAGAIN 2008"


def english(topic: str) -> str:
    about = f"The {topic} is shared by two threads; one of them waits for the other one."
    return "\n".join([code(topic), *(f"{n}. {about}" for n in range(20))])


def korean(topic: str) -> str:
    about = f"두 스레드가 {KOREAN[topic]}를 함께 쓰고 하나가 다른 하나를 기다린다."
    return "\n".join([code(topic), *(f"{n}. {about}" for n in range(20))])


def teach_korean(shelf: Shelf) -> None:
    """From now on the model has the same vector for a Korean text and the English one of it."""
    space = EmbeddingSpace(
        "text-embedding-3-small", int(shelf.env["BOOKBRAIN_EMBEDDING_DIMENSIONS"])
    )
    path, paper = shelf.home / "embeddings.sqlite3", exam()
    ids = {book["file"]: book["id"] for book in shelf.books()}
    with (
        closing(EmbeddingStore(path)) as store,
        closing(Catalog(shelf.home / "catalog.sqlite3")) as catalog,
    ):

        def mean(digests: Sequence[str]) -> Vector:
            return np.mean([*store.get(space, digests).values()], axis=0, dtype=np.float32)

        taught = {
            text_digest(korean): mean([text_digest(english)]) + noise(korean, space.dimensions)
            for korean, english in zip(paper.across.questions, paper.english.questions, strict=True)
        }
        for passage in catalog.passages(ids["ko.pdf"]):
            there = [catalog.digests(ids["en.pdf"], span.page) for span in passage.spans]
            lengths = [span.end - span.start for span in passage.spans]
            taught[passage.digest] = np.average(
                [mean(digests) for digests in there], axis=0, weights=lengths
            ).astype(np.float32)
        with closing(sqlite3.connect(path)) as db, db:  # the store never replaces what it has
            for table in ("embedding", "checksum"):
                db.executemany(f"DELETE FROM {table} WHERE digest = ?", [(one,) for one in taught])
        store.put(space, taught)


def noise(text: str, dimensions: int) -> Vector:
    """A translation does not mean quite the same."""
    drawn = np.random.default_rng(list(text.encode())).normal(scale=0.04, size=dimensions)
    return drawn.astype(np.float32)


def test_a_korean_edition_is_with_the_english_book(shelf: Shelf, tmp_path: Path) -> None:
    pdfs.book(tmp_path / "en.pdf", [english(topic) for topic in TOPICS], title="Threads")
    pdfs.book(tmp_path / "ko.pdf", [korean(topic) for topic in TOPICS], title="스레드")
    shelf.add(tmp_path / "en.pdf", tmp_path / "ko.pdf")
    query = "semaphore_wait"
    apart = shelf.search(query)
    assert {("en.pdf", 2), ("ko.pdf", 2)} <= {(hit["file"], hit["page"]) for hit in apart["hits"]}

    teach_korean(shelf)
    shelf.run("rebuild")
    together = shelf.search(query)
    best = together["hits"][0]
    others = [(one["file"], one["page"]) for one in best["duplicates"]]
    assert {(best["file"], best["page"]), *others} == {("en.pdf", 2), ("ko.pdf", 2)}
    pages = [(hit["file"], hit["page"]) for hit in together["hits"]]
    assert len({page for _, page in pages}) == len(pages) == 4
    assert shelf.search(query, "--mode", "keyword")["hits"][0]["duplicates"] == []
