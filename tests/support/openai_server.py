"""A stand-in for OpenAI: a real HTTP server on loopback, with faults on demand.

It embeds, and says what is on pictures: what `read_picture` makes of one.

    with OpenAIServer(key="sk-test") as server:
        client = openai.OpenAI(api_key=server.key, base_url=server.url)
        server.fail("status", status=429, retry_after=0.1, times=2)

As a process of its own, `python -m support.openai_server --port 0 --key K` prints its URL as its
first line; `support.openai_process.OpenAIProcess` starts it so, and has the same controls.
"""

import argparse
import gzip
import json
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from support.openai_api import (
    ESCAPE,
    MODELS,
    UNSOUND,
    WIRE,
    ApiError,
    Call,
    Fault,
    Kind,
    answer,
    read_call,
)  # fmt: skip
from support.openai_ledger import Ledger, Served
from support.pictures_api import PictureCall, ReadPicture, picture_answer, read_picture_call


class OpenAIServer(Ledger):
    """A ledger with a door: serves from construction until `close`.

    `models` maps the name of a model to its native dimensions.
    """

    def __init__(
        self, key: str = "sk-test", port: int = 0, models: Mapping[str, int] = MODELS
    ) -> None:
        super().__init__()
        self.key = key
        self.models = dict(models)
        self.read_picture: ReadPicture = lambda picture: "nothing"
        self.stopping = threading.Event()
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def url(self) -> str:
        """What OPENAI_BASE_URL is set to."""
        return f"{self.root}/v1"

    def fail(self, kind: Kind, **options: Any) -> None:
        if kind == "bomb":
            bomb()  # made now: it takes a second of processor time
        super().fail(kind, **options)

    def close(self) -> None:
        """Stop listening, cut what is open, and wait for the handlers."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._http.shutdown()
            self._thread.join()
            self._http.hang_up()
            self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Http(ThreadingHTTPServer):
    owner: OpenAIServer
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self.open: set[socket.socket] = set()
        self.changed = threading.Condition()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.changed:
            self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self.changed:
            self.open.discard(request)
            self.changed.notify_all()

    def hang_up(self) -> None:
        with self.changed:
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the other side was first
                    continue
            self.changed.wait_for(lambda: not self.open, timeout=5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that went away is no news
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http
    timeout = 60
    disable_nagle_algorithm = True  # head and body are two writes: 40 ms an answer otherwise

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer(lambda: self._post(body))

    def _answer(self, work: Any) -> None:
        try:
            work()
        except ApiError as error:
            self.server.owner.note(Served(self.path, error.status))
            self._refuse(error)

    def _get(self) -> None:
        owner = self.server.owner
        if self.path == "/_seen":
            self._send(200, owner.as_json())
            return
        self._authorise()
        if self.path != "/v1/models":
            raise ApiError(404, f"Unknown request URL: GET {self.path}.", code="unknown_url")
        owner.note(Served(self.path, 200))
        data = [{"id": m, "object": "model", "owned_by": "stand-in"} for m in owner.models]
        self._send(200, {"object": "list", "data": data})

    def _post(self, body: bytes) -> None:
        if self.path == "/_control":
            control(self.server.owner, json.loads(body))
            self._send(200, {})
            return
        self._authorise()
        if self.path == "/v1/chat/completions":
            self._serve(read_picture_call(body))
        elif self.path == "/v1/embeddings":
            self._serve(read_call(body, self.server.owner.models))
        else:
            raise ApiError(404, f"Unknown request URL: POST {self.path}.", code="unknown_url")

    def _authorise(self) -> None:
        given = self.headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.server.owner.key:
            message = f"Incorrect API key provided: {given[:8]}***."
            raise ApiError(401, message, code="invalid_api_key")

    def _serve(self, call: Call) -> None:
        owner = self.server.owner
        met = owner.ask(call)
        served = Served(
            self.path, 0, len(call.texts), call.tokens, tuple(f.kind for f in met),
            call.model, call.dimensions, call.encoding,
        )  # fmt: skip
        owner.stopping.wait(sum(f.seconds for f in met if f.kind == "slow"))
        fault = next((f for f in met if f.kind != "slow"), None)
        kind = fault.kind if fault else None
        if owner.stopping.is_set() or self._left() or (fault and kind == "hang"):
            owner.note(served)
            owner.stopping.wait(fault.seconds if fault else 0)
            self.close_connection = True
        elif fault and kind in WIRE:
            owner.note(served)
            self.close_connection = True
            self._misbehave(fault)
        elif fault and kind in ("status", "refuse_text", "escape"):
            error = _error_of(fault)
            owner.note(replace(served, status=error.status))
            self._refuse(error)
        else:
            self._sell(call, fault, served)

    def _misbehave(self, fault: Fault) -> None:
        """What is wrong below the answer: how it comes, or where it leads."""
        match fault.kind:
            case "drip_head":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
                self._go_on(b"a", fault.seconds)
            case "drip_body":
                self._send_head(200, 1 << 30)
                self._go_on(b" ", fault.seconds)
            case "endless":
                self.send_response(200)
                self.end_headers()
                self._go_on(b" " * (1 << 16), 0)
            case "bomb":
                self.send_response(200)
                self.send_header("content-encoding", "gzip")
                self.send_header("content-length", str(len(bomb())))
                self.end_headers()
                self.wfile.write(bomb())
            case "redirect":
                self.send_response(307)
                self.send_header("location", fault.to)
                self.send_header("content-length", "0")
                self.end_headers()

    def _go_on(self, piece: bytes, seconds: float) -> None:
        while not self.server.owner.stopping.wait(seconds):
            self.wfile.write(piece)
            self.wfile.flush()

    def _sell(self, call: Call, fault: Fault | None, served: Served) -> None:
        owner = self.server.owner
        kind = fault.kind if fault else None
        if isinstance(call, PictureCall):
            body = picture_answer(call, owner.read_picture, fault)
        else:
            body = answer(call, fault)
        if kind == "cut":
            owner.sell(call)
            owner.note(served)
            self._send_head(200, len(body))
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        # Written down first: who has an answer in hand must find it counted.
        owner.note(replace(served, status=200))
        sound = kind not in UNSOUND
        if sound:
            owner.sell(call)
            owner.deliver(call)
        try:
            self._send(200, body)
        except OSError:
            if sound:
                owner.deliver(call, -1)
            raise

    def _left(self) -> bool:
        """True when the client is gone: nothing is sold to the dead."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _refuse(self, error: ApiError) -> None:
        self._send(error.status, error.body, error.retry_after)

    def _send(self, status: int, content: bytes | object, retry_after: float | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self._send_head(status, len(body), retry_after)
        self.wfile.write(body)

    def _send_head(self, status: int, length: int, retry_after: float | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(length))
        self.send_header("x-request-id", f"req_{time.monotonic_ns():x}")
        if retry_after is not None:
            self.send_header("retry-after", f"{retry_after:g}")
        self.end_headers()


def _error_of(fault: Fault) -> ApiError:
    if fault.kind == "refuse_text":
        return ApiError(400, "'$.input' is invalid. Please check the API reference.", "input")
    if fault.kind == "escape":
        return ApiError(400, ESCAPE)
    codes = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
    code = fault.code or codes.get(fault.status)
    message = f"The stand-in was told to answer {fault.status}."
    return ApiError(fault.status, message, code=code, retry_after=fault.retry_after)


@cache
def bomb() -> bytes:
    """Two gigabytes of spaces: the members of a gzip file may follow each other."""
    return gzip.compress(b" " * (1 << 26)) * 30


def control(server: OpenAIServer, order: dict[str, Any]) -> None:
    """`{"clear": true}`, `{"forget": true}` and `{"fail": {"kind": …, …}}`, in this order."""
    if order.get("clear"):
        server.clear()
    if order.get("forget"):
        server.forget()
    if order.get("fail"):
        server.fail(**order["fail"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default="sk-test")
    options = parser.parse_args()
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    with OpenAIServer(options.key, options.port) as server:
        print(server.url, flush=True)
        done.wait()


if __name__ == "__main__":
    main()
