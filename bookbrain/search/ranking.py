"""How pages are scored: by the words of a query, and when two rankings become one.

A document's keyword and vector scores are not comparable, so each leg is scaled first (convex
combination; Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023) or
only its ranks count (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", 2009).

Something is always nearest, also to a query that an embedding model does not understand. So the
vector leg counts only as far as its best stand out (`above_chance`).
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import log
from typing import TypeVar

import numpy as np

from bookbrain.index.analyzer import PAIR, is_word, other_spellings, query_weights
from bookbrain.index.bm25 import KeywordIndex, Mask
from bookbrain.index.segment import are_alike

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


_IDENTIFIER = 10.0
_NEIGHBOUR, _BOOK = 0.1, 0.4  # what the pages beside a page and its whole book add; tests/golden


def asked_for(index: KeywordIndex, text: str, terms: Sequence[str]) -> dict[str, float]:
    """Every term that a query of these terms finds a page by, with what it counts.

    Where nothing but an identifier is asked for, pages that have all of it come before those that
    have its parts, however often.
    """
    weights = query_weights(terms)
    if len(terms) > 1 and " " not in text and not terms[0].startswith(PAIR):
        weights[terms[0]] *= _IDENTIFIER
    for other, share in other_spellings(text, terms, index.shares).items():
        for term, weight in query_weights([other]).items():
            weights[term] = weights.get(term, 0) + share * weight
    return weights


def best_pages(
    index: KeywordIndex, weights: Mapping[str, float], count: int, allowed: Mask | None = None
) -> dict[int, float]:
    """The best `count` of the allowed documents and their scores, best first.

    The pages before and behind it count with a page, for an answer often begins on one and ends on
    the next; and its book, for it tells what the page is about.
    """
    terms = index.look_up(weights)
    found = index.best(terms, count, allowed)
    if not found:
        return {}
    beside = dict(zip(found, index.beside([*found]), strict=True))
    unknown = sorted({n for pages in beside.values() for n in pages} - found.keys())
    words = [term for term in terms if is_word(term.term)]
    known = found | dict(zip(unknown, index.scores(words, unknown).tolist(), strict=True))
    books = index.book_scores(words, [*found]).tolist()
    total = {
        document: score + _NEIGHBOUR * sum(known[page] for page in beside[document]) + _BOOK * book
        for (document, score), book in zip(found.items(), books, strict=True)
    }
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def fold_duplicates(index: KeywordIndex, ranked: Iterable[int], count: int) -> dict[int, list[int]]:
    """The first `count` documents that are unlike each other, each with those that are like it."""
    documents = [*ranked]
    if not documents:
        return {}
    alike = are_alike(np.array([index.signature(document) for document in documents]))
    kept: dict[int, list[int]] = {}
    places: list[int] = []
    for place, document in enumerate(documents):
        first = next((other for other in places if alike[place, other]), None)
        if first is not None:
            kept[documents[first]].append(document)
        elif len(kept) < count:
            kept[document] = []
            places.append(place)
    return kept
