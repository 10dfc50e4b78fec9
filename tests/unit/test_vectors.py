"""What of the vectors needs no server."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from chromadb.api.shared_system_client import SharedSystemClient

from bookbrain.errors import UnavailableError
from bookbrain.model import Book, EmbeddingSpace, Page, Passage, Span, TextId
from bookbrain.paths import STORE
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.settings import ChromaSettings, Settings
from bookbrain.store.catalog import NewBook
from bookbrain.store.embeddings import cosine, is_sound, vector_of
from bookbrain.store.rows import revision_of
from bookbrain.store.vectors import Vectors


def _vectors(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [(n + 1) * random.standard_normal(96).astype(np.float32) for n in range(count)]


def test_cosine_is_of_the_directions_only() -> None:
    query, *vectors = _vectors(9)
    rows, q = np.stack(vectors).astype(float), query.astype(float)
    expected = rows @ q / np.linalg.norm(rows, axis=1) / np.linalg.norm(q)
    assert cosine(query, vectors) == pytest.approx(expected, abs=1e-6)
    assert cosine(query, [query, -3 * query]) == pytest.approx([1, -1])
    assert cosine(query, []) == []


def test_a_score_does_not_depend_on_what_else_is_compared() -> None:
    query, *vectors = _vectors(200)
    together = cosine(query, vectors)
    assert together == [cosine(query, [vector])[0] for vector in vectors]
    assert together[::-1] == cosine(query, vectors[::-1])


@pytest.mark.parametrize(
    "values",
    [
        None, "0.5", {}, [], 0.5, [[0.5, 0.5]], ["0.5", "0.5"], [True, False], [0.5, None],
        [10**400, 1], [[], 1],
    ],
)  # fmt: skip
def test_what_is_no_flat_list_of_numbers_is_no_vector(values: object) -> None:
    assert vector_of(values) is None


@pytest.mark.parametrize(
    "value", [0, 0.0, 1e-45, 3e38, 1e308, float("nan"), float("inf"), float("-inf")]
)
def test_a_vector_without_a_cosine_is_not_sound(value: float) -> None:
    vector = vector_of([value] * 64)
    assert vector is not None
    assert not is_sound(vector)


@pytest.mark.parametrize("value", [1e-6, 0.02, 1, 300])
def test_a_vector_need_not_have_the_length_of_one(value: float) -> None:
    vector = vector_of([value, -value] * 500)
    assert vector is not None
    assert is_sound(vector)
    assert cosine(vector, [vector]) == [pytest.approx(1, abs=1e-5)]


def test_vectors_that_an_old_release_kept_break_no_search(tmp_path: Path) -> None:
    space = EmbeddingSpace("m", 4)
    kept = {
        "sound": [1, 0, 0, 0], "nan": [np.nan, 0, 0, 0], "huge": [3e38] * 4, "tiny": [1e-45] * 4,
        "infinite": [np.inf, 0, 0, 0], "short": [1, 0], "also sound": [1, 1, 0, 0],
    }  # fmt: skip
    passages = [Passage(n, (Span(1, 0, 9),), text) for n, text in enumerate(kept)]
    stores = ConnectedStores(Settings(home=tmp_path / "library"))
    vectors = {p.digest: np.array(kept[p.text], np.float32) for p in passages}
    stores.embeddings.put(space, vectors)
    with closing(sqlite3.connect(tmp_path / "library" / STORE, isolation_level=None)) as db:
        torn = passages[-1].digest
        db.execute("UPDATE embedding SET vector = x'00' WHERE digest = ?", (torn,))
    pages = [Page(1, "1", "", "Nine signs")]
    stores.index_text(TextId("b", revision_of(pages)), pages)
    book = Book("b", "B", "b.pdf", 1, len(passages), "")
    stores.catalog.add_book(NewBook(book, pages, passages, str(space)), "", 0)
    query = np.array([1, 0, 0, 0], np.float32)
    found = stores.semantics.nearest(space, query, 10, ["b"])
    assert [(p.digest, score) for p, score in found] == [(passages[0].digest, 1.0)]
    assert stores.semantics.mean_vector(space, list(vectors)).tolist() == [1, 0, 0, 0]
    stores.close()


def test_nothing_stays_of_a_client_that_could_not_be_made() -> None:
    kept = SharedSystemClient._identifier_to_system, SharedSystemClient._identifier_to_refcount
    before = [*map(len, kept)]
    vectors = Vectors(ChromaSettings(url="http://127.0.0.1:9"), EmbeddingSpace("m", 4))
    for _ in range(3):
        with pytest.raises(UnavailableError):
            vectors.count()
    assert [*map(len, kept)] == before
