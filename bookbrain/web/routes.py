"""The plain routes: `/healthz`, `/api/search`, `/api/books`, and those of `pictures.py`."""

import asyncio
from typing import get_args

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bookbrain.errors import InputError, NotFoundError
from bookbrain.library import Library
from bookbrain.model import Mode, to_json
from bookbrain.web.answers import METHODS, NOT_STORED, answer, as_json, refusal
from bookbrain.web.finding import find
from bookbrain.web.health import Health
from bookbrain.web.pictures import make_picture_routes
from bookbrain.web.shelf import Shelf

LONGEST_QUERY = 10_000  # characters

_MOST_HITS = 100


def make_routes(shelf: Shelf, health: Health) -> list[Route]:
    """The routes, which answer GET and HEAD."""

    async def healthz(request: Request) -> Response:
        try:
            word = await health.word()
        except asyncio.CancelledError:  # the server ends
            word = "down"
        return PlainTextResponse(word, 503 if word == "down" else 200, NOT_STORED)

    async def search(request: Request) -> Response:
        def work() -> Response:
            with shelf.library() as library:
                return as_json(_search(library, request.query_params))

        return await answer(work)

    async def books(request: Request) -> Response:
        def work() -> Response:
            with shelf.library() as library:
                return as_json(to_json(library.books()))

        return await answer(work)

    async def nothing(request: Request) -> Response:
        return refusal(NotFoundError("There is no such address."))

    return [
        Route("/healthz", healthz, methods=METHODS),
        Route("/api/search", search, methods=METHODS),
        Route("/api/books", books, methods=METHODS),
        Route("/api/{rest:path}", nothing, methods=METHODS),  # Streamlit would show its page
        *make_picture_routes(shelf),
    ]


def check_length(query: str) -> None:
    """Raise InputError for a query that is too long."""
    if len(query) > LONGEST_QUERY:
        raise InputError(f"The query is longer than {LONGEST_QUERY:,} characters.", "Shorten it.")


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
