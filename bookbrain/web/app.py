"""The ASGI app: Streamlit's pages and the plain routes in one, for those who may ask.

A browser lets every page send requests to every address. A page whose name is made to lead here
(DNS rebinding) is refused by the name in `Host`. What a page of another site asks for is refused by
`Origin`, and by `Sec-Fetch-Site` where a browser sends it: to https, localhost and 127.0.0.1.
Programs that are no browsers send neither, and go on working.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config, runtime
from streamlit import logger as streamlit_logger

from bookbrain.errors import BookBrainError
from bookbrain.library import sweep_uploads
from bookbrain.messages import language, translated
from bookbrain.paths import Layout, site_domain
from bookbrain.settings import Settings, host_name
from bookbrain.web.activity import activity_routes
from bookbrain.web.agent_endpoint import AgentEndpoint
from bookbrain.web.answer_stream import ask_route
from bookbrain.web.api import Health, make_routes
from bookbrain.web.ask_page import ask_routes
from bookbrain.web.reader import reader_routes
from bookbrain.web.shelf import Ingestion, Shelf, make_desk, use_shelf
from bookbrain.web.uploads import LARGEST, ToDisk, Uploads

_POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  (what listens on every address)
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]@]*)(:[0-9]{1,5})?", re.ASCII)
_PORTS = {"http": ":80", "https": ":443"}
_OWN = ("same-origin", "none")  # of Sec-Fetch-Site; "none" is a person who typed the address
_NO_PAGES = (
    "api",
    "mcp",
    "_stcore",
)  # first parts of paths that a link of another site has no use for
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


_OFTEN = 5.0  # seconds between two looks for tabs that are closed
_SCRIPT = Path(__file__).with_name("frame.py")
# Whatever STREAMLIT_* variables and .streamlit/config.toml of the working directory say.
_OPTIONS: dict[str, Any] = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.showSidebarNavigation": False,
    "client.toolbarMode": "minimal",
    "global.developmentMode": False,
    "logger.enableRich": False,
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,  # each run would end in 0.2 s of it, while the browser waits
    "server.allowedHosts": [],
    "server.baseUrlPath": "",
    "server.enableAgentApi": False,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": LARGEST >> 20,
    "server.runOnSave": False,
    "server.scriptHealthCheckEnabled": False,
    "theme.baseRadius": "0.4rem",
    "theme.font": "system-ui, 'Apple SD Gothic Neo', 'Noto Sans KR', sans-serif",
    "theme.light.backgroundColor": "#fcfcfa",
    "theme.light.secondaryBackgroundColor": "#f1f1ed",
    "theme.light.textColor": "#22262b",
    "theme.light.primaryColor": "#2b5c8a",
    "theme.light.linkColor": "#2b5c8a",
    "theme.dark.backgroundColor": "#16191d",
    "theme.dark.secondaryBackgroundColor": "#20252b",
    "theme.dark.textColor": "#e4e6e9",
    "theme.dark.primaryColor": "#7fb0dd",
    "theme.dark.linkColor": "#8fbce6",
}


def make_app(settings: Settings, names: Names) -> ASGIApp:
    """The app on the library of `settings`, which it opens when it is first asked by its `names`.

    One in a process: Streamlit's options and the shelf of its pages are the process's.
    """
    _configure_streamlit()
    shelf, health = Shelf(settings), Health(settings)
    desk, uploads, agents = make_desk(settings), shelf.uploads, AgentEndpoint(shelf)
    use_shelf(shelf, desk)

    @asynccontextmanager
    async def lifespan(app: streamlit.App) -> AsyncIterator[None]:
        sweep_uploads(settings.home)
        uploads.sweep()
        forgetting = asyncio.create_task(_forget_absent(uploads))
        ingestion = None if settings.home == Layout().home else Ingestion(shelf)
        if ingestion:
            shelf.wake_ingestion = ingestion.wake
        Thread(target=shelf.wake_chroma, name="wake Chroma", daemon=True).start()
        try:
            yield
        finally:
            if ingestion:
                ingestion.close()
            forgetting.cancel()
            await agents.close()
            health.close()
            desk.close()
            shelf.close()

    asking = [ask_route(shelf), *ask_routes(shelf), *agents.routes()]
    plain = [*asking, *activity_routes(shelf), *reader_routes(shelf), *make_routes(shelf, health)]
    pages = streamlit.App(
        _SCRIPT, lifespan=lifespan, routes=plain, middleware=[Middleware(ToDisk, uploads)]
    )
    return OwnOrigin(pages, names)  # in front of all that Streamlit has of its own, too


async def _forget_absent(uploads: Uploads) -> None:
    """Every few seconds, remove what tabs have left behind that are closed."""
    while True:
        await asyncio.sleep(_OFTEN)
        uploads.forget_absent(runtime.get_instance().is_active_session)


def _configure_streamlit() -> None:
    for name, value in _OPTIONS.items():
        config.set_option(name, value)
    # Its loggers, also those that it makes later, get handlers of their own, which would show what
    # an exception quotes; ours are to have their records.
    streamlit_logger.setup_formatter = _hand_over
    streamlit_logger.set_log_level("warning")
    streamlit_logger.update_formatter()


def _hand_over(logger: logging.Logger) -> None:
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True
