"""`/mcp`: the library for editors and agents that speak MCP over HTTP (streamable, stateless).

`/mcp/token` is the same for who has a token of the server's, and open to nobody else, whatever
stands in front of it: Caddy sends there what comes with one, and asks by HEAD whether it is valid.

The server is made when somebody first asks: nobody else pays for what it loads.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from bookbrain.errors import BookBrainError
from bookbrain.paths import Layout, layout_of
from bookbrain.remote import in_thread
from bookbrain.server.agent_tokens import is_valid
from bookbrain.web.shelf import Shelf

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

_LARGEST = 1 << 18  # bytes of a request
_METHODS = ["GET", "POST", "DELETE"]
_OFTEN = 2.0  # seconds between two looks whether a token is still valid
_SCHEME = "bearer"
_log = logging.getLogger(__name__)


class AgentEndpoint:
    """The ASGI app of one address; `close` ends what is under way."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._starting = asyncio.Lock()
        self._manager: StreamableHTTPSessionManager | None = None
        self._ended = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        """That for who has come in, and that for who has a token."""
        door = TokenDoor(self, layout_of(self._shelf.home))
        return [
            Route("/mcp", self, methods=_METHODS),
            Route("/mcp/token", door, methods=[*_METHODS, "HEAD"]),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._starting:
            if self._manager is None:
                self._manager = await self._start()
        await self._manager.handle_request(scope, receive, send)

    async def close(self) -> None:
        self._ended.set()
        if self._running:
            await self._running

    async def _start(self) -> "StreamableHTTPSessionManager":
        manager = await in_thread(self._make)
        started = asyncio.Event()
        self._running = asyncio.create_task(self._run(manager, started))
        await started.wait()
        return manager

    async def _run(self, manager: "StreamableHTTPSessionManager", started: asyncio.Event) -> None:
        """The block of the manager begins and ends in one task, as its task group demands."""
        async with manager.run():
            started.set()
            await self._ended.wait()

    def _make(self) -> "StreamableHTTPSessionManager":
        from mcp.server.transport_security import TransportSecuritySettings  # noqa: PLC0415

        from bookbrain.web.agent_tools import make_server  # noqa: PLC0415  (loads slowly)

        server = make_server(self._shelf)
        server.streamable_http_app(
            stateless_http=True, json_response=True, max_request_body_size=_LARGEST,
            transport_security=TransportSecuritySettings(  # `OwnOrigin` has looked at both
                enable_dns_rebinding_protection=False
            ),
        )  # fmt: skip
        return server.session_manager


class TokenDoor:
    """Lets those to `agents` who have a token of the server `layout`, as long as that is valid."""

    def __init__(self, agents: AgentEndpoint, layout: Layout | None) -> None:
        self._agents = agents
        self._layout = layout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = _token_of(Headers(scope=scope))
        if not self._is_valid(token):
            await _REFUSED(scope, receive, send)
        elif scope["method"] == "HEAD":
            await Response(status_code=204)(scope, receive, send)
        else:
            await self._attend(token, scope, receive, send)

    async def _attend(self, token: str, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer may take minutes, and a stream lasts: both end with the right to them."""
        begun = False

        async def telling(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        work = asyncio.ensure_future(self._agents(scope, receive, telling))
        try:
            while not (await asyncio.wait({work}, timeout=_OFTEN))[0]:
                if not self._is_valid(token):
                    break
            else:
                work.result()  # its fault is ours
                return
        finally:
            work.cancel()
        await asyncio.wait({work})
        if begun:
            await send({"type": "http.response.body", "body": b""})
        else:
            await _REFUSED(scope, receive, send)

    def _is_valid(self, token: str) -> bool:
        if not token or self._layout is None:
            return False
        try:
            return is_valid(self._layout, token)
        except BookBrainError as error:
            _log.error("No token is valid: %s", error.for_log)
            return False


_REFUSED = Response(
    status_code=401,
    headers={"WWW-Authenticate": 'Bearer realm="BookBrain"', "Cache-Control": "no-store"},
)


def _token_of(headers: Headers) -> str:
    """The only token that a request brings; "" for none, or several."""
    given = headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == _SCHEME else ""
