"""When systemd hears of us: READY after the first answer, WATCHDOG while answers come."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from threading import Event

Notify = Callable[[str], object]

PATIENCE = 10.0  # seconds that an answer may take

_RETRY = 0.1  # seconds between two questions until the first 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What `/healthz` said."""

    status: int
    word: str


def ask(host: str, port: int, patience: float = PATIENCE) -> Answer | None:
    """The app's answer over HTTP; None when there is none in time."""
    connection = HTTPConnection(host, port, timeout=patience)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        return Answer(response.status, response.read(100).decode("ascii", "replace"))
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Watch:
    """Asks the app how it is, and tells systemd.

    `interval` is the time between two WATCHDOG, in seconds; None where nobody waits for them.
    """

    ask: Callable[[], Answer | None]
    notify: Notify
    interval: float | None
    on_ready: Callable[[], object]

    def run(self, stop: Event) -> None:
        """READY=1 once the app has said 200, then WATCHDOG=1 after each answer, until `stop`.

        An app whose event loop stands still gives no answer, and is not spoken for.
        """
        while (answer := self.ask()) is None or answer.status != 200:
            if stop.wait(_RETRY):
                return
        if stop.is_set():
            return
        self.notify(f"READY=1\nSTATUS={answer.word}")
        self.on_ready()
        while self.interval and not stop.wait(self.interval):
            if answer := self.ask():
                self.notify(f"WATCHDOG=1\nSTATUS={answer.word}")


def notifier(environ: Mapping[str, str]) -> Notify:
    """sd_notify(3) where systemd waits for it, else nothing."""
    if environ.get("NOTIFY_SOCKET"):
        try:
            from systemd.daemon import notify  # noqa: PLC0415  (only installed on servers)
        except ImportError:
            _log.error("systemd-python is not installed: systemd cannot hear that the app is ready")
        else:
            return partial(_send, notify)
    return lambda state: None


def _send(notify: Notify, state: str) -> None:
    try:
        notify(state)
    except OSError as error:
        _log.error("systemd cannot be told of the app's state: %s", error)


def watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """A third of the seconds after which systemd ends a silent service: sd_watchdog_enabled(3)."""
    own = str(os.getpid())
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or environ.get("WATCHDOG_PID", own) != own:
        return None
    return int(microseconds) / 3_000_000 or None
