"""A small server on this machine: it answers as a test says, and knows what it was asked."""

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self


class LoopbackServer(ThreadingHTTPServer):
    """Serves while its block lasts, whoever leaves meanwhile; `stopping` is set at its end."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), handler)

    def handle_error(self, *_: object) -> None:
        """Somebody did not wait, or does not trust us: no news."""

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class StandIn(LoopbackServer):
    """`answer` makes of a path the status, 0 for silence, and the body; `calls` has the path, the
    headers and the body of each request. So many `parts` of an answer come `seconds` after one
    another, and the first so long after the request."""

    def __init__(
        self, answer: Callable[[str], tuple[int, bytes]], context: ssl.SSLContext | None = None
    ) -> None:
        self.answer = answer
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.seconds = 0.0
        self.parts = 1
        super().__init__(_Handler)
        self.place = f"127.0.0.1:{self.server_port}"
        self.url = f"http{'s' if context else ''}://{self.place}"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def json(self, number: int = -1) -> dict[str, Any]:
        """What was sent to it, of all requests the last one."""
        return dict(json.loads(self.calls[number][2]))


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls.append((self.path, dict(self.headers), body))
        status, said = self.server.answer(self.path)
        if status == 0:
            self.close_connection = True
            return
        self.server.stopping.wait(self.server.seconds)
        self.send_response(status)
        if status // 100 == 3:
            self.send_header("Location", self.server.url + "/other")
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        size = -(-len(said) // self.server.parts) or 1
        for start in range(0, len(said), size):
            self.wfile.write(said[start : start + size])
            self.server.stopping.wait(self.server.seconds)

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...


def make_certificate(
    folder: Path, subject: str = "/CN=127.0.0.1", days: int = 30
) -> ssl.SSLContext:
    """A server's that nobody else has signed, and holds for so many days; its files in `folder`."""
    for command in (
        ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", "key", "-out", "request", "-subj", subject],
        ["x509", "-req", "-in", "request", "-signkey", "key", "-out", "certificate",
         "-days", str(days)],
    ):  # fmt: skip
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


def free_ports(count: int = 1) -> list[int]:
    with ExitStack() as opened:
        probes = [opened.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
