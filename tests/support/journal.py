"""A journal in memory, which is read like systemd-python's."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

Entry = dict[str, Any]


def entry(moment: datetime, message: object = "x", **fields: Any) -> Entry:
    """As journald keeps one of the app's."""
    micros = str(round(moment.timestamp() * 1e6))
    return {
        "__REALTIME_TIMESTAMP": micros,
        "__CURSOR": f"s=0;t={micros};{id(fields)}",
        "_SYSTEMD_UNIT": "bookbrain.service",
        "_UID": "990",
        "SYSLOG_IDENTIFIER": "bookbrain",
        "PRIORITY": "6",
        "MESSAGE": message,
        **fields,
    }


class FakeReader:
    """Matches are put together as in sd_journal_add_match(3).

    `on_wait` is called instead of waiting: it may add entries, or end it all.
    """

    def __init__(
        self, entries: Iterable[Entry], on_wait: Callable[["FakeReader"], object] | None = None
    ) -> None:
        self.entries = list(entries)
        self.closed = False
        self._on_wait = on_wait
        self._at = -1
        self.flush_matches()

    def flush_matches(self) -> None:
        self._groups: list[list[dict[str, set[str]]]] = [[{}]]

    def add_match(self, *args: str) -> None:
        for arg in args:
            field, value = arg.split("=", 1)
            self._groups[-1][-1].setdefault(field, set()).add(value)

    def add_disjunction(self) -> None:
        self._groups[-1].append({})

    def add_conjunction(self) -> None:
        self._groups.append([{}])

    def query_unique(self, field: str) -> set[str]:
        return {entry[field] for entry in self.entries if field in entry}

    def seek_head(self) -> None:
        self._at = -1

    def seek_tail(self) -> None:
        self._at = len(self.entries)

    def seek_realtime(self, realtime: float) -> None:
        times = [int(entry["__REALTIME_TIMESTAMP"]) for entry in self.entries]
        self._at = sum(time < int(realtime * 1e6) for time in times) - 1

    def seek_cursor(self, cursor: str) -> None:
        self._at = [entry["__CURSOR"] for entry in self.entries].index(cursor) - 1

    def get_next(self) -> Entry:
        return self._move(1)

    def get_previous(self) -> Entry:
        return self._move(-1)

    def wait(self, timeout: float | None = None) -> int:
        assert self._on_wait
        self._on_wait(self)
        return 1

    def close(self) -> None:
        self.closed = True

    def _move(self, step: int) -> Entry:
        at = self._at + step
        while 0 <= at < len(self.entries):
            if self._fits(self.entries[at]):
                self._at = at
                return dict(self.entries[at])
            at += step
        return {}

    def _fits(self, entry: Entry) -> bool:
        return all(
            any(
                all(entry.get(field) in values for field, values in terms.items())
                for terms in group
                if terms
            )
            for group in self._groups
            if any(group)
        )
