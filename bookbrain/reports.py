"""How things are: what a check saw, and what units of a server report to the app."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from bookbrain.errors import BookBrainError
from bookbrain.files import write_file
from bookbrain.messages import as_rows, of_row
from bookbrain.paths import LibraryPaths


class State(StrEnum):
    """`WARN` may be meant so; `FAIL` is wrong."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


def worst_of(states: Iterable[State]) -> State:
    return max(states, key=list(State).index, default=State.OK)


@dataclass(frozen=True, slots=True)
class Check:
    """How one thing is: `seen` says it, `remedy` what to do where that is not as it should be.

    Of several with one name, `subject` tells which: a unit, a path.
    """

    name: str
    state: State
    seen: str
    remedy: str = ""
    subject: str = ""

    @classmethod
    def ok(cls, name: str, seen: str, remedy: str = "") -> "Check":
        """`remedy` is what more there could be."""
        return cls(name, State.OK, seen, remedy)

    @classmethod
    def warn(cls, name: str, seen: str, remedy: str = "") -> "Check":
        return cls(name, State.WARN, seen, remedy)

    @classmethod
    def fail(cls, name: str, seen: str, remedy: str) -> "Check":
        return cls(name, State.FAIL, seen, remedy)

    @classmethod
    def of_error(cls, name: str, error: BookBrainError) -> "Check":
        """That what was asked for failed so."""
        return cls(name, State.FAIL, error.message, error.hint)

    @property
    def is_ok(self) -> bool:
        return self.state is State.OK

    @property
    def key(self) -> str:
        """The same in the next run."""
        return f"{self.name} {self.subject}".rstrip()


@dataclass(frozen=True, slots=True)
class LastCheck:
    """When all was looked at, in UTC, and what was seen."""

    at: datetime
    seen: tuple[Check, ...]


def keep_check(home: Path, seen: Iterable[Check], at: datetime) -> None:
    """Keep it in place of the one before; raises OSError."""
    value = {
        "at": at.isoformat(),
        "seen": [asdict(one, dict_factory=as_rows) for one in seen],
    }
    text = json.dumps(value, ensure_ascii=False, indent=1)
    write_file(LibraryPaths(home).last_check, text.encode())


def last_check(home: Path) -> LastCheck | None:
    """What was kept; None where nothing was, or nothing that can be read."""
    try:
        value = json.loads(LibraryPaths(home).last_check.read_bytes())
        return LastCheck(datetime.fromisoformat(value["at"]), tuple(map(_check, value["seen"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _check(kept: dict[str, Any]) -> Check:
    texts = {name: of_row(kept[name]) for name in ("seen", "remedy")}
    return Check(**kept | texts | {"state": State(kept["state"])})


_USE_FILE = "use.json"


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


Day = tuple[date, Use]


def keep_use(folder: Path, days: Iterable[Day]) -> None:
    """Keep it in place of what was kept before; raises OSError."""
    kept = [{"day": day.isoformat(), **asdict(use)} for day, use in days]
    write_file(folder / _USE_FILE, json.dumps(kept, indent=1).encode())


def kept_use(folder: Path) -> list[Day]:
    """What was kept; nothing where nothing was, or nothing that can be read."""
    try:
        kept = json.loads((folder / _USE_FILE).read_bytes())
        return [(date.fromisoformat(fields.pop("day")), Use(**fields)) for fields in kept]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def figures_of(use: Use) -> list[str]:
    """Searches, p50, p95, share degraded, books added and rejected, tokens, cost, errors."""
    return [
        f"{use.searches:,}",
        milliseconds(use.p50),
        milliseconds(use.p95),
        f"{use.share_degraded:.1%}" if use.searches else "-",
        f"{use.added:,}",
        f"{use.rejected:,}",
        f"{use.tokens:,}" if use.tokens < 1e7 else f"{use.tokens / 1e6:,.1f} M",
        money(use.dollars),
        f"{use.errors:,}",
    ]


def money(dollars: float | None) -> str:
    """ "?" where a price is not known."""
    if dollars is None:
        return "?"
    if dollars < 1:
        return f"${dollars:.4f}"
    return f"${dollars:.2f}" if dollars < 1000 else f"${dollars:,.0f}"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.1f} ms"
    return f"{value:.0f} ms" if value < 10_000 else f"{value / 1000:.0f} s"
