"""`bookbrain-admin report`: a month of use, counted from the journal."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime

import click
from rich.cells import cell_len

from bookbrain.admin.options import Records, pass_records
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import fitting, shown
from bookbrain.log import PREFIX
from bookbrain.reports import Day, Use, figures_of
from bookbrain.server import journal
from bookbrain.server.journal import (
    ERROR,
    Entry,
    Month,
    Wanted,
    archive_file,
    month_of,
    priority_of,
    read_archive,
    read_month,
    seconds_of,
    text_of,
)


@dataclass(frozen=True, slots=True)
class Report:
    """`days` has every day of the month, from its first."""

    month: Month
    days: tuple[Day, ...]
    total: Use


class _Tally:
    """What is added up of the entries, one after the other."""

    def __init__(self) -> None:
        self._latencies: list[float] = []
        self._counts: Counter[str] = Counter()
        self._dollars = 0.0  # NaN where a price was not known

    def count(self, entry: Entry) -> None:
        self._counts["errors"] += priority_of(entry) <= ERROR
        match text_of(entry, f"{PREFIX}EVENT"):
            case "search":
                self._latencies.append(_number(entry, "QUERY_MS") or 0.0)
                self._counts["degraded"] += text_of(entry, f"{PREFIX}DEGRADED") == "1"
            case "add":
                self._counts["added"] += 1
            case "reject":
                self._counts["rejected"] += 1
            case "embed" | "ocr" | "ask":
                self._counts["tokens"] += round(_number(entry, "TOKENS") or 0)
                dollars = _number(entry, "DOLLARS")
                self._dollars += math.nan if dollars is None else dollars

    def use(self) -> Use:
        return Use(
            searches=len(self._latencies),
            p50=percentile(self._latencies, 0.50),
            p95=percentile(self._latencies, 0.95),
            dollars=None if math.isnan(self._dollars) else self._dollars,
            **self._counts,
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


_WIDTHS = (5, 9, 8, 8, 9, 6, 9, 10, 8, 7)


def table_of(report: Report) -> Iterator[str]:
    """A heading, a line for each day on which something happened, and the sums."""
    yield shown("BookBrain in {month}", month=report.month)
    yield _row(
        shown("day"), shown("searches"), "p50", "p95", shown("degraded"), shown("added"),
        shown("rejected"), shown("tokens"), shown("cost"), shown("errors"),
    )  # fmt: skip
    for day, use in report.days:
        if use != Use():
            yield _row(f"{day:%m-%d}", *figures_of(use))
    yield "─" * sum(_WIDTHS)
    yield _row(shown("all"), *figures_of(report.total))


def _row(*cells: str) -> str:
    """Right-aligned, by the width on the screen."""
    row = ""
    for cell, width in zip(cells, _WIDTHS, strict=True):
        row += " " * max(bool(row), width - cell_len(cell)) + cell
    return row


@click.command(cls=Command)
@click.option("--month", metavar="YYYY-MM", help="Of which month; of this one without it.")
@pass_records
def report(records: Records, month: str | None) -> None:
    """Count a month of searches, latencies, books, spending and errors."""
    seen = _report(records, read_month(month) if month else month_of(datetime.now().astimezone()))
    for line in table_of(seen):
        click.echo(fitting(line))


def _report(records: Records, month: Month) -> Report:
    """From the archive of the month, where it is kept, else from the journal."""
    kept = archive_file(records.layout.logs, month)
    if os.path.lexists(kept):
        return report_of(read_archive(kept), month)
    wanted = Wanted(since=month.begin, until=month.end, activity=True)
    with closing(records.open()) as reader:
        return report_of(journal.entries(reader, wanted), month)
