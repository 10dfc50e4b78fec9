"""`bookbrain serve`."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Self

import click

from bookbrain.cli.command import Command
from bookbrain.cli.terminal import say
from bookbrain.errors import ConfigError
from bookbrain.log import is_journal, log_work
from bookbrain.paths import STAMP_FILE, Layout, LibraryPaths
from bookbrain.privileges import become_service
from bookbrain.processes import end, start_module

_LOOK, _RETRY = 5.0, 60.0  # seconds between two looks, and after a failure
_GRACE = 5.0  # seconds that the child has at the end; it goes on at the page where it stopped


class ScanReading:
    """Runs `bookbrain read-scans`, what the unit of a server runs, whenever the books have changed
    since the last time; until the block ends."""

    def __init__(self, home: Path, look: float = _LOOK) -> None:
        self._stamp = LibraryPaths(home).books / STAMP_FILE
        self._look = look
        self._ended = Event()
        self._child_lock = Lock()
        self._stop_child: Callable[[], object] = int  # nothing to stop yet
        self._thread = Thread(target=self._run, name="scans", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._child_lock:
            self._ended.set()
            self._stop_child()
        self._thread.join()

    def _run(self) -> None:
        seen = 0
        while not self._ended.wait(self._look):
            now = self._stamp.stat().st_mtime_ns if self._stamp.exists() else 0
            if now == seen:
                continue
            seen = now
            if self._work() not in (0, ConfigError.exit_code):
                self._ended.wait(_RETRY)
                seen = 0

    def _work(self) -> int:
        with self._child_lock:
            if self._ended.is_set():
                return 0
            child = start_module("bookbrain.cli", "read-scans", stderr=None)
            self._stop_child = lambda: end(child, _GRACE)
        return child.wait()


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True,
              help="The address to listen on.")  # fmt: skip
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True,
              help="The port to listen on.")  # fmt: skip
def serve(host: str, port: int) -> None:
    """Serve the web app until Ctrl-C: search in a browser.

    It asks for no password: whoever reaches the port can read the books. So keep it on 127.0.0.1,
    behind a server that asks for one.

    It answers under its own names only: those of this machine, and the one that `--host` gives;
    with 0.0.0.0 or :: any address. The setting BOOKBRAIN_ALLOWED_HOSTS adds others.

    Programs ask `/api/search?q=…&k=10&mode=hybrid&book=ID` and `/api/books`; the answers are those
    of `bookbrain search --json` and `bookbrain books --json`. `/healthz` says in one word how the
    app is: `ok`, `degraded` or `down`.
    """
    settings = become_service()
    if is_journal(os.environ):
        log_work()
    from bookbrain.web.server import serve as serve_app  # noqa: PLC0415  (loads slowly)

    def on_ready(url: str) -> None:
        if "NOTIFY_SOCKET" not in os.environ:
            say("BookBrain is at {url} (Ctrl-C ends it).", url=url)

    with ExitStack() as block:
        if settings.home != Layout().home:  # else a unit does it
            block.enter_context(ScanReading(settings.home))
        serve_app(settings, host, port, on_ready)
