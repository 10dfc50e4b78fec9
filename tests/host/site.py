"""A site as a visitor meets it: HTTPS to an address, under a name, with a root to trust."""

import base64
import http.client
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Site:
    """The site `name` at `address`. `root` is the PEM of the authority that it must show.

    `source` is the address of this machine that it is asked from, "" where that does not matter.
    """

    address: str
    name: str
    root: str
    source: str = ""

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """One request over HTTPS; `_` in a header's name is a dash."""
        wrapped = self._connect()
        try:
            return self._ask(wrapped, path, method, headers)
        finally:
            wrapped.close()

    def hang_up(self, **headers: str) -> None:
        """One request whose answer is not waited for."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        wrapped = self._connect()
        try:
            wrapped.sendall(f"GET / HTTP/1.1\r\nHost: {self.name}\r\n{lines}\r\n".encode())
            time.sleep(0.1)  # a request that is taken back before it was read is none
        finally:
            wrapped.close()

    def keep(self) -> "Kept":
        """A connection for several requests."""
        return Kept(self, self._connect())

    def ask_plainly(self, path: str) -> Answer:
        """One request over HTTP."""
        plain = socket.create_connection((self.address, 80), 30)
        try:
            return self._ask(plain, path, "GET", {})
        finally:
            plain.close()

    def open_websocket(self, **headers: str) -> int:
        """The status of an attempt to open Streamlit's WebSocket: 101 when it is open."""
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": key,
            "Origin": f"https://{self.name}",
        }
        return self.ask("/_stcore/stream", **upgrade, **headers).status

    def _connect(self) -> ssl.SSLSocket:
        trusted = ssl.create_default_context(cadata=self.root)
        source = (self.source, 0) if self.source else None
        plain = socket.create_connection((self.address, 443), 30, source)
        return trusted.wrap_socket(plain, server_hostname=self.name)

    def _ask(
        self, connected: socket.socket, path: str, method: str, headers: Mapping[str, str]
    ) -> Answer:
        connection = http.client.HTTPConnection(self.name)
        connection.sock = connected
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        answer = connection.getresponse()
        body = b"" if answer.status == 101 else answer.read()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, body)


@dataclass(frozen=True, slots=True)
class Kept:
    """A connection that was made once."""

    site: Site
    connected: socket.socket

    def ask(self, path: str) -> Answer:
        return self.site._ask(self.connected, path, "GET", {})


def password(user: str, word: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()
