"""A run of the health check, or a unit that failed, reaches the owner if it is news."""

import json
import logging
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bookbrain.checks.channels import (
    Delivery,
    Outbox,
    about_changes,
    about_failure,
    about_nothing,
    deliver,
    ping,
    summary_of,
)
from bookbrain.files import file_lock, write_file
from bookbrain.paths import LibraryPaths
from bookbrain.reports import Check, State, worst_of
from bookbrain.settings import NotifySettings

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


_JUST_NOW = 120.0  # seconds
_NOT_KEPT = "What was told cannot be kept, it may be told again: %s"
_NOT_TOLD = "%s was not reached: %s"
_log = logging.getLogger(__name__)


def tell_news(
    home: Path, settings: NotifySettings, checks: Sequence[Check], outbox: Outbox
) -> None:
    """One message if something changed since the last run, and the ping."""
    with _locked(home):
        before = read_history(LibraryPaths(home).health)
        after, news = judge(before, checks, time.time())
        if news and settings.channels:
            message = about_changes(news, socket.gethostname(), settings.language)
            if not _logged(deliver(message, settings.channels, outbox)):
                after = untold(after, before, news)
        _keep(home, after)
    if settings.ping:
        state = worst_of(check.state for check in checks)
        summary = summary_of(checks, settings.language)
        _logged([ping(settings.ping, state, summary, outbox)])


def tell_failure(
    home: Path, settings: NotifySettings, check: Check, journal: str, outbox: Outbox
) -> None:
    """The unit that `check` is about has failed: a message, if it is the first one for long."""
    with _locked(home):
        history, now = read_history(LibraryPaths(home).health), time.time()
        if settings.channels and is_news_of(history, check.subject, now):
            message = about_failure(check, journal, socket.gethostname(), settings.language)
            if _logged(deliver(message, settings.channels, outbox)):
                _keep(home, with_failure(history, check.subject, check, now))


def has_just_run(home: Path) -> bool:
    """Whether a health check came to its end, and told of what it found."""
    return 0 <= time.time() - read_history(LibraryPaths(home).health).ran < _JUST_NOW


def tell_nothing(settings: NotifySettings, outbox: Outbox) -> list[Delivery]:
    """A test message to every channel, and the ping; what each answered."""
    message = about_nothing(socket.gethostname(), settings.language)
    deliveries = deliver(message, settings.channels, outbox)
    if settings.ping:
        deliveries.append(ping(settings.ping, message.level, message.text, outbox))
    return deliveries


def _logged(deliveries: Iterable[Delivery]) -> bool:
    """Whether somebody was reached; who was not is logged."""
    reached = False
    for delivery in deliveries:
        reached |= delivery.ok
        if not delivery.ok:
            _log.warning(_NOT_TOLD, delivery.where, delivery.seen)
    return reached


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Alone with the history, where the disk lets us; a broken one is to be told all the same."""
    with ExitStack() as lock:
        try:
            lock.enter_context(file_lock(LibraryPaths(home).health_lock))
        except OSError as error:
            _log.warning(_NOT_KEPT, error)
        yield


def _keep(home: Path, history: History) -> None:
    try:
        keep_history(LibraryPaths(home).health, history)
    except OSError as error:
        _log.warning(_NOT_KEPT, error)
