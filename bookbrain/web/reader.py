"""The reader: a page of plain HTML that turns pages in the browser, and what it asks for.

`/read?book=ID&page=N&find=QUERY` is the page, the same for every book; its script asks
`/api/book/ID` once and `/api/book/ID/N` for each page, and shows `/page/ID/N.png`, which has no
marks, so that one picture serves every query. With `quote=WORDS` in place of `find`, marks are on
the words that an answer quotes. The text lies over it, word by word, and can be
selected, copied and found by the browser.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bookbrain.answers.quotation import find_quotation
from bookbrain.errors import NotFoundError
from bookbrain.formats.page_image import Places
from bookbrain.library import Chapter
from bookbrain.messages import fill, message_of, translated
from bookbrain.model import Page, short_place
from bookbrain.web.api import Recent, as_json, book_id_of, number_of, plain_route
from bookbrain.web.plain_page import asset, make_page, tongue_of
from bookbrain.web.shelf import Shelf

_WORD = re.compile(r"\S+")
_MOST_WORDS = 20_000  # of a page that are laid over it
_MOST_KEPT = 200  # pages whose words are known
# What the script says, by the names that it knows; it fills in what is in braces.
_TEXTS = {
    "search": fill("Back to the search"),
    "contents": fill("Contents"),
    "pictures": fill("All pages as pictures"),
    "previous": fill("Previous page"),
    "next": fill("Next page"),
    "page": fill("Page"),
    "of": fill("of {pages}", pages="{pages}"),
    "before": fill("Previous match"),
    "after": fill("Next match"),
    "match": fill("match {number} of {all}", number="{number}", all="{all}"),
    "pages": fill("pages that match: {pages}", pages="{pages}"),
    "farther": fill("Smaller"),
    "closer": fill("Larger"),
    "width": fill("Fit the width"),
    "whole": fill("Fit the page"),
    "dark": fill("Darken the page"),
    "pdf": fill("The PDF at this page"),
    "similar": fill("Similar pages"),
    "sheet": fill("Page {number} of {title}", number="{number}", title="{title}"),
    "gone": fill("The server does not answer. It is asked again."),
    "out": fill("You are not signed in any more. Load the page again."),
}


def reader_routes(shelf: Shelf) -> list[Route]:
    """The routes, which answer GET and HEAD."""
    return [
        plain_route("/read", lambda asked: make_page(asked, "reader", _TEXTS)),
        plain_route("/assets/{name}", asset),
        plain_route("/api/book/{book_id}", partial(_book, shelf)),
        plain_route("/api/book/{book_id}/{number}", partial(_sheet, shelf, Recent(_MOST_KEPT))),
    ]


def _book(shelf: Shelf, request: Request) -> Response:
    """What is the same for all pages: the title, the outline, the pages that match `q`."""
    query = request.query_params.get("q", "")
    with shelf.library() as library:
        opened = library.open_book(book_id_of(request))
        chapters = [[one.title, one.page, one.start] for one in opened.chapters()]
        matches, labels = opened.matches(query), opened.labels()
    book = opened.book
    return as_json(
        {
            "id": book.id, "title": book.title, "file": book.file, "pages": book.pages,
            "chapters": chapters, "labels": labels, "matches": matches,
        }
    )  # fmt: skip


def _sheet(shelf: Shelf, known: Recent[Places], request: Request) -> Response:
    """A page: what is printed on it, and where the words of its text and the marks stand: those of
    the quotation `quote`, where one is given, else of `q`."""
    number = number_of(request.path_params["number"], int)
    if number is None:
        raise NotFoundError("There is no such page.", "A page is a number.")
    tongue, quote = tongue_of(request), request.query_params.get("quote", "")
    with shelf.library() as library:
        opened = library.open_book(book_id_of(request))
        page = opened.page(number)
        marks = (
            _quoted(page, quote) if quote else opened.marks(page, request.query_params.get("q", ""))
        )
        words = [match.span() for match in islice(_WORD.finditer(page.text), _MOST_WORDS)]
        sheet = opened.sheet(page, [*words, *marks])
        remarks = [_remark(page, problem) for problem in (page.problem, opened.remark(page))]
        chapter = _chapter(opened.chapters(), page, marks)
    places = known.get(sheet.digest, sheet.find)
    boxes = [
        (*span, *box) for span, one in zip(sheet.spans, places.boxes, strict=True) for box in one
    ]
    shown = sum(map(len, places.boxes[: len(words)]))
    return as_json(
        {
            "number": page.number, "label": page.label, "place": translated(page.place, tongue),
            "chapter": chapter, "text": page.text, "size": places.size,
            "remarks": [translated(remark, tongue) for remark in remarks if remark],
            "words": boxes[:shown], "marks": boxes[shown:],
        }
    )  # fmt: skip


def _quoted(page: Page, quote: str) -> tuple[tuple[int, int], ...]:
    found = find_quotation(quote, page.text)
    return (found,) if found else ()


def _remark(page: Page, problem: str) -> str:
    """What is the matter with a page, and with which; "" where nothing is."""
    pages = short_place(page.label, page.number)
    return fill("{pages}: {problem}", pages=pages, problem=message_of(problem)) if problem else ""


def _chapter(
    chapters: Sequence[Chapter], page: Page, marks: Sequence[tuple[int, int]]
) -> int | None:
    """The index of the chapter of the first mark, else of the page's first words or title."""
    titles = [heading.start for heading in page.headings]
    start = marks[0][0] if marks else titles[0] if titles else 0
    begun = bisect_right([(one.page, one.start) for one in chapters], (page.number, start))
    return begun - 1 if begun else None
