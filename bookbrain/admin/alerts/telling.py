"""A run of the health check, or a unit that failed, reaches the owner if it is news."""

import logging
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bookbrain.admin.alerts.channels import Outbox, deliver, ping
from bookbrain.admin.alerts.history import (
    History,
    is_news_of,
    judge,
    keep_history,
    read_history,
    untold,
    with_failure,
)
from bookbrain.admin.alerts.message import (
    Delivery,
    about_changes,
    about_failure,
    about_nothing,
    summary_of,
)
from bookbrain.admin.check import Check, worst_of
from bookbrain.config import NotifySettings
from bookbrain.durable import file_lock

_HISTORY, _LOCK = "health.json", "health.lock"
_JUST_NOW = 120.0  # seconds
_NOT_KEPT = "What was told cannot be kept, it may be told again: %s"
_NOT_TOLD = "%s was not reached: %s"
_log = logging.getLogger(__name__)


def tell_news(
    home: Path, settings: NotifySettings, checks: Sequence[Check], outbox: Outbox
) -> None:
    """One message if something changed since the last run, and the ping."""
    with _locked(home):
        before = read_history(home / _HISTORY)
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
        history, now = read_history(home / _HISTORY), time.time()
        if settings.channels and is_news_of(history, check.subject, now):
            message = about_failure(check, journal, socket.gethostname(), settings.language)
            if _logged(deliver(message, settings.channels, outbox)):
                _keep(home, with_failure(history, check.subject, check, now))


def has_just_run(home: Path) -> bool:
    """Whether a health check came to its end, and told of what it found."""
    return 0 <= time.time() - read_history(home / _HISTORY).ran < _JUST_NOW


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
    try:
        lock = file_lock(home / _LOCK)
        lock.__enter__()
    except OSError as error:
        _log.warning(_NOT_KEPT, error)
        yield
        return
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _keep(home: Path, history: History) -> None:
    try:
        keep_history(home / _HISTORY, history)
    except OSError as error:
        _log.warning(_NOT_KEPT, error)
