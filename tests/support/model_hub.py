"""A small hub of models on this machine: its list, its files, and the ways in which it fails."""

import json
import re
import ssl
from collections.abc import Callable
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from support.stand_in import LoopbackServer

REVISION = "5e" * 20


class ModelHub(LoopbackServer):
    """Has the files of `folder` as `repository`; large ones elsewhere, where it sends who asks.

    `calls` are the paths that were asked, each with the byte from which on. An answer ends after
    `most` bytes; `say` changes the list, `elsewhere` where the large files are.
    """

    def __init__(
        self, folder: Path, repository: str, context: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(_Handler)
        self.folder = folder
        self.repository = repository
        self.calls: list[tuple[str, int]] = []
        self.most: int | None = None
        self.ranges = True
        self.say: Callable[[dict[str, Any]], object] = lambda said: None
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.server_port}"
        self.elsewhere = self.url
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def listing(self) -> dict[str, Any]:
        """As the hub says it."""
        files = []
        for path in sorted(p for p in self.folder.rglob("*") if p.is_file()):
            data = path.read_bytes()
            said: dict[str, Any] = {
                "rfilename": path.relative_to(self.folder).as_posix(), "size": len(data),
                "blobId": sha1(b"blob %d\0" % len(data) + data).hexdigest(),
            }  # fmt: skip
            if path.suffix == ".onnx":
                said["lfs"] = {"sha256": sha256(data).hexdigest(), "size": len(data)}
            files.append(said)
        said = {"id": self.repository, "sha": REVISION, "siblings": files}
        self.say(said)
        return said


class _Handler(BaseHTTPRequestHandler):
    server: ModelHub

    def do_GET(self) -> None:
        hub = self.server
        start = int((re.findall(r"\d+", self.headers.get("Range", "")) or ["0"])[0])
        hub.calls.append((self.path, start))
        path = self.path.partition("?")[0]
        commit = (re.findall("[0-9a-f]{40}", path) or [""])[0]
        prefix = f"/{hub.repository}/resolve/{commit}/"
        if path.startswith(f"/api/models/{hub.repository}"):
            self._answer(200, json.dumps(hub.listing()).encode())
        elif path.startswith(prefix) and path.endswith(".onnx"):
            self._answer(302, b"", Location=f"{hub.elsewhere}/lfs/{path.removeprefix(prefix)}")
        elif path.startswith((prefix, "/lfs/")):
            name = path.removeprefix(prefix).removeprefix("/lfs/")
            self._send_file((hub.folder / name).read_bytes(), start if hub.ranges else 0)
        else:
            self._answer(404, b"no")

    def _send_file(self, data: bytes, start: int) -> None:
        part = data[start:]
        if start:
            said = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._answer(206, part, **{"Content-Range": said})
        else:
            self._answer(200, part)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        most = self.server.most
        self.wfile.write(body if most is None or status == 302 else body[:most])
        if most is not None and len(body) > most:
            self.close_connection = True

    def log_message(self, *_: object) -> None: ...
