"""The plain routes: `/healthz`, `/api/search` and the same as Markdown, `/api/books`."""

import asyncio
from collections.abc import Callable
from functools import partial

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bookbrain.citation import result_markdown
from bookbrain.errors import BookBrainError, BusyError, InputError, UnavailableError
from bookbrain.library import Library
from bookbrain.model import to_json
from bookbrain.translation import Language
from bookbrain.web.asking import question_of
from bookbrain.web.finding import find
from bookbrain.web.health import Health
from bookbrain.web.shelf import Shelf
from bookbrain.web.threads import in_thread

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

    async def citations(request: Request) -> Response:
        ask = partial(_citations, params=request.query_params)
        return await _answer(shelf, ask, "text/markdown")

    async def books(request: Request) -> Response:
        return await _answer(shelf, lambda library: to_json(library.books()))

    async def nothing(request: Request) -> Response:
        return _json('{"error": "There is no such address.", "hint": ""}', 404)

    return [
        Route("/healthz", healthz, methods=_METHODS),
        Route("/api/search", search, methods=_METHODS),
        Route("/api/search.md", citations, methods=_METHODS),
        Route("/api/books", books, methods=_METHODS),
        Route("/api/{rest:path}", nothing, methods=_METHODS),  # Streamlit would show its page
    ]


async def _answer(
    shelf: Shelf, ask: Callable[[Library], str], media_type: str = "application/json"
) -> Response:
    """The text that `ask` makes with a library; a BookBrainError as JSON with its status."""

    def work() -> str:
        with shelf.library() as library:
            return ask(library)

    try:
        return Response(await in_thread(work), 200, _PRIVATE, media_type)
    except BookBrainError as error:
        return _refusal(error)
    except asyncio.CancelledError:  # the server ends, and has waited for us
        return _refusal(UnavailableError("BookBrain is about to end.", "Try again in a moment."))


def _refusal(error: BookBrainError) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    return _json(to_json({"error": error.message, "hint": error.hint}), status)


def _search(library: Library, params: QueryParams) -> str:
    return to_json(find(library, question_of(params)))


def _citations(library: Library, params: QueryParams) -> str:
    """In Korean where the address says so, for a link cannot say what its visitor reads."""
    language: Language = "ko" if params.get("language") == "ko" else "en"
    return result_markdown(find(library, question_of(params)), language)


def _json(text: str, status: int) -> Response:
    return Response(text, status, _PRIVATE, media_type="application/json")
