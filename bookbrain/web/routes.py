"""The plain routes: `/healthz`, those of the API, and those of `pictures.py`."""

import asyncio

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bookbrain.citation import result_markdown
from bookbrain.errors import NotFoundError
from bookbrain.model import to_json
from bookbrain.translation import Language
from bookbrain.web.answers import METHODS, NOT_STORED, answer, as_json, refusal
from bookbrain.web.asking import question_of
from bookbrain.web.finding import find
from bookbrain.web.health import Health
from bookbrain.web.pictures import make_picture_routes
from bookbrain.web.shelf import Shelf


def make_routes(shelf: Shelf, health: Health) -> list[Route]:
    """The routes, which answer GET and HEAD."""

    async def healthz(request: Request) -> Response:
        try:
            word = await health.word()
        except asyncio.CancelledError:  # the server ends
            word = "down"
        return PlainTextResponse(word, 503 if word == "down" else 200, NOT_STORED)

    async def search(request: Request) -> Response:
        return await answer(lambda: _search(shelf, request.query_params))

    async def citations(request: Request) -> Response:
        return await answer(lambda: _citations(shelf, request.query_params))

    async def books(request: Request) -> Response:
        return await answer(lambda: _books(shelf))

    async def nothing(request: Request) -> Response:
        return refusal(NotFoundError("There is no such address."))

    return [
        Route("/healthz", healthz, methods=METHODS),
        Route("/api/search", search, methods=METHODS),
        Route("/api/search.md", citations, methods=METHODS),
        Route("/api/books", books, methods=METHODS),
        Route("/api/{rest:path}", nothing, methods=METHODS),  # Streamlit would show its page
        *make_picture_routes(shelf),
    ]


def _books(shelf: Shelf) -> Response:
    with shelf.library() as library:
        return as_json(to_json(library.books()))


def _search(shelf: Shelf, params: QueryParams) -> Response:
    return as_json(to_json(find(shelf, question_of(params))))


def _citations(shelf: Shelf, params: QueryParams) -> Response:
    """In Korean where the address says so, for a link cannot say what its visitor reads."""
    language: Language = "ko" if params.get("language") == "ko" else "en"
    text = result_markdown(find(shelf, question_of(params)), language)
    return Response(text, 200, NOT_STORED, "text/markdown")
