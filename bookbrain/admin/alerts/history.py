"""What the owner was told of each check, and what of it is news."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bookbrain.admin.check import Check, State
from bookbrain.durable import write_file

_SETTLED = 60.0  # seconds between the first bad answer and the one that counts
_QUIET = 6 * 3600.0  # seconds in which a failure of the same unit is told once
_HARD = ("library", "search", "disk")  # do not mend themselves
_BLOCK = 4096
_RANK = {state: rank for rank, state in enumerate(State)}


@dataclass(frozen=True)
class Known:
    """The state that was told, and the worse one that is so `since` then (Unix time)."""

    told: State = State.OK
    now: State = State.OK
    since: float = 0.0


@dataclass(frozen=True)
class History:
    """By check; by unit, when its failure was told; and when all was last looked at."""

    checks: Mapping[str, Known] = field(default_factory=dict)
    failures: Mapping[str, float] = field(default_factory=dict)
    ran: float = 0.0


def judge(before: History, checks: Iterable[Check], now: float) -> tuple[History, list[Check]]:
    """What is known from now on, and the checks that are news.

    Worse is news when it is so twice, a minute apart at least, or cannot pass by itself; better is
    news at once. A check that is not there this time is as it was.
    """
    known, news = dict(before.checks), []
    for check in checks:
        old = known.get(check.key, Known())
        new = _step(old, check, now)
        if new.told is not old.told:
            news.append(check)
        known[check.key] = new
    return replace(before, checks=known, ran=now), news


def _step(old: Known, check: Check, now: float) -> Known:
    state = check.state
    if _RANK[state] <= _RANK[old.told]:
        return Known(state, state, now)
    began = old.since if _RANK[old.now] > _RANK[old.told] else None
    hard = state is State.FAIL and check.name in _HARD
    if hard or (began is not None and now - began >= _SETTLED):
        return Known(state, state, now)
    return Known(old.told, state, now if began is None else began)


def untold(after: History, before: History, news: Iterable[Check]) -> History:
    """`after`, where nobody could be told the news: it is still news the next time."""
    checks = dict(after.checks)
    for check in news:
        told = before.checks.get(check.key, Known()).told
        checks[check.key] = replace(checks[check.key], told=told)
    return replace(after, checks=checks)


def is_news_of(history: History, unit: str, now: float) -> bool:
    """Whether the failure of `unit` is to be told: not once more soon after."""
    return not 0 <= now - history.failures.get(unit, -_QUIET) < _QUIET


def with_failure(history: History, unit: str, check: Check, now: float) -> History:
    """`unit` has failed and that was told, as what the check of it will find."""
    known = Known(check.state, check.state, now)
    return replace(
        history,
        checks={**history.checks, check.key: known},
        failures={**history.failures, unit: now},
    )


def read_history(path: Path) -> History:
    """What was kept; an empty one where there is none, or none that can be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        checks = {
            key: Known(State(entry["told"]), State(entry["now"]), float(entry["since"]))
            for key, entry in values["checks"].items()
        }
        failures = {unit: float(moment) for unit, moment in values["failures"].items()}
        return History(checks, failures, float(values["ran"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return History()


def keep_history(path: Path, history: History) -> None:
    """Put it at `path` at once; on a full disk over what is there, which takes no room.

    So that a full disk is told once. Raises OSError.
    """
    data = json.dumps(asdict(history), indent=1, ensure_ascii=False).encode() + b"\n"
    data = data.ljust(-(-len(data) // _BLOCK) * _BLOCK)
    try:
        write_file(path, data)
    except OSError:
        with path.open("r+b") as file:
            file.write(data)
            file.truncate()
