"""The owner's webhook: who is told of trouble, outside of the host."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Owner(ThreadingHTTPServer):
    """Whom the webhook reaches; `told` is every message."""

    def __init__(self, address: str) -> None:
        self.told: list[dict[str, str]] = []
        super().__init__((address, 0), _Hook)

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]}:{self.server_port}/x"


class _Hook(BaseHTTPRequestHandler):
    server: Owner

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def owner_at(address: str) -> Iterator[Owner]:
    """One who listens at this address until the block ends."""
    made = Owner(address)
    threading.Thread(target=made.serve_forever, args=(0.05,)).start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
