"""Serving the app: a port, a warm library, uvicorn, and what systemd hears of it."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from errno import EADDRINUSE
from functools import partial
from threading import Event, Thread

import uvicorn

from bookbrain.errors import UnavailableError
from bookbrain.korean import kiwi
from bookbrain.library import Library
from bookbrain.messages import fill
from bookbrain.server.probes import HttpAnswer, answer_of
from bookbrain.settings import Settings
from bookbrain.web.api import PROBE
from bookbrain.web.app import Names

Notify = Callable[[str], object]
_PATIENCE = 10.0  # seconds that an answer may take
_RETRY = 0.1  # seconds between two questions until the first 200
_log = logging.getLogger(__name__)


def watch(
    ask: Callable[[], HttpAnswer], notify: Notify, interval: float | None,
    on_ready: Callable[[], object], stop: Event,
) -> None:  # fmt: skip
    """Ask the app how it is, and tell systemd, until `stop`.

    READY=1 once the app has said 200, then WATCHDOG=1 after each answer, `interval` seconds apart;
    None where nobody waits for these. An app whose event loop stands still gives no answer, and is
    not spoken for.
    """
    while (answer := ask()).status != 200:
        if stop.wait(_RETRY):
            return
    if stop.is_set():
        return
    notify(f"READY=1\nSTATUS={answer.text}")
    on_ready()
    while interval and not stop.wait(interval):
        if (answer := ask()).status:
            notify(f"WATCHDOG=1\nSTATUS={answer.text}")


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


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE = 3  # seconds that requests under way have at the end
# Before READY systemd waits for TimeoutStartSec=, and from each of these on two minutes more.
STILL_COUNTING = "EXTEND_TIMEOUT_USEC=120000000\nSTATUS=counting the words of the books anew"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (where such a server is asked)


def serve(settings: Settings, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` gets the address once the app answers there.

    Raises UnavailableError when it cannot listen there, BookBrainError when the library cannot be
    opened.
    """
    for number in _SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))
    notify = notifier(os.environ)
    with _listening(host, port) as listener:
        warm_up(settings, notify)
        from bookbrain.web.app import make_app  # noqa: PLC0415  (slow; what fails, fails before)

        names = Names(settings, host, listener.getsockname()[0])
        server = uvicorn.Server(
            uvicorn.Config(
                make_app(settings, names),
                log_config=None,
                access_log=False,
                server_header=False,
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        for number in _SIGNALS:  # uvicorn handles them while it runs, and raises them again
            signal.signal(number, server.handle_exit)
        with _watched(listener, notify, on_ready):
            server.run(sockets=[listener])


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens, before anything slow: who connects waits until we are ready."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        if error.errno == EADDRINUSE:
            raise UnavailableError(
                fill("Port {port} of {host} is taken.", port=port, host=host),
                "End the program that has it, or choose another port with --port.",
            ) from error
        raise UnavailableError(
            fill(
                "Cannot listen on port {port} of {host} ({reason}).",
                port=port,
                host=host,
                reason=error.strerror,
            ),
            "Choose others with --host and --port.",
        ) from error
    with listener:
        yield listener


def warm_up(settings: Settings, notify: Notify) -> None:
    """Load what loads once; what makes the library unusable is known now."""
    kiwi()
    with Library(settings) as library:
        library.load(lambda: notify(STILL_COUNTING))
        library.search(PROBE, k=1, mode="keyword")


@contextmanager
def _watched(
    listener: socket.socket, notify: Notify, on_ready: Callable[[str], None]
) -> Iterator[None]:
    stop = Event()
    host, port = listener.getsockname()[:2]
    host = _ANYWHERE.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    how = (partial(answer_of, f"{url}/healthz", _PATIENCE), notify, watchdog_interval(os.environ))
    then = partial(on_ready, url)
    Thread(target=watch, args=[*how, then, stop], name="watch", daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        notify("STOPPING=1")
