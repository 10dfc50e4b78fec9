"""The embedding store on a real file: what was paid for comes back bit by bit."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from bookbrain.model import EmbeddingSpace
from bookbrain.store.embeddings import EmbeddingStore

SPACE = EmbeddingSpace("text-embedding-3-small", 8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "embeddings.sqlite3"


@pytest.fixture
def store(file: Path) -> Iterator[EmbeddingStore]:
    opened = EmbeddingStore(file)
    yield opened
    opened.close()


def _vectors(count: int, seed: int = 0, size: int = 8) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {f"digest-{n}": random.standard_normal(size).astype(np.float32) for n in range(count)}


def test_vectors_come_back_bit_by_bit(store: EmbeddingStore, file: Path) -> None:
    vectors = _vectors(3)
    store.put(SPACE, vectors)
    with closing(EmbeddingStore(file)) as again:
        found = again.get(SPACE, vectors)
    assert found.keys() == vectors.keys()
    for digest, vector in found.items():
        assert vector.dtype == np.float32
        assert vector.shape == (8,)
        assert vector.tobytes() == vectors[digest].tobytes()


@pytest.mark.parametrize("dtype", ["<f8", ">f4", ">f8", "<f2"])
def test_whatever_comes_is_kept_as_float32(store: EmbeddingStore, file: Path, dtype: str) -> None:
    vector = np.array([0.1, -2.5, 1e-4, 0, 1, 2, 3, 4], dtype)
    store.put(SPACE, {"d": vector})
    (found,) = store.get(SPACE, ["d"]).values()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vector.astype(np.float32))
    connection = sqlite3.connect(file)
    ((blob,),) = connection.execute("SELECT vector FROM embedding").fetchall()
    connection.close()
    assert blob == vector.astype("<f4").tobytes(), "little-endian on every machine"


def test_get_is_what_there_is_and_missing_the_rest(store: EmbeddingStore) -> None:
    store.put(SPACE, _vectors(2))
    asked = ["x", "digest-1", "a", "x", "digest-0", "digest-1"]
    assert store.get(SPACE, asked).keys() == {"digest-0", "digest-1"}
    assert store.missing(SPACE, asked) == ["x", "a"], "in the order asked, each once"
    assert store.missing(SPACE, []) == []
    assert store.get(SPACE, []) == {}


@pytest.mark.parametrize("count", [500, 501, 1700])
def test_more_than_one_statement_can_ask_for(store: EmbeddingStore, count: int) -> None:
    vectors = _vectors(count)
    kept = {digest: vector for n, (digest, vector) in enumerate(vectors.items()) if n % 7}
    store.put(SPACE, kept)
    found = store.get(SPACE, iter(vectors))
    assert found.keys() == kept.keys()
    assert all(found[digest].tobytes() == vector.tobytes() for digest, vector in kept.items())
    assert store.missing(SPACE, iter(vectors)) == [f"digest-{n}" for n in range(0, count, 7)]


def test_more_than_sqlite_takes_in_one_statement(store: EmbeddingStore) -> None:
    connection = sqlite3.connect(":memory:")
    limit = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    connection.close()
    store.put(SPACE, _vectors(1))
    assert len(store.missing(SPACE, (f"digest-{n}" for n in range(limit + 1)))) == limit


@pytest.mark.parametrize(
    "other", [EmbeddingSpace(SPACE.model, 9), EmbeddingSpace("text-embedding-3-large", 8)]
)
def test_spaces_do_not_mix(store: EmbeddingStore, other: EmbeddingSpace) -> None:
    one, two = _vectors(2, seed=1), _vectors(1, seed=2, size=other.dimensions)
    store.put(SPACE, one)
    assert store.missing(other, one) == list(one)
    assert store.get(other, one) == {}
    store.put(other, two)
    assert store.missing(other, one) == ["digest-1"]
    assert store.get(other, one)["digest-0"].tobytes() == two["digest-0"].tobytes()
    assert store.get(SPACE, one)["digest-0"].tobytes() == one["digest-0"].tobytes()


def test_the_first_answer_for_a_text_stays(store: EmbeddingStore) -> None:
    first, second = _vectors(2, seed=1), _vectors(3, seed=2)
    store.put(SPACE, first)
    store.put(SPACE, second)
    found = store.get(SPACE, second)
    for digest, vector in (second | first).items():
        assert found[digest].tobytes() == vector.tobytes()


def test_put_is_all_or_none(store: EmbeddingStore) -> None:
    vectors = _vectors(3)
    with pytest.raises(AttributeError):
        store.put(SPACE, vectors | {"broken": None})  # type: ignore[dict-item]
    assert store.missing(SPACE, vectors) == list(vectors)
    store.put(SPACE, vectors)
    assert store.missing(SPACE, vectors) == []


def test_what_a_model_was_seen_to_have(store: EmbeddingStore) -> None:
    assert store.own_dimensions("bge-m3") is None
    store.set_own_dimensions("bge-m3", 1024)
    store.set_own_dimensions("bge-m3", 768)
    store.set_own_dimensions("e5", 384)
    assert store.own_dimensions("bge-m3") == 1024, "vectors of the first are kept under it"
    assert store.own_dimensions("e5") == 384


def test_a_single_vector_is_kept_too(store: EmbeddingStore, file: Path) -> None:
    one, more = _vectors(1), _vectors(3, seed=1)
    store.put_soon(SPACE, "digest-0", one["digest-0"])
    store.put_soon(SPACE, "digest-0", more["digest-0"])
    with closing(EmbeddingStore(file)) as again:
        found = again.get(SPACE, ["digest-0"])
    assert found["digest-0"].tobytes() == one["digest-0"].tobytes()
