"""How two rankings become one.

A document's keyword and vector scores are not comparable, so each leg is scaled first (convex
combination; Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023) or
only its ranks count (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", 2009).

Something is always nearest, also to a query that an embedding model does not understand. So the
vector leg counts only as far as its best stand out (`above_chance`).
"""

from collections.abc import Hashable, Mapping, Sequence
from math import log
from typing import TypeVar

T = TypeVar("T", bound=Hashable)
RRF_K = 60
_CROWD = 200  # passages; the nearest quarter of them is looked at, the others are the crowd
_SILENT, _SURE = 0.5, 1.8  # heights where chance ends, and where 1 is; tests/golden


def above_chance(cosines: Sequence[float]) -> list[float]:
    """How far each passage stands out from those that are near only by chance, 0 to 2.

    `cosines` are those of the nearest passages, best first, 200 where there are as many. Where
    nothing is meant, the cosine falls by the same amount each time that the rank doubles (the tail
    of a distribution in the Gumbel domain, whose spacings Weissman's estimator uses, 1978). The
    passages behind the first quarter tell that amount; the best of them would then be at 1.
    """
    crowd = cosines[:_CROWD]
    rank = len(crowd) // 4
    if rank < 2 or crowd[rank - 1] <= crowd[-1]:  # too few to tell: each by its share of the best
        return [max(cosine, 0.0) / (cosines[0] if cosines[0] > 0 else 1) for cosine in cosines]
    slope = (crowd[rank - 1] - crowd[-1]) / log(len(crowd) / rank)
    heights = ((cosine - crowd[rank - 1]) / (slope * log(rank)) for cosine in cosines)
    return [min(max((height - _SILENT) / (_SURE - _SILENT), 0.0), 2.0) for height in heights]


def convex(keyword: Mapping[T, float], vector: Mapping[T, float], weight: float) -> dict[T, float]:
    """(1 - weight) · keyword + weight · vector; absent counts 0.

    Keyword scores are taken by the share that they are of the best one, `vector` as it is.
    """
    best = max(keyword.values(), default=0) or 1.0
    return {
        key: (1 - weight) * keyword.get(key, 0) / best + weight * vector.get(key, 0)
        for key in {**keyword, **vector}
    }


def reciprocal_rank(keyword: Sequence[T], vector: Sequence[T], weight: float) -> dict[T, float]:
    """Weighted sum of 1 / (60 + rank) over the legs; at weight 0.5 the textbook's, halved."""
    scores: dict[T, float] = {}
    for ranking, share in ((keyword, 1 - weight), (vector, weight)):
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0) + share / (RRF_K + rank)
    return scores
