"""How two rankings become one.

A document's keyword and vector scores are not comparable, so each leg is scaled first (convex
combination; Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023) or
only its ranks count (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", 2009).

Something is always nearest, also to a query that an embedding model does not understand: what it
may count is for its exam to say (`search/exam.py`).
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)
RRF_K = 60


def convex(
    keyword: Mapping[T, float], vector: Mapping[T, float], weight: float, covered: float = 0.0
) -> dict[T, float]:
    """(1 - weight) · keyword + weight · ((1 - covered) · vector)³; absent counts 0.

    Keyword scores are taken by the share that they are of the best one, cosines by where they are
    between the worst one of `vector` and its best. `covered` is how much of the query the best page
    by keyword has, 0 to 1: the more of it, the less there is for meaning to find. The cube lets
    the few that stand out count, and not the crowd behind them.
    """
    best = max(keyword.values(), default=0) or 1.0
    worst, nearest = min(vector.values(), default=0), max(vector.values(), default=0)
    room = (1 - covered) / (nearest - worst or 1.0)
    heard = {key: (room * (cosine - worst)) ** 3 for key, cosine in vector.items()}
    return {
        key: (1 - weight) * keyword.get(key, 0) / best + weight * heard.get(key, 0)
        for key in {**keyword, **vector}
    }


def reciprocal_rank(keyword: Sequence[T], vector: Sequence[T], weight: float) -> dict[T, float]:
    """Weighted sum of 1 / (60 + rank) over the legs; at weight 0.5 the textbook's, halved."""
    scores: dict[T, float] = {}
    for ranking, share in ((keyword, 1 - weight), (vector, weight)):
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0) + share / (RRF_K + rank)
    return scores
