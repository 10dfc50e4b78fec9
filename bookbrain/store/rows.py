"""Rows of the catalog become pages and passages, and these rows again: in children too."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bookbrain.model import Heading, Page, Span, TextId
from bookbrain.store.checksums import checksum, text_revision


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as the catalog has it: its text is looked up by its spans."""

    book_id: str
    ordinal: int
    digest: str
    spans: tuple[Span, ...]

    def is_on(self, page: int) -> bool:
        return any(span.page == page for span in self.spans)


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


def to_passages(rows: Iterable[Sequence[Any]]) -> list[StoredPassage]:
    """The passages of rows; their spans are parsed in one go, which takes half of the time."""
    rows = list(rows)
    parsed = json.loads(f"[{','.join(row[3] for row in rows)}]")
    return [
        StoredPassage(book_id, ordinal, digest, tuple(Span(*span) for span in spans))
        for (book_id, ordinal, digest, _), spans in zip(rows, parsed, strict=True)
    ]
