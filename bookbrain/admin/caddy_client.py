"""The client of Caddy's admin API, also by a unix socket. Only a server has its library."""

import json
import pwd
import socket
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import requests
from caddy_api_client import CaddyAPIClient
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

from bookbrain.admin.asking import text_of

_SCHEME = "http+unix://"
_SECONDS = 30
_LISTENS = "0A"  # the state of a socket in /proc/net/tcp


class _Connection(HTTPConnection):
    """To a socket whose path is the quoted name of the host."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(unquote(self.host))


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _Sockets(HTTPAdapter):
    """Sends requests for `http+unix://<quoted path>/…`."""

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> HTTPConnectionPool:
        return _Pool(urlsplit(str(request.url)).netloc)


class Client(CaddyAPIClient):  # type: ignore[misc]
    """CaddyAPIClient, whose own requests know no sockets."""

    def __init__(self, listen: str) -> None:
        """`listen` is an address as Caddy's configuration has it: unix//path, or host:port."""
        network, slash, path = listen.partition("/")
        self._headers = {}
        if network == "unix" and slash:
            super().__init__(_SCHEME + quote(path.partition("|")[0], safe=""))
            self._headers = {"Host": ""}  # the only one that Caddy 2.6 takes from a socket
        else:
            host, _, port = listen.removeprefix("tcp/").rpartition(":")
            super().__init__(f"http://{host or 'localhost'}:{port}")
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy is between
        self._session.mount(_SCHEME, _Sockets())

    def _make_request(
        self,
        method: str,
        endpoint: str,
        data: object = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        """As the one that it overrides; raises a RequestException."""
        answer = self._session.request(
            method,
            self.base_url + endpoint,
            data=json.dumps(data) if data else None,
            headers={"Content-Type": "application/json"} | self._headers | (headers or {}),
            timeout=_SECONDS,
        )
        answer.raise_for_status()
        return answer


def send(listen: str, config: object) -> str | None:
    """Let the Caddy that listens there work by `config`.

    "" when it does, else why it does not; None when no Caddy is there.
    """
    if not listen.startswith("unix/") and not _is_caddys(listen):
        return None
    try:
        Client(listen)._make_request("POST", "/load", config)
    except requests.HTTPError as error:
        return _reason(error.response.text if error.response is not None else "")
    except requests.ConnectionError:
        return None
    return ""


def read(listen: str) -> object:
    """What the Caddy that listens there works by; None when none is there."""
    try:
        return Client(listen)._make_request("GET", "/config/").json()
    except requests.RequestException:
        return None


def _reason(body: str) -> str:
    """Of an answer {"error": "…"}."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body or "?"


def _is_caddys(listen: str) -> bool:
    """Whether only root or Caddy's user waits at this port: the configuration has secrets, and
    where Caddy does not run anybody can listen."""
    port = listen.rpartition(":")[2]
    owners = {
        int(fields[7])
        for table in ("tcp", "tcp6")
        for fields in map(str.split, text_of(Path("/proc/net", table)).splitlines()[1:])
        if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == int(port or 0)
    }
    return bool(owners) and owners <= _trusted()


def _trusted() -> set[int]:
    """Root, and Caddy's user where there is one."""
    try:
        return {0, pwd.getpwnam("caddy").pw_uid}
    except KeyError:
        return {0}
