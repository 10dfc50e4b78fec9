"""`bookbrain serve` as a process under way."""

import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from support.shelf import Done, Shelf, wait_for
from support.stand_in import free_ports
from websockets.sync.client import ClientConnection, connect


class App:
    """A serving process under way on `port`, or a free one."""

    def __init__(self, shelf: Shelf, *options: str, port: int = 0, **settings: str) -> None:
        self._shelf = shelf
        self.port = port or free_ports()[0]
        self.process = shelf.start("serve", "--port", str(self.port), *options, **settings)
        wait_for(lambda: self.health() or self.process.poll() is not None, "the app's answer")
        assert self.process.poll() is None, self.process.communicate()

    def get(self, path: str, method: str = "GET", **params: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, f"{path}?{urlencode(params)}" if params else path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def health(self) -> str:
        """The word; "" while nobody listens."""
        try:
            return self.get("/healthz")[1]
        except OSError:
            return ""

    def search(self, query: str, **params: str) -> dict[str, Any]:
        status, text = self.get("/api/search", q=query, **params)
        assert status == 200, text
        return dict(json.loads(text))

    def open_page(self) -> ClientConnection:
        """What a browser opens behind the page."""
        return connect(
            f"ws://127.0.0.1:{self.port}/_stcore/stream",
            subprotocols=["streamlit"],
            origin=f"http://127.0.0.1:{self.port}",
            max_size=None,
        )

    def end(self, number: int = signal.SIGTERM) -> Done:
        """The process's end by this signal, with code 0 and in time."""
        self.process.send_signal(number)
        self.process.wait(30)  # a search may be stuck for longer than that
        return self._shelf.finish(self.process)


@contextmanager
def serving(shelf: Shelf, *options: str, port: int = 0, **settings: str) -> Iterator[App]:
    app = App(shelf, *options, port=port, **settings)
    try:
        yield app
    finally:
        app.process.kill()
        app.process.communicate()
