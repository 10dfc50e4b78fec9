"""The certificate that the site shows, and what the site answers."""

import http.client
import ipaddress
import socket
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bookbrain.admin.asking import Answer, answer_on

_SECONDS = 5.0
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


def answer_of_site(domain: str, door: Address) -> Answer:
    """What the site answers without a password, whatever its certificate."""
    blind = _context()
    blind.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPConnection(domain)
    try:
        connection.sock = _connect(domain, door, blind)
    except (OSError, ValueError) as error:
        return Answer(0, str(error))
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
        plain = closing.enter_context(socket.create_connection(door, timeout=_SECONDS))
        wrapped = context.wrap_socket(plain, server_hostname=domain)
        closing.pop_all()  # it is part of the wrapped one now
        return wrapped


def _issuer(says: dict[str, Any]) -> str:
    """ "Let's Encrypt R11", of the organisation and the common name."""
    names = {name: value for ((name, value),) in says["issuer"]}
    return " ".join(filter(None, (names.get("organizationName"), names.get("commonName"))))


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
