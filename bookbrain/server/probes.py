"""What the machine's programs, files, services and its site answer."""

import http.client
import ipaddress
import socket
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bookbrain.processes import run_program

_SECONDS = 20  # for a program
_PATIENCE = 5.0  # seconds for a service on this machine
_MOST = 100  # characters of an answer


def output_of(*command: str) -> str | None:
    """What the command prints; None where there is no such program, or it fails."""
    try:
        ended = run_program(command, timeout=_SECONDS)
    except OSError:
        return None
    return ended.stdout if ended.code == 0 else None


def text_of(path: Path) -> str:
    """The text of a file, "" without one."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class HttpAnswer(NamedTuple):
    """An HTTP status and how the body begins; 0 and why, when nobody answered."""

    status: int
    text: str


def answer_of(url: str, patience: float = _PATIENCE) -> HttpAnswer:
    """What GET on `url` answers, each part of it in so many seconds; proxies are not asked."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        return answer_on(kind(parts.hostname or "", parts.port, timeout=patience), parts.path)
    except ValueError as error:  # a port that is none
        return HttpAnswer(0, str(error))


def answer_on(connection: http.client.HTTPConnection, path: str) -> HttpAnswer:
    """What GET on `path` answers; closes the connection."""
    try:
        connection.request("GET", path or "/", headers={"Connection": "close"})
        response = connection.getresponse()
        return HttpAnswer(response.status, response.read(_MOST).decode(errors="replace").strip())
    except (OSError, http.client.HTTPException) as error:
        return HttpAnswer(0, str(error))
    finally:
        connection.close()


def chroma_answers(url: str) -> bool:
    """Whether the Chroma server at `url` lives."""
    base = url.rstrip("/").removesuffix("/api/v2")
    return answer_of(f"{base}/api/v2/heartbeat").status in (200, 401, 403)  # it may want a token


_TLS_SECONDS = 5.0
_PORT = 443
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL; Python has no name for it
Address = tuple[str, int]


@dataclass(frozen=True)
class Certificate:
    """`distrust` is why a browser would not trust it, "" when it would; times are UTC."""

    issuer: str
    begins: datetime
    ends: datetime
    distrust: str

    def left(self, now: datetime) -> timedelta:
        return self.ends - now

    def ends_soon(self, now: datetime) -> bool:
        """Less than 14 days, and long after Caddy renews: when a third of its life is left."""
        return self.left(now) < min(timedelta(days=14), (self.ends - self.begins) / 4)


def door_of(domain: str) -> Address:
    """Where the site of `domain` is reached from this machine.

    That is where Caddy chooses the certificate by the name, which a browser does not send for an
    IP address: then Caddy goes by the address that was called.
    """
    try:
        return str(ipaddress.ip_address(domain)), _PORT
    except ValueError:
        return "127.0.0.1", _PORT


def read_certificate(domain: str, door: Address) -> Certificate | None:
    """The certificate that is shown for `domain`; None when there is none, or nobody listens."""
    blind = _context()
    blind.verify_mode = ssl.CERT_NONE
    try:
        with _connect(domain, door, blind) as connection:
            der = connection.getpeercert(binary_form=True)
        # Only of a certificate that was verified Python tells what it says: by itself it is.
        sure = _context()
        sure.load_verify_locations(cadata=der or b"")
        sure.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
        with _connect(domain, door, sure) as connection:
            says: dict[str, Any] = connection.getpeercert() or {}
        return Certificate(
            _issuer(says),
            _time(says["notBefore"]),
            _time(says["notAfter"]),
            _distrust(domain, door),
        )
    except (OSError, ValueError, KeyError):
        return None


def answer_of_site(domain: str, door: Address) -> HttpAnswer:
    """What the site answers without a password, whatever its certificate."""
    blind = _context()
    blind.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPConnection(domain)
    try:
        connection.sock = _connect(domain, door, blind)
    except (OSError, ValueError) as error:
        return HttpAnswer(0, str(error))
    return answer_on(connection, "/")


def _distrust(domain: str, door: Address) -> str:
    try:
        _connect(domain, door, ssl.create_default_context()).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    return ""


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return context


def _connect(domain: str, door: Address, context: ssl.SSLContext) -> ssl.SSLSocket:
    with ExitStack() as closing:
        plain = closing.enter_context(socket.create_connection(door, timeout=_TLS_SECONDS))
        wrapped = context.wrap_socket(plain, server_hostname=domain)
        closing.pop_all()  # it is part of the wrapped one now
        return wrapped


def _issuer(says: dict[str, Any]) -> str:
    """ "Let's Encrypt R11", of the organisation and the common name."""
    names = {name: value for ((name, value),) in says["issuer"]}
    return " ".join(filter(None, (names.get("organizationName"), names.get("commonName"))))


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
