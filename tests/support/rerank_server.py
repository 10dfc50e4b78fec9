"""A stand-in for a reranker: a real HTTP server on loopback that can be slow, broken or wrong.

It gives each document the number of words of the query in it.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class RerankServer:
    """Serves from construction until `close`. `answer` is sent in place of the right one, with
    `status`; each part of an answer comes `seconds` after the one before."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.answer: bytes | None = None
        self.status = 200
        self.seconds = 0.0
        self.parts = 1
        self.stopping = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What BOOKBRAIN_RERANK_URL is set to."""
        return f"http://127.0.0.1:{self._http.server_port}/v1/rerank"

    def close(self) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Http(ThreadingHTTPServer):
    owner: RerankServer
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        owner = self.server.owner
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        owner.asked.append(asked)
        owner.keys.append(self.headers["authorization"])
        body = owner.answer if owner.answer is not None else _answer(asked)
        owner.stopping.wait(owner.seconds)
        self.send_response(owner.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        size = -(-len(body) // owner.parts) or 1
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            self.wfile.flush()
            owner.stopping.wait(owner.seconds)


def _answer(asked: dict[str, Any]) -> bytes:
    words = asked["query"].lower().split()
    scores = [sum(text.lower().count(w) for w in words) for text in asked["documents"]]
    ranked = sorted(range(len(scores)), key=lambda n: -scores[n])[: asked["top_n"]]
    results = [{"index": n, "relevance_score": float(scores[n])} for n in ranked]
    return json.dumps({"id": "x", "model": asked.get("model"), "results": results}).encode()
