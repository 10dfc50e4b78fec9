"""What the reader shows of a file: `/page/<book_id>/<number>.png` and `/book/<book_id>.pdf`."""

import re
from collections import OrderedDict
from threading import BoundedSemaphore, Lock

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from bookbrain.errors import BookBrainError, BusyError, InputError, NotFoundError
from bookbrain.library.opened import Picture
from bookbrain.web.answers import METHODS, answer, refusal
from bookbrain.web.shelf import Shelf
from bookbrain.wording import fill

NARROWEST, WIDEST = 64, 2400  # pixels

_DEFAULT_WIDTH = "1000"
_MOST_BYTES = 64_000_000
_AT_ONCE = 2
_PATIENCE = 30.0  # seconds
_HOUR = "private, max-age=3600"  # a book's id is that of its bytes: nothing of it changes
_REVALIDATED = "private, no-cache"
_BOOK_ID = re.compile("[0-9a-f]{64}")
_NUMBER = re.compile("[0-9]{1,6}", re.ASCII)


def make_picture_routes(shelf: Shelf) -> list[Route]:
    """The routes, which answer GET and HEAD."""
    album = Album()

    async def picture(request: Request) -> Response:
        return await answer(lambda: _picture(shelf, album, request))

    async def file(request: Request) -> Response:
        return await answer(lambda: _file(shelf, request))

    async def nothing(request: Request) -> Response:
        return refusal(NotFoundError("There is no such address."))

    return [
        Route("/page/{book_id}/{number}.png", picture, methods=METHODS),
        Route("/book/{book_id}.pdf", file, methods=METHODS),
        Route("/page/{rest:path}", nothing, methods=METHODS),  # Streamlit would show its page
        Route("/book/{rest:path}", nothing, methods=METHODS),
    ]


class Album:
    """The pictures painted last, in at most `most` bytes; at most two are painted at once."""

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self._most = most
        self._painted: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()
        self._easels = BoundedSemaphore(_AT_ONCE)

    def get(self, picture: Picture) -> bytes:
        """Its PNG; BusyError when half a minute was too short for those before it."""
        png = self._painted.get(picture.digest)
        if png is None:
            if not self._easels.acquire(timeout=_PATIENCE):
                raise BusyError("Too many pages are being painted.", "Try again in a moment.")
            try:
                png = self._painted.get(picture.digest) or picture.paint()
            finally:
                self._easels.release()
        self._keep(picture.digest, png)
        return png

    def _keep(self, digest: str, png: bytes) -> None:
        with self._lock:
            self._painted[digest] = png
            self._painted.move_to_end(digest)
            while sum(map(len, self._painted.values())) > self._most:
                self._painted.popitem(last=False)


def _picture(shelf: Shelf, album: Album, request: Request) -> Response:
    number = request.path_params["number"]
    if not _NUMBER.fullmatch(number):
        raise NotFoundError("There is no such page.", "A page is a number.")
    query, width = request.query_params.get("q", ""), _width(request)
    with shelf.library() as library:
        book = library.open_book(_book_id(request))
        picture = book.picture(int(number), query, width)
    headers = {"ETag": f'"{picture.digest}"', "Cache-Control": _HOUR}
    if picture.digest in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(album.get(picture), headers=headers, media_type="image/png")


def _file(shelf: Shelf, request: Request) -> Response:
    with shelf.library() as library:
        book = library.open_book(_book_id(request))
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


def _book_id(request: Request) -> str:
    """The id in the address, which is one: nothing else is looked for."""
    book_id: str = request.path_params["book_id"]
    if not _BOOK_ID.fullmatch(book_id):
        raise NotFoundError("There is no such book.", "An id has 64 digits and letters.")
    return book_id


def _width(request: Request) -> int:
    typed = request.query_params.get("width", _DEFAULT_WIDTH)
    width = int(typed) if _NUMBER.fullmatch(typed) else 0
    if not NARROWEST <= width <= WIDEST:
        raise InputError(
            fill(
                "`width` is no whole number from {least} to {most}.", least=NARROWEST, most=WIDEST
            ),
            "Set it to one.",
        )
    return width
