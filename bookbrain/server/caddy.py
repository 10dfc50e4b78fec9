"""Caddy: the program, its admin API, and changes of the site that reach all or nothing."""

import json
import os
import pwd
import re
import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import requests
from caddy_api_client import CaddyAPIClient
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

from bookbrain.errors import BookBrainError, ConfigError, UnavailableError
from bookbrain.files import file_lock, new_file, write_file
from bookbrain.messages import fill
from bookbrain.paths import Layout
from bookbrain.processes import Ended, describe_exit, run_program
from bookbrain.server.access import NOBODY, Site, read_site, write_site
from bookbrain.server.caddyfile import (
    PACKAGED,
    Version,
    is_chosen,
    listen_address,
    site_piece,
    socket_address,
    with_socket,
)
from bookbrain.server.probes import text_of

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
    trusted = {0}
    with suppress(KeyError):  # there is no such user
        trusted.add(pwd.getpwnam("caddy").pw_uid)
    return bool(owners) and owners <= trusted


_NEWEST = (2, 99)
_LABEL = "Error: "
_UNCHANGED = "The site is as it was. Mend what Caddy names and run this again."


@dataclass(frozen=True)
class Caddy:
    """Where the running one listens to us is said by its configuration."""

    program: str = "caddy"

    def version(self) -> Version:
        """Of the program; a build that does not say counts as new."""
        found = re.search(r"(\d+)\.(\d+)\.", self._run("version").stdout)
        return (int(found[1]), int(found[2])) if found else _NEWEST

    def adapted(self, caddyfile: Path) -> str:
        """The JSON of a Caddyfile; raises BookBrainError with what Caddy finds wrong in it."""
        ended = self._run("adapt", "--adapter", "caddyfile", "--config", str(caddyfile))
        if ended.code:
            lines = ended.stderr.strip().splitlines() or [describe_exit(ended.code)]
            raise _refusal(lines[-1].removeprefix(_LABEL))
        return ended.stdout

    def load(self, config: str) -> None:
        """Let the running server work by `config`, or go on as before and raise BookBrainError.

        It is looked for where `config` has it listen, then where Caddy listens by itself: it may
        not have heard of that yet. Raises UnavailableError when it does not answer.
        """
        listen = listen_address(config)
        if not listen:
            raise ConfigError(
                "Caddy takes no changes while it runs: `admin off` is among its options.",
                "Take that out of /etc/caddy/Caddyfile, then: sudo systemctl restart caddy",
            )
        for address in dict.fromkeys((listen, PACKAGED)):
            refused = send(address, json.loads(config))
            if refused == "":
                return
            if refused is not None:
                raise _refusal(refused)
        raise UnavailableError(
            fill("Caddy does not answer at {url}.", url=listen),
            "Start it: sudo systemctl restart caddy",
        )

    def works_by(self, config: str) -> bool:
        """Whether the running server does."""
        listen = listen_address(config)
        return bool(listen) and read(listen) == json.loads(config)

    def _run(self, *args: str) -> Ended:
        try:
            return run_program([self.program, *args], timeout=_SECONDS)
        except FileNotFoundError as error:
            raise UnavailableError(
                "Caddy is not installed.", "Install it: sudo apt-get install caddy"
            ) from error


def _refusal(reason: str) -> BookBrainError:
    return BookBrainError(fill("Caddy refuses this: {reason}", reason=reason), _UNCHANGED)


@dataclass(frozen=True)
class Machine:
    """The server that is looked after."""

    layout: Layout = field(default_factory=Layout)
    caddy: Caddy = field(default_factory=Caddy)
    systemctl: str = "systemctl"


def change_site(machine: Machine, alter: Callable[[Site | None], Site]) -> bool:
    """Publish what `alter` makes of the site; False when that is what is there already.

    Raises what `alter` raises, and BookBrainError when Caddy does not take it; all is then as it
    was. Cut off in between, the same command makes it whole.
    """
    layout, caddy = machine.layout, machine.caddy
    with file_lock(layout.etc / "site.lock"), ExitStack() as refused:
        old = read_site(layout)
        new = alter(old)
        path = layout.site_piece
        before = path.read_bytes() if path.exists() else None
        piece = site_piece(new, caddy.version(), layout.sign_in_socket).encode()
        _close_admin(machine, refused)
        if piece != before:
            _write_piece(path, piece)
            refused.callback(_put_back, path, before)
        config = _configuration(machine, new)
        known = new == old and piece == before and layout.address.exists()
        if known and caddy.works_by(config):
            return False
        caddy.load(config)
        refused.pop_all()
        write_site(layout, new)
        return True


def _configuration(machine: Machine, site: Site) -> str:
    """The JSON of the machine's Caddyfile; raises ConfigError when our site is not in it."""
    config = machine.caddy.adapted(machine.layout.caddyfile)
    if NOBODY.password not in config or site.domain not in config:
        raise ConfigError(
            fill("{path} does not import BookBrain's Caddyfile.", path=machine.layout.caddyfile),
            fill("Add this line at its end: import {folder}/Caddyfile", folder=machine.layout.etc),
        )
    return config


def _close_admin(machine: Machine, refused: ExitStack) -> None:
    """Have the machine's Caddyfile keep its admin API for root and Caddy, unless it says where
    that is; `refused` takes it back."""
    caddy, socket = machine.caddy, machine.layout.caddy_socket
    path = machine.layout.caddyfile.resolve()
    with suppress(OSError, BookBrainError):  # what is wrong with it is said when all is adapted
        if is_chosen(caddy.adapted(path)):
            return
        before = path.read_bytes()
        text = with_socket(before.decode(errors="surrogateescape"), socket)
        with ExitStack() as useless:
            useless.callback(_replace, path, before)
            _replace(path, text.encode(errors="surrogateescape"))
            # Where its options come from another file, these are options for a second time.
            if listen_address(caddy.adapted(path)) == socket_address(socket):
                refused.push(useless.pop_all())


def _put_back(path: Path, before: bytes | None) -> None:
    if before is None:
        path.unlink()
    else:
        _write_piece(path, before)


def _replace(path: Path, data: bytes) -> None:
    """Another content for a file that stays whose it was."""
    was = path.stat()
    with new_file(path, shared=True) as file:
        os.fchown(file.fileno(), was.st_uid, was.st_gid)
        os.fchmod(file.fileno(), was.st_mode & 0o7777)
        file.write(data)


def _write_piece(path: Path, piece: bytes) -> None:
    """It holds secrets: for root, and for Caddy where that is another user."""
    path.parent.mkdir(mode=0o750, exist_ok=True)
    write_file(path, piece, 0o640)
    path.chmod(0o640)
    for ours in (path.parent, path):
        with suppress(LookupError, PermissionError):
            shutil.chown(ours, group="caddy")
