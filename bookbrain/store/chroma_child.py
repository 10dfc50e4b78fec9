"""Keeps a local Chroma server while any command uses it.

Two Chroma servers on one folder would corrupt it, so both this process and its server hold a lock
for as long as either lives. Commands share another lock; when nobody has that, the server ends.
"""

import fcntl
import json
import os
import signal
import socket
import sys
import time
import urllib.request
from pathlib import Path
from subprocess import Popen

from bookbrain.files import write_file
from bookbrain.paths import LibraryPaths
from bookbrain.processes import end
from bookbrain.store.chroma_server import start_server

_CHECK_SECONDS = 0.25


def main() -> None:
    home = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server_lock = os.open(LibraryPaths(home).chroma_server, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(server_lock, fcntl.LOCK_EX)  # waits for the last server to be gone
    os.set_inheritable(server_lock, True)
    users_lock = os.open(LibraryPaths(home).chroma_users, os.O_RDWR | os.O_CREAT, 0o600)
    port = _free_port()
    server = start_server(home, port)
    try:
        if _wait_until_ready(server, port):
            write_file(LibraryPaths(home).chroma_address, json.dumps({"port": port}).encode())
            _wait_until_unused(server, users_lock)
    finally:
        LibraryPaths(home).chroma_address.unlink(missing_ok=True)
        end(server, grace=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: "Popen[bytes]", port: int) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while server.poll() is None:
        try:
            with direct.open(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False


def _wait_until_unused(server: "Popen[bytes]", users_lock: int) -> None:
    while server.poll() is None:
        try:
            fcntl.flock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_CHECK_SECONDS)
        else:
            return


if __name__ == "__main__":
    main()
