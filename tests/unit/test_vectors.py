"""What of the vectors needs no server."""

import numpy as np
import pytest

from bookbrain.index.vectors import cosine


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
