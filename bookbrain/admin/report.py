"""A month of use, counted from the journal's entries."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from bookbrain.admin.journal import ERROR, Entry, priority_of, seconds_of, text_of
from bookbrain.admin.moments import Month
from bookbrain.events import PREFIX
from bookbrain.use import Day, Use


@dataclass(frozen=True, slots=True)
class Report:
    """`days` has every day of the month, from its first."""

    month: Month
    days: tuple[Day, ...]
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
    days = [date(month.year, month.number, day + 1) for day in range(month.days)]
    return Report(month, *count(found, days))


def count(found: Iterable[Entry], days: Iterable[date]) -> tuple[tuple[Day, ...], Use]:
    """The use of each of these days, by the clock of the machine, and of all of them."""
    tallies, total = {day: _Tally() for day in days}, _Tally()
    for entry in found:
        day = datetime.fromtimestamp(seconds_of(entry)).astimezone().date()
        if tally := tallies.get(day):
            tally.count(entry)
            total.count(entry)
    return tuple((day, tally.use()) for day, tally in tallies.items()), total.use()


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
