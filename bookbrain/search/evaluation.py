"""How good search is, on queries whose pages are known."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any
from unicodedata import normalize

from bookbrain.errors import InputError
from bookbrain.messages import fill
from bookbrain.model import Hit, SearchResult

DEPTH = 10
_RESAMPLES = 2000
Place = tuple[str, int]  # the owner's file name, physical page


@dataclass(frozen=True, slots=True)
class GoldenQuery:
    """A query and the places that answer it."""

    id: str
    query: str
    places: frozenset[Place]


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean over the queries, and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`ranks` are from 1, None where no hit of the first ten (or k) answers; times in ms.

    `degraded` says why a leg did not take part in the last query, None when both did.
    """

    k: int
    ids: tuple[str, ...]
    ranks: tuple[int | None, ...]
    hit_at_1: Measure
    hit_at_k: Measure
    mrr_at_10: Measure
    p50_ms: float
    p95_ms: float
    degraded: str | None = None


WEIGHTS = tuple(step / 10 for step in range(10))  # that are tried


@dataclass(frozen=True, slots=True)
class Tuning:
    """What each weight of meaning gives, by weight; the one with the highest MRR@10 is the `best`,
    the least of these. `gain` is what it has more of it than keywords alone."""

    tried: dict[float, Evaluation]
    best: float
    gain: Measure


def load_golden(path: Path) -> list[GoldenQuery]:
    """Read a golden set, JSON lines; raises InputError naming the line that is wrong."""
    golden = []
    for number, line in read_lines(path):
        try:
            golden.append(_golden_query(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                fill(
                    "{path}, line {number} is not a golden query ({error!r}).",
                    path=path,
                    number=number,
                    error=error,
                ),
                'It needs {"id", "query", "book", "pages"}, and may have "also".',
            ) from error
    if not golden:
        raise InputError(fill("{path} has no queries.", path=path), "Write one JSON object a line.")
    return golden


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a file that have something, with their numbers; InputError where it cannot be
    read."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            fill("{path} cannot be read: {reason}.", path=path, reason=error),
            "Name a file of JSON lines.",
        ) from error
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _golden_query(entry: dict[str, Any]) -> GoldenQuery:
    answers = [entry, *entry.get("also", [])]
    if not all(answer["pages"] and isinstance(answer["pages"], list) for answer in answers):
        raise ValueError("pages must be a list of numbers")
    places = {
        (normalize("NFC", answer["book"]), int(page))
        for answer in answers
        for page in answer["pages"]
    }
    return GoldenQuery(str(entry["id"]), str(entry["query"]), frozenset(places))


def evaluate(
    golden: Sequence[GoldenQuery], search: Callable[[str, int], SearchResult], k: int
) -> Evaluation:
    """Ask every query by `search(query, number of hits)` and measure what comes back."""
    ranks: list[int | None] = []
    times: list[float] = []
    degraded = None
    for item in golden:
        result = search(item.query, max(k, DEPTH))
        ranks.append(_rank(result.hits, item.places))
        times.append(result.took_ms)
        degraded = result.degraded
    half, most = percentiles(times)
    return Evaluation(
        k,
        tuple(item.id for item in golden),
        tuple(ranks),
        _measure([float(rank == 1) for rank in ranks]),
        _measure([float(rank is not None and rank <= k) for rank in ranks]),
        _measure([_reciprocal(rank) for rank in ranks]),
        round(half, 1),
        round(most, 1),
        degraded,
    )


def percentiles(times: Sequence[float]) -> tuple[float, float]:
    """p50 and p95 of one value at least."""
    cuts = quantiles(times, n=100, method="inclusive") if len(times) > 1 else [*times] * 99
    return cuts[49], cuts[94]


def tune(
    golden: Sequence[GoldenQuery], search: Callable[[str, int, float], SearchResult], k: int
) -> Tuning:
    """Ask every query by `search(query, number of hits, weight of meaning)`, with each weight.

    The gain's interval is that of the queries' differences, resampled.
    """

    def at(weight: float) -> Evaluation:
        return evaluate(golden, lambda query, count: search(query, count, weight), k)

    tried = {weight: at(weight) for weight in WEIGHTS}
    best = max(WEIGHTS, key=lambda weight: (tried[weight].mrr_at_10.value, -weight))
    pairs = zip(tried[best].ranks, tried[0.0].ranks, strict=True)
    gain = _measure([_reciprocal(rank) - _reciprocal(before) for rank, before in pairs])
    return Tuning(tried, best, gain)


def _reciprocal(rank: int | None) -> float:
    return 1 / rank if rank and rank <= DEPTH else 0.0


def _rank(hits: Sequence[Hit], places: frozenset[Place]) -> int | None:
    return next(
        (hit.rank for hit in hits if (normalize("NFC", hit.file), hit.page) in places), None
    )


def _measure(values: Sequence[float]) -> Measure:
    """The mean with its percentile bootstrap interval; the same values give the same interval."""
    draw = random.Random(0)  # noqa: S311  (resampling, not a secret)
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    low, high = means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES)]
    return Measure(round(fmean(values), 4), round(low, 4), round(high, 4))
