"""The plain routes: `/healthz`, the search page, the API, pages as pictures, and what their
addresses ask for."""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import Generic, Literal, TypeVar, cast, get_args

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from bookbrain.errors import BookBrainError, BusyError, InputError, NotFoundError, UnavailableError
from bookbrain.formats.page_image import Picture
from bookbrain.library import Library
from bookbrain.log import Event
from bookbrain.messages import Language, fill, translated
from bookbrain.model import Mode, SearchResult, result_markdown, to_json
from bookbrain.paths import PDF
from bookbrain.remote import in_thread
from bookbrain.settings import Settings
from bookbrain.web.plain_page import tongue_of
from bookbrain.web.search_view import (
    app_manifest,
    search_description,
    search_page,
    start_of,
    view_of,
)
from bookbrain.web.shelf import Shelf

_METHODS = ["GET", "HEAD"]
_NOT_STORED = {"Cache-Control": "no-store"}
_STATUS = ((NotFoundError, 404), (InputError, 400), (UnavailableError, 503), (BusyError, 503))


def plain_route(path: str, work: Callable[[Request], Response]) -> Route:
    """What `work` makes of a request for `path`, in a thread of its own."""

    async def answer(request: Request) -> Response:
        try:
            return await in_thread(partial(work, request))
        except BookBrainError as error:
            return refusal(error, tongue_of(request))
        except asyncio.CancelledError:  # the server ends, and has waited for us
            return refusal(UnavailableError("BookBrain is about to end.", "Try again in a moment."))

    return Route(path, answer, methods=_METHODS)


def _nothing_below(path: str) -> Route:
    """Streamlit would show its page for every other address."""

    def refuse(request: Request) -> Response:
        raise NotFoundError("There is no such address.")

    return plain_route(f"{path}/{{rest:path}}", refuse)


def refusal(error: BookBrainError, tongue: Language = "en") -> Response:
    """What went wrong, as JSON, with its status; in the language of who asks by a browser."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    said, hint = translated(error.message, tongue), translated(error.hint, tongue)
    return as_json({"error": said, "hint": hint}, status)


def as_json(value: object, status: int = 200) -> Response:
    return Response(to_json(value), status, _NOT_STORED, media_type="application/json")


_log = logging.getLogger(__name__)


LONGEST_QUERY = 20_000  # characters, which with their percent signs an address may have
USUAL_HITS, MOST_HITS = 10, 100


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for, and how: as the arguments of `Library.search`.

    `similar` is a book and a page of it, where pages like that one are asked for.
    """

    query: str = ""
    k: int = USUAL_HITS
    mode: Mode = "hybrid"
    books: tuple[str, ...] = ()
    weight: float | None = None
    similar: tuple[str, int] | None = None

    def asks_others(self, settings: Settings) -> bool:
        """Whether the answer may take another server than this one."""
        by_meaning = self.mode != "keyword" or self.similar is not None
        return by_meaning and bool(settings.embedding.enabled or settings.rerank.url)


def find(shelf: Shelf, question: Question) -> SearchResult:
    """The answer; what was asked is logged only where the owner has set it so."""
    settings = shelf.settings
    patient = question.asks_others(settings)
    with shelf.patient_library() if patient else shelf.library() as library:
        result = _ask(library, question)
    event = Event(
        event="search",
        query_ms=result.took_ms,
        hits=len(result.hits),
        mode=result.mode,
        degraded=bool(result.degraded) and settings.embedding.enabled,
        query=question.query if settings.log_queries and not question.similar else None,
    )
    _log.info(
        "search mode=%s ms=%.1f hits=%d degraded=%d",
        event.mode, result.took_ms, len(result.hits), bool(event.degraded),
        extra={"fields": event},
    )  # fmt: skip
    return result


def _ask(library: Library, question: Question) -> SearchResult:
    if question.similar:
        return library.similar(*question.similar, k=question.k)
    return library.search(
        question.query, k=question.k, mode=question.mode, books=question.books or None,
        weight=question.weight,
    )  # fmt: skip


T = TypeVar("T", int, float)
V = TypeVar("V")


def question_of(params: QueryParams) -> Question:
    """Raises InputError for what cannot be meant; what is left out is as `Question` has it."""
    count = _whole(params, "k", USUAL_HITS, 1, MOST_HITS)
    if similar := params.get("similar"):
        return Question(k=count, similar=page_of(similar))
    query = params.get("q", "")
    check_length(query)
    return Question(query, count, _mode(params), tuple(params.getlist("book")), _weight(params))


