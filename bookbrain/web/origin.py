"""Who may ask: our own names only, and nothing for the pages of other sites.

A browser lets every page send requests to every address. A page whose name is made to lead here
(DNS rebinding) is refused by the name in `Host`. What a page of another site asks for is refused by
`Origin`, and by `Sec-Fetch-Site` where a browser sends it: to https, localhost and 127.0.0.1.
Programs that are no browsers send neither, and go on working.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bookbrain.errors import BookBrainError
from bookbrain.messages import language, translated
from bookbrain.paths import Layout, site_domain
from bookbrain.settings import Settings, host_name

_POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  (what listens on every address)
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]@]*)(:[0-9]{1,5})?", re.ASCII)
_PORTS = {"http": ":80", "https": ":443"}
_OWN = ("same-origin", "none")  # of Sec-Fetch-Site; "none" is a person who typed the address
_NO_PAGES = ("api", "_stcore")  # first parts of paths that a link of another site has no use for
# Caddy sets the same: they are here for those who have no Caddy.
_HEADERS = {
    "content-security-policy": "frame-ancestors 'self'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
}


@dataclass(frozen=True, slots=True)
class Names:
    """The names and addresses of an app that listens on `host`, which is the address `address`.

    Those of the machine itself; `host`; any address where it listens on all, for no page of the
    internet can have one as its name; what the settings allow; and the domain of the server's site,
    as it is now.
    """

    settings: Settings
    host: str
    address: str
    layout: Layout = field(default_factory=Layout)

    def have(self, host: str) -> bool:
        """Whether `host`, as `host_name` writes it, is one of them."""
        return bool(host) and (self._is_address(host) or host in self._named())

    def _is_address(self, host: str) -> bool:
        try:
            return ip_address(host).is_loopback or self.address in _ANYWHERE
        except ValueError:
            return host == "localhost"

    def _named(self) -> Iterator[str]:
        yield from (host_name(self.host), host_name(self.address))
        yield from self.settings.allowed_hosts
        if self.settings.home == self.layout.home:
            yield host_name(site_domain(self.layout))


class OwnOrigin:
    """Refuses what comes under another name, or from a page of another site.

    Streamlit refuses most of the latter's WebSockets too, but it lets every page of this machine
    in, and to find out the rest it asks a server on the internet for our address and holds up the
    event loop meanwhile.
    """

    def __init__(self, app: ASGIApp, names: Names) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if scope["type"] == "http":
            await (refused or self._app)(scope, receive, _shielded(send))
        elif refused:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        given = headers.getlist("host")
        if len(given) != 1 or not self._names.have(_host_of(given[0])):
            return _refuse(421, headers, BookBrainError(
                "This is not a name of this BookBrain.",
                "If it is one, add it to BOOKBRAIN_ALLOWED_HOSTS and start BookBrain again.",
            ))  # fmt: skip
        if not _is_own(headers, given[0]) and not _is_visit(scope, headers):
            return _refuse(403, headers, BookBrainError(
                "A page of another site asked for this.",
                "Open BookBrain itself; a proxy in front of it has to pass `Host` on.",
            ))  # fmt: skip
        return None


def _host_of(authority: str) -> str:
    """The name or address in RFC 9110's `Host`; "" where it is none."""
    match = _AUTHORITY.fullmatch(authority)
    return host_name(match[1]) if match and authority.isascii() else ""


def _is_own(headers: Headers, host: str) -> bool:
    """Whether nothing says that it was asked for by a page of another site."""
    own = headers.get("sec-fetch-site", "none") in _OWN
    return own and all(_leads_to(origin, host) for origin in headers.getlist("origin"))


def _leads_to(origin: str, host: str) -> bool:
    scheme, _, authority = origin.lower().partition("://")
    port = _PORTS.get(scheme)  # which either may leave out
    return port is not None and authority.removesuffix(port) == host.lower().removesuffix(port)


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Whether a person follows a link to a page: it takes the place of the other site's."""
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and "origin" not in headers
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and scope["path"].lstrip("/").partition("/")[0] not in _NO_PAGES
    )


def _refuse(status: int, headers: Headers, error: BookBrainError) -> Response:
    tongue = language({"LANG": headers.get("accept-language", "").partition(",")[0]})
    text = f"{translated(error.message, tongue)}\n{translated(error.hint, tongue)}\n"
    return PlainTextResponse(text, status, {"Cache-Control": "no-store"})


def _shielded(send: Send) -> Send:
    """Answers that other sites can neither show in a frame nor take as a part of a page."""

    async def shielded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return shielded
