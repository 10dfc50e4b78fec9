"""An HTTP client whose answers are bounded. The home of httpx2, which comes with openai."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpx2

from bookbrain.elsewhere import read_bounded

_PLAIN = ("", "identity")
_OF_THE_WAY = ("content-length", "transfer-encoding")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many bytes an answer may have, and how many seconds a request and its answer may take."""

    most: int
    seconds: float

    def hold(self) -> None:
        """For all that the task of now sends from here on."""
        _limits.set(self)


_USUAL = Limits(1 << 20, 60.0)
_limits = ContextVar("limits", default=_USUAL)


class BoundedClient(httpx2.AsyncClient):
    """Each answer within the limits, from the host that was asked, and as it was sent.

    httpx counts its timeouts for each read, follows whoever it is told to, and unpacks without end.
    What is too long, or packed, is a ValueError.
    """

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        limits = _limits.get()
        request.headers["Accept-Encoding"] = "identity"
        options |= {"stream": True, "follow_redirects": False}
        try:
            async with asyncio.timeout(limits.seconds):
                answer = await super().send(request, **options)
                try:
                    body = await _read(answer, limits.most)
                finally:
                    await answer.aclose()
        except TimeoutError as error:
            raise httpx2.ReadTimeout("", request=request) from error
        headers = [(n, v) for n, v in answer.headers.multi_items() if n not in _OF_THE_WAY]
        return httpx2.Response(answer.status_code, headers=headers, content=body, request=request)


async def _read(answer: httpx2.Response, most: int) -> bytes:
    if answer.headers.get("content-encoding", "").strip().lower() not in _PLAIN:
        raise ValueError("it is compressed")
    return await read_bounded(answer.aiter_raw(), most)
