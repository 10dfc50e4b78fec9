"""The plain routes: `/healthz`, `/api/search`, `/api/books`."""

import asyncio
from collections.abc import Callable
from typing import get_args

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bookbrain.errors import BookBrainError, BusyError, InputError, UnavailableError
from bookbrain.library import Library
from bookbrain.model import Mode, to_json
from bookbrain.web.finding import find
from bookbrain.web.health import Health
from bookbrain.web.shelf import Shelf
from bookbrain.web.threads import in_thread

LONGEST_QUERY = 10_000  # characters

_MOST_HITS = 100
_PRIVATE = {"Cache-Control": "no-store"}
_METHODS = ["GET", "HEAD"]
_STATUS = ((InputError, 400), (UnavailableError, 503), (BusyError, 503))


def make_routes(shelf: Shelf, health: Health) -> list[Route]:
    """The routes, which answer GET and HEAD."""

    async def healthz(request: Request) -> Response:
        try:
            word = await health.word()
        except asyncio.CancelledError:  # the server ends
            word = "down"
        return PlainTextResponse(word, 503 if word == "down" else 200, _PRIVATE)

    async def search(request: Request) -> Response:
        return await _answer(shelf, lambda library: _search(library, request.query_params))

    async def books(request: Request) -> Response:
        return await _answer(shelf, lambda library: to_json(library.books()))

    async def nothing(request: Request) -> Response:
        return _json('{"error": "There is no such address.", "hint": ""}', 404)

    return [
        Route("/healthz", healthz, methods=_METHODS),
        Route("/api/search", search, methods=_METHODS),
        Route("/api/books", books, methods=_METHODS),
        Route("/api/{rest:path}", nothing, methods=_METHODS),  # Streamlit would show its page
    ]


def check_length(query: str) -> None:
    """Raise InputError for a query that is too long."""
    if len(query) > LONGEST_QUERY:
        raise InputError(f"The query is longer than {LONGEST_QUERY:,} characters.", "Shorten it.")


async def _answer(shelf: Shelf, ask: Callable[[Library], str]) -> Response:
    """The JSON that `ask` makes with a library; a BookBrainError as JSON with its status."""

    def work() -> str:
        with shelf.library() as library:
            return ask(library)

    try:
        return _json(await in_thread(work), 200)
    except BookBrainError as error:
        return _refusal(error)
    except asyncio.CancelledError:  # the server ends, and has waited for us
        return _refusal(UnavailableError("BookBrain is about to end.", "Try again in a moment."))


def _refusal(error: BookBrainError) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    return _json(to_json({"error": error.message, "hint": error.hint}), status)


def _search(library: Library, params: QueryParams) -> str:
    query = params.get("q", "")
    check_length(query)
    books = params.getlist("book") or None
    return to_json(find(library, query, k=_count(params), mode=_mode(params), books=books))


def _count(params: QueryParams) -> int:
    typed = params.get("k", "10")
    count = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 5 else 0
    if not 1 <= count <= _MOST_HITS:
        raise InputError(f"`k` is no whole number from 1 to {_MOST_HITS}.", "Set it to one.")
    return count


def _mode(params: QueryParams) -> Mode:
    typed = params.get("mode", "hybrid")
    for mode in get_args(Mode):
        if typed == mode:
            return mode  # type: ignore[no-any-return]
    raise InputError("There is no such `mode`.", "Set it to `hybrid`, `keyword` or `vector`.")


def _json(text: str, status: int) -> Response:
    return Response(text, status, _PRIVATE, media_type="application/json")
