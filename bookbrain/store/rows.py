"""Pages, passages and jobs as rows of the catalog, and back; what is wrong with a book."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bookbrain.messages import Filled, fill, message_of, of_row
from bookbrain.model import Heading, Page, Span, TextId
from bookbrain.store.checksums import checksum, text_revision


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is to be done with a file: its `kind`. "add" makes it a book. `waiting` says
    what for, when a service was not there.

    `step` is what is done with it, "" until its turn comes: `done` of `total` pages or passages.
    `attempts` were begun and ended neither well nor with a reason.
    """

    id: int
    path: str
    waiting: str
    step: str = ""
    done: int = 0
    total: int = 0
    attempts: int = 0
    kind: str = "add"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as the catalog has it: its text is looked up by its spans."""

    book_id: str
    ordinal: int
    digest: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page, of which text it is, and what its book is called."""

    text: TextId
    title: str
    file: str
    page: Page

    @property
    def book_id(self) -> str:
        return self.text.book


def page_row(book_id: str, page: Page) -> tuple[str, int, str, str, str, str, str]:
    headings = json.dumps([[h.start, h.title] for h in page.headings], ensure_ascii=False)
    return (book_id, page.number, page.label, page.chapter, headings, page.problem, page.text)


def to_page(row: Sequence[Any]) -> Page:
    """The page of a row without its book's id."""
    number, label, chapter, headings, problem, text = row
    return Page(
        number, label, chapter, text, tuple(Heading(*h) for h in json.loads(headings)), problem
    )


def to_found_page(row: Sequence[Any]) -> FoundPage:
    book_id, revision, title, file, *page = row
    return FoundPage(TextId(book_id, revision), title, file, to_page(page))


def revision_of(pages: Iterable[Page]) -> str:
    """Which text of its book these pages are: the same pages are the same text."""
    return text_revision(b"".join(checksum(*page_row("", page)[1:]) for page in pages))


def spans_json(spans: tuple[Span, ...]) -> str:
    return json.dumps([list(asdict(span).values()) for span in spans])


def parse_spans(said: str) -> tuple[Span, ...]:
    """Those that `spans_json` was given."""
    return tuple(Span(*span) for span in json.loads(said))


def to_passage(row: Sequence[Any]) -> StoredPassage:
    book_id, ordinal, digest, spans = row
    return StoredPassage(book_id, ordinal, digest, parse_spans(spans))


def problems_of(db: sqlite3.Connection, book_id: str, space: str) -> tuple[str, ...]:
    """Those of a book of the catalog: pages, and passages whose embedding `space` refused."""
    pages: dict[str, list[int]] = {}
    for number, problem in db.execute(
        "SELECT number, problem FROM page WHERE book_id = ? AND problem <> '' ORDER BY number",
        (book_id,),
    ):
        pages.setdefault(problem, []).append(number)
    refused: dict[str, list[int]] = {}
    for reason, spans in db.execute(
        """SELECT reason, spans FROM refused LEFT JOIN passage USING (book_id, ordinal)
           WHERE book_id = ? AND space = ? ORDER BY ordinal""",
        (book_id, space),
    ):
        refused.setdefault(reason, []).append(parse_spans(spans)[0].page if spans else 0)
    return (
        *(
            fill("{pages}: {problem}", pages=_pages(numbers), problem=message_of(problem))
            for problem, numbers in pages.items()
        ),
        *(
            fill(
                "{pages}: a passage is found by keyword only, its embedding was refused ({reason})",
                pages=_pages(numbers),
                reason=of_row(reason),
            )
            for reason, numbers in refused.items()
        ),
    )


def _pages(numbers: Sequence[int]) -> Filled:
    """'page 3', 'pages 1-4, 9'."""
    runs: list[list[int]] = []
    for number in dict.fromkeys(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    listed = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    if len(runs) == 1 and runs[0][0] == runs[0][1]:
        return fill("page {number}", number=listed)
    return fill("pages {numbers}", numbers=listed)
