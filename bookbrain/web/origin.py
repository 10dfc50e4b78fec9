"""Who may open a WebSocket: pages that this app served."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1


class SameOrigin:
    """Refuses the WebSockets of other sites' pages; browsers do not.

    Streamlit refuses most of them too, but it lets every page of this machine in, and to find out
    the rest it asks a server on the internet for our address and holds up the event loop meanwhile.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and _is_foreign(Headers(scope=scope)):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        await self._app(scope, receive, send)


def _is_foreign(headers: Headers) -> bool:
    origin = headers.get("origin")  # programs that are no browsers send none
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