def check_length(query: str) -> None:
    """Raise InputError for a query that is too long."""
    if len(query) > LONGEST_QUERY:
        raise InputError(
            fill("The query is longer than {most:,} characters.", most=LONGEST_QUERY), "Shorten it."
        )


def page_of(reference: str) -> tuple[str, int]:
    """The book and the page that `<book_id>:<page>` means."""
    book, _, page = reference.rpartition(":")
    number = number_of(page, int)
    if not book or number is None:
        raise InputError("There is no such page.", "Search for it again.")
    return book, number


def _whole(params: QueryParams, name: str, usual: int, least: int, most: int) -> int:
    number = number_of(params.get(name, str(usual)), int)
    if number is None or not least <= number <= most:
        raise InputError(
            fill(
                "`{name}` is no whole number from {least} to {most}.",
                name=name, least=least, most=most,
            ),
            "Set it to one.",
        )  # fmt: skip
    return number


def _mode(params: QueryParams) -> Mode:
    mode = params.get("mode", "hybrid")
    if mode not in get_args(Mode):
        raise InputError("There is no such `mode`.", "Set it to `hybrid`, `keyword` or `vector`.")
    return cast(Mode, mode)


def _weight(params: QueryParams) -> float | None:
    if "weight" not in params:
        return None
    weight = number_of(params["weight"], float)
    if weight is None or weight > 1:
        raise InputError("`weight` is no number from 0 to 1.", "Set it to one.")
    return weight


def number_of(typed: str, kind: Callable[[str], T]) -> T | None:
    """A number of a few plain digits, with a point where `kind` takes one."""
    plain = typed.replace(".", "", 1) if kind is float else typed
    short = plain.isascii() and plain.isdecimal() and len(plain) < 7
    return kind(typed) if short else None


Word = Literal["ok", "degraded", "down"]
PROBE = "준비 ready"  # Hangul and English: it takes every part of the analyzer
_FRESH = 1.0  # seconds that an answer is kept
_PATIENCE = 5.0  # seconds that a check may take


class Health:
    """`ok` when a keyword search works, `degraded` when only search by meaning does not, `down`.

    It has a library of its own, so that a busy shelf is not taken for a broken one, and never calls
    the embedding endpoint: it knows what became of the searches that did.
    """

    def __init__(self, settings: Settings) -> None:
        self._shelf = Shelf(settings, most=1)
        self._word: Word = "ok"
        self._fresh_until = 0.0
        self._check: asyncio.Task[None] | None = None

    async def word(self) -> Word:
        """The state, at most a second old; `down` when it cannot be found out in five more."""
        if monotonic() >= self._fresh_until and (self._check is None or self._check.done()):
            self._check = asyncio.create_task(self._renew())
        if self._check and not self._check.done():
            await asyncio.wait({self._check}, timeout=_PATIENCE)
            if not self._check.done():
                return "down"
        return self._word

    def close(self) -> None:
        self._shelf.close()

    async def _renew(self) -> None:
        word, reason = await in_thread(self._ask)
        if word != self._word:
            level = {"ok": logging.INFO, "degraded": logging.WARNING, "down": logging.ERROR}[word]
            _log.log(level, "BookBrain is %s. %s", word, reason)
        self._word, self._fresh_until = word, monotonic() + _FRESH

    def _ask(self) -> tuple[Word, str]:
        try:
            with self._shelf.library() as library:
                library.search(PROBE, k=1, mode="keyword")
                if silent := library.silent():
                    return "degraded", f"{silent} does not answer: search is by keyword only."
        except BookBrainError as error:
            return "down", str(error)
        return "ok", ""


NARROWEST, WIDEST = 64, 2400  # pixels
_USUAL_WIDTH = 1000
_MOST_BYTES = 64_000_000
_AT_ONCE = 2
_PAINTING_SECONDS = 30.0  # seconds
_HOUR = "private, max-age=3600"  # a book's id is that of its bytes: nothing of it changes
_REVALIDATED = "private, no-cache"
_BOOK_ID = re.compile("[0-9a-f]{64}")


def make_picture_routes(shelf: Shelf) -> list[Route]:
    """The routes, which answer GET and HEAD."""
    return [
        plain_route("/page/{book_id}/{number}.png", partial(_picture, shelf, Album())),
        plain_route(f"/book/{{book_id}}{PDF}", partial(_file, shelf)),
        _nothing_below("/page"),
        _nothing_below("/book"),
    ]


