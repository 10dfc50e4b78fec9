"""A month of use, counted from the journal's entries."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from bookbrain.admin.journal import ERROR, Entry, priority_of, seconds_of, text_of
from bookbrain.admin.moments import Month
from bookbrain.events import PREFIX


@dataclass(frozen=True, slots=True)
class Use:
    """What was done in a day or in a month. Latencies are in ms, None without a search.

    `dollars` are those of the prices of then; None where some were not known.
    """

    searches: int = 0
    degraded: int = 0
    p50: float | None = None
    p95: float | None = None
    added: int = 0
    rejected: int = 0
    tokens: int = 0
    dollars: float | None = 0.0
    errors: int = 0

    @property
    def share_degraded(self) -> float:
        return self.degraded / self.searches if self.searches else 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """`days` has every day of the month, from its first."""

    month: Month
    days: tuple[tuple[date, Use], ...]
    total: Use


@dataclass(slots=True)
class _Tally:
    latencies: list[float] = field(default_factory=list)
    degraded: int = 0
    added: int = 0
    rejected: int = 0
    tokens: int = 0
    dollars: float = 0.0
    unpriced: bool = False
    errors: int = 0

    def count(self, entry: Entry) -> None:
        self.errors += priority_of(entry) <= ERROR
        match text_of(entry, f"{PREFIX}EVENT"):
            case "search":
                self.latencies.append(_number(entry, "QUERY_MS") or 0.0)
                self.degraded += text_of(entry, f"{PREFIX}DEGRADED") == "1"
            case "add":
                self.added += 1
            case "reject":
                self.rejected += 1
            case "embed":
                self.tokens += round(_number(entry, "TOKENS") or 0)
                dollars = _number(entry, "DOLLARS")
                self.dollars += dollars or 0
                self.unpriced |= dollars is None

    def use(self) -> Use:
        return Use(
            searches=len(self.latencies),
            degraded=self.degraded,
            p50=percentile(self.latencies, 0.50),
            p95=percentile(self.latencies, 0.95),
            added=self.added,
            rejected=self.rejected,
            tokens=self.tokens,
            dollars=None if self.unpriced else self.dollars,
            errors=self.errors,
        )


def report_of(found: Iterable[Entry], month: Month) -> Report:
    """Count the entries of `month`; others are passed over."""
    begin, end = month.begin.timestamp(), month.end.timestamp()
    days: defaultdict[date, _Tally] = defaultdict(_Tally)
    total = _Tally()
    for entry in found:
        moment = seconds_of(entry)
        if begin <= moment < end:
            total.count(entry)
            days[datetime.fromtimestamp(moment).astimezone().date()].count(entry)
    calendar = [date(month.year, month.number, day + 1) for day in range(month.days)]
    return Report(month, tuple((day, days[day].use()) for day in calendar), total.use())


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of them do not exceed (nearest rank)."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _number(entry: Entry, name: str) -> float | None:
    """A field that is a number, 0 or more; None otherwise."""
    try:
        number = float(text_of(entry, PREFIX + name))
    except ValueError:
        return None
    return number if 0 <= number < 1e15 else None
