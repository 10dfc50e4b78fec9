"""What answers cost this month: counted before it is spent, for all processes, so a limit holds.

A process that is killed while it asks leaves what it had set aside as spent.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

from bookbrain.errors import BookBrainError, BusyError
from bookbrain.files import file_lock, write_file
from bookbrain.messages import fill
from bookbrain.paths import LibraryPaths

_PATIENCE = 5.0  # seconds that another process may hold the lock, which it needs for a write


def _now() -> datetime:
    return datetime.now(UTC)


class Spending:
    """Of the library in `home`, within a `limit` in US dollars a month."""

    def __init__(self, home: Path, limit: float, now: Callable[[], datetime] = _now) -> None:
        self._paths = LibraryPaths(home)
        self._limit = limit
        self._now = now

    def set_aside(self, dollars: float) -> str:
        """Count so much as spent; the month that it counts for.

        Raises BusyError where the month's limit has no room for it, BookBrainError where it cannot
        be written down: then nothing may be spent.
        """
        with self._counted() as (month, spent):
            if spent + dollars > self._limit:
                raise BusyError(
                    fill(
                        "Another answer could exceed the limit of ${limit:.2f} for {month}; "
                        "${spent:.4f} are spent.",
                        limit=self._limit, month=month, spent=spent,
                    ),
                    "Raise BOOKBRAIN_CHAT_BUDGET, or wait for the next month.",
                )  # fmt: skip
            self._write(month, spent + dollars)
        return month

    def settle(self, month: str, aside: float, paid: float) -> None:
        """Count what was `paid` in place of what was set `aside`."""
        with self._counted() as (now, spent):
            if now == month:
                self._write(month, max(spent - aside + paid, 0.0))

    @contextmanager
    def _counted(self) -> Iterator[tuple[str, float]]:
        """The month and what was spent in it; nobody else changes that in the block."""
        try:
            with file_lock(self._paths.spending_lock, seconds=_PATIENCE):
                yield self._read()
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BookBrainError(
                fill(
                    "What answers cost cannot be counted in {path} ({reason}).",
                    path=self._paths.spending, reason=type(error).__name__,
                ),
                "Make room, or remove the file if it is damaged: then the month begins anew.",
            ) from error  # fmt: skip

    def _read(self) -> tuple[str, float]:
        month = f"{self._now():%Y-%m}"
        try:
            kept = json.loads(self._paths.spending.read_bytes())
        except FileNotFoundError:
            return month, 0.0
        then, spent = str(kept["month"]), float(kept["dollars"])
        if not (isfinite(spent) and spent >= 0):
            raise ValueError("no amount")
        return (month, 0.0) if month > then else (then, spent)

    def _write(self, month: str, dollars: float) -> None:
        text = json.dumps({"month": month, "dollars": round(dollars, 9)})
        write_file(self._paths.spending, text.encode())