class Recent(Generic[V]):
    """What was made last of pages, by digest, as much as `most` holds; two are made at once.

    `size` is how much of it a value takes: each counts one where nothing else is said.
    """

    def __init__(self, most: int, size: Callable[[V], int] = lambda value: 1) -> None:
        self._most = most
        self._size = size
        self._made: OrderedDict[str, V] = OrderedDict()
        self._lock = Lock()
        self._easels = BoundedSemaphore(_AT_ONCE)

    def get(self, digest: str, make: Callable[[], V]) -> V:
        """The value; BusyError when half a minute was too short for those before it."""
        value = self._made.get(digest)
        if value is None:
            if not self._easels.acquire(timeout=_PAINTING_SECONDS):
                raise BusyError("Too many pages are being painted.", "Try again in a moment.")
            try:
                value = self._made.get(digest) or make()
            finally:
                self._easels.release()
        self._keep(digest, value)
        return value

    def _keep(self, digest: str, value: V) -> None:
        with self._lock:
            self._made[digest] = value
            self._made.move_to_end(digest)
            while sum(map(self._size, self._made.values())) > self._most:
                self._made.popitem(last=False)


class Album:
    """The pictures painted last, in at most `most` bytes."""

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self._painted: Recent[bytes] = Recent(most, len)

    def get(self, picture: Picture) -> bytes:
        """Its PNG; raises what `Recent.get` and `Picture.paint` do."""
        return self._painted.get(picture.digest, picture.paint)


def _picture(shelf: Shelf, album: Album, request: Request) -> Response:
    number = number_of(request.path_params["number"], int)
    if number is None:
        raise NotFoundError("There is no such page.", "A page is a number.")
    query = request.query_params.get("q", "")
    width = _whole(request.query_params, "width", _USUAL_WIDTH, NARROWEST, WIDEST)
    with shelf.library() as library:
        book = library.open_book(book_id_of(request))
        picture = book.picture(number, query, width)
    headers = {"ETag": f'"{picture.digest}"', "Cache-Control": _HOUR}
    if picture.digest in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(album.get(picture), headers=headers, media_type="image/png")


def _file(shelf: Shelf, request: Request) -> Response:
    with shelf.library() as library:
        book = library.open_book(book_id_of(request))
    headers = {
        "ETag": f'"{book.book.id}"',
        "Cache-Control": _REVALIDATED,
        "X-Content-Type-Options": "nosniff",
    }
    if book.book.id in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    try:
        found = book.path.stat()
    except OSError as error:
        raise BookBrainError(
            fill("The book's file cannot be read ({reason}).", reason=error.strerror),
            "Restore it from a backup.",
        ) from error
    return FileResponse(
        book.path, headers=headers, media_type="application/pdf", filename=book.book.file,
        stat_result=found, content_disposition_type="inline",
    )  # fmt: skip


def book_id_of(request: Request) -> str:
    """The id in the address, which is one: nothing else is looked for."""
    book_id: str = request.path_params["book_id"]
    if not _BOOK_ID.fullmatch(book_id):
        raise NotFoundError("There is no such book.", "An id has 64 digits and letters.")
    return book_id


def make_routes(shelf: Shelf, health: Health) -> list[Route]:
    """The routes, which answer GET and HEAD."""

    async def healthz(request: Request) -> Response:
        try:
            word = await health.word()
        except asyncio.CancelledError:  # the server ends
            word = "down"
        return PlainTextResponse(word, 503 if word == "down" else 200, _NOT_STORED)

    return [
        Route("/healthz", healthz, methods=_METHODS),
        plain_route("/", search_page),
        plain_route("/opensearch.xml", search_description),
        plain_route("/app.webmanifest", app_manifest),
        plain_route("/api/start", partial(_start, shelf)),
        plain_route("/api/search", partial(_search, shelf)),
        plain_route("/api/search.md", partial(_citations, shelf)),
        plain_route("/api/books", partial(_books, shelf)),
        _nothing_below("/api"),
        *make_picture_routes(shelf),
    ]


def _search(shelf: Shelf, request: Request) -> Response:
    """The result; with `view=page` as the search page shows it, in its visitor's language."""
    result = find(shelf, question_of(request.query_params))
    if request.query_params.get("view") == "page":
        return as_json(view_of(result, tongue_of(request)))
    return as_json(result)


def _start(shelf: Shelf, request: Request) -> Response:
    with shelf.library() as library:
        return as_json(start_of(library))


def _books(shelf: Shelf, request: Request) -> Response:
    with shelf.library() as library:
        return as_json(library.books())


def _citations(shelf: Shelf, request: Request) -> Response:
    """In Korean where the address says so, for a link cannot say what its visitor reads."""
    language: Language = "ko" if request.query_params.get("language") == "ko" else "en"
    text = result_markdown(find(shelf, question_of(request.query_params)), language)
    return Response(text, 200, _NOT_STORED, "text/markdown")
