"""Two rankings become one.

A document's keyword and vector scores are not comparable, so each leg is scaled first (convex
combination; Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023) or
only its ranks count (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", 2009).
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

RRF_K = 60


def convex(keyword: Mapping[T, float], vector: Mapping[T, float], weight: float) -> dict[T, float]:
    """(1 - weight) · keyword + weight · vector, each leg scaled to 0…1; absent counts 0."""
    a, b = _scaled(keyword), _scaled(vector)
    return {key: (1 - weight) * a.get(key, 0) + weight * b.get(key, 0) for key in {**a, **b}}


def reciprocal_rank(keyword: Sequence[T], vector: Sequence[T], weight: float) -> dict[T, float]:
    """Weighted sum of 1 / (60 + rank) over the legs; at weight 0.5 the textbook's, halved."""
    scores: dict[T, float] = {}
    for ranking, share in ((keyword, 1 - weight), (vector, weight)):
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0) + share / (RRF_K + rank)
    return scores


def _scaled(scores: Mapping[T, float]) -> dict[T, float]:
    """Min-max to 0…1; where all are equal, 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    return {k: (s - low) / (high - low) if high > low else 1.0 for k, s in scores.items()}
