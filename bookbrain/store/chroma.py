"""Where Chroma answers: the server of CHROMA_URL, or one of our own while somebody needs it."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bookbrain.errors import UnavailableError
from bookbrain.files import file_lock, is_locked, remove
from bookbrain.messages import fill
from bookbrain.paths import LibraryPaths
from bookbrain.processes import start_module
from bookbrain.settings import ChromaSettings

_START_SECONDS = 60.0


@contextmanager
def chroma_server(home: Path, configured: ChromaSettings) -> Iterator[ChromaSettings]:
    """How a Chroma server is reached; ours runs at least until the block ends.

    Raises UnavailableError when ours does not start.
    """
    if configured.url:
        yield configured
        return
    with ExitStack() as using:
        try:
            using.enter_context(file_lock(LibraryPaths(home).chroma_users, shared=True))
            with file_lock(LibraryPaths(home).chroma_start):
                running = is_locked(LibraryPaths(home).chroma_server)
                port = (_port(home) if running else None) or _start(home)
        except OSError as error:
            raise UnavailableError(
                fill("The Chroma server cannot work here: {error}.", error=error),
                "It needs room, and to write.",
            ) from error
        yield ChromaSettings(f"http://127.0.0.1:{port}")


def _port(home: Path) -> int | None:
    try:
        return int(json.loads(LibraryPaths(home).chroma_address.read_text())["port"])
    except (OSError, ValueError, KeyError):
        return None


def _start(home: Path) -> int:
    LibraryPaths(home).chroma_address.unlink(missing_ok=True)
    with LibraryPaths(home).chroma_log.open("wb") as log:
        keeper = start_module(
            "bookbrain.store.chroma_child", str(home), stdout=log, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and keeper.poll() is None:
        if port := _port(home):
            return port
        time.sleep(0.02)
    raise UnavailableError(
        "The Chroma server did not start.",
        fill("See {log}; `bookbrain rebuild` makes it anew.", log=LibraryPaths(home).chroma_log),
    )


def wait_until_ended(home: Path) -> None:
    """Wait until our own server, which nobody uses any more, has ended."""
    deadline = time.monotonic() + _START_SECONDS
    while is_locked(LibraryPaths(home).chroma_server) and time.monotonic() < deadline:
        time.sleep(0.05)


def forget_local_chroma(home: Path) -> None:
    """Delete our own server's data, unless somebody uses it just now."""
    paths = LibraryPaths(home)
    if not is_locked(paths.chroma_users) and not is_locked(paths.chroma_server):
        remove(paths.chroma)
