"""Serving the app: a port, a warm library, uvicorn, and the watch over it."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EADDRINUSE
from functools import partial
from threading import Event, Thread

import uvicorn

from bookbrain.config import Settings
from bookbrain.errors import UnavailableError
from bookbrain.korean import kiwi
from bookbrain.library import Library
from bookbrain.web.health import PROBE
from bookbrain.web.origin import Names
from bookbrain.web.watchdog import Notify, Watch, ask, notifier, watchdog_interval
from bookbrain.wording import fill

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
    watch = Watch(
        partial(ask, host, port),
        notify,
        watchdog_interval(os.environ),
        partial(on_ready, f"http://{shown}:{port}"),
    )
    Thread(target=watch.run, args=[stop], name="watch", daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        notify("STOPPING=1")
