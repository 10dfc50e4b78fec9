"""The words that every part of BookBrain uses."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from html import unescape
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bookbrain.errors import BookBrainError
from bookbrain.listed import fenced
from bookbrain.messages import Filled, Language, fill, message_of, translated

Mode = Literal["hybrid", "keyword", "vector"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A title of the outline that begins at character `start` of its page's text."""

    start: int
    title: str


@dataclass(frozen=True, slots=True)
class Page:
    """One physical page of a book.

    `number` counts from 1; `label` is what is printed on the page ("xii", "19"), or its number; ""
    where nothing is and another page has that number printed. `chapter` is the
    innermost outline entry that the page continues ("" for none), `headings` those that begin on
    it. `problem` says why not all that is printed there is in `text` ("" when it is). Of a line of
    `text` that ends in two spaces the columns count, as in a listing of code (`listed.py`).
    """

    number: int
    label: str
    chapter: str
    text: str
    headings: tuple[Heading, ...] = ()
    problem: str = ""

    @property
    def place(self) -> str:
        """What is printed on it, for a person; and which page it is where that is another."""
        return place_of(self.label, self.number)

    def chapter_at(self, position: int) -> str:
        """The innermost outline entry that character `position` of the text stands under."""
        begun = [heading.title for heading in self.headings if heading.start <= position]
        return begun[-1] if begun else self.chapter


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` of the text of physical page `page`."""

    page: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of about 800 tokens that is embedded as one text; `ordinal` counts from 0."""

    ordinal: int
    spans: tuple[Span, ...]
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex: what its embedding is stored under."""
        return text_digest(self.text)


def text_digest(text: str) -> str:
    """SHA-256 of `text` in UTF-8, in hex."""
    return sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class BookText:
    """What a reader makes of a file."""

    title: str
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class Book:
    """A book that is whole and searchable; `id` is the SHA-256 of its file, in hex.

    So many of its pages as `scans` cannot be searched as they are; text recognition has read, or
    tried, those that are `recognised`. `edition` tells it from others of its title or file name,
    "" where there are none.
    """

    id: str
    title: str
    file: str
    pages: int
    passages: int
    added_at: str
    problems: tuple[str, ...] = ()
    scans: int = 0
    recognised: int = 0
    edition: str = ""

    @property
    def scan_note(self) -> str:
        """How far text recognition is with it, for a person; "" where it has nothing to do."""
        if not self.scans:
            return ""
        return fill("read by OCR {done} of {pages} pages", done=self.recognised, pages=self.scans)


def edition_of(book: Book) -> Filled:
    """What tells a book from another of its name, for a person; its id will do in a command."""
    return fill(
        "{pages} pages, added on {date}, {id}",
        pages=book.pages, date=book.added_at[:16].replace("T", " "), id=book.id[:12],
    )  # fmt: skip


def told_apart(books: Sequence[Book]) -> list[Book]:
    """The books, with an edition where several have one title or one file name.

    Where only their titles are the same, their file names tell them apart.
    """
    normal = partial(unicodedata.normalize, "NFC")
    titles = Counter(normal(book.title) for book in books)
    files = Counter(normal(book.file) for book in books)
    return [
        replace(book, edition=edition_of(book))
        if files[normal(book.file)] > 1
        else replace(book, edition=book.file)
        if titles[normal(book.title)] > 1
        else book
        for book in books
    ]


class TextId(NamedTuple):
    """The text of a book that is searched: read otherwise, it has another `revision`."""

    book: str
    revision: str


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """Vectors are comparable only within one model at one number of dimensions."""

    model: str
    dimensions: int

    def __str__(self) -> str:
        return f"{self.model}/{self.dimensions}"


@dataclass(frozen=True, slots=True)
class LegHit:
    """Where one leg of the search put a page: rank from 1, and its own score."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Why:
    keyword: LegHit | None = None
    vector: LegHit | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A page that says nearly the same as a hit: of another edition, or of the same book."""

    book_id: str
    title: str
    file: str
    page: int
    page_label: str
    edition: str = ""

    @property
    def place(self) -> str:
        """What is printed on it, for a person; and which page it is where that is another."""
        return place_of(self.page_label, self.page)


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that answers. `snippet` is HTML: escaped text with `<mark>` around the matches.

    `duplicates` are pages that would be hits too, did they not say nearly the same. Where text
    recognition read the page from its picture, `recognised` is how sure it was, 0 to 100.
    `edition` is that of its book.
    """

    rank: int
    score: float
    book_id: str
    title: str
    file: str
    page: int
    page_label: str
    chapter: str
    snippet: str
    text: str
    why: Why
    duplicates: tuple[Duplicate, ...] = ()
    recognised: float | None = None
    edition: str = ""

    @property
    def place(self) -> str:
        """What is printed on it, for a person; and which page it is where that is another."""
        return place_of(self.page_label, self.page)

    @property
    def doubt(self) -> str:
        """Whether its text is to be doubted, for a person; "" where it is not."""
        return "" if self.recognised is None else doubt(self.recognised)


@dataclass(frozen=True, slots=True)
class Clause:
    """How a piece of a query was read that is a command or looks like one.

    Pages with `words` were left out ("without"), or only pages with exactly these were taken
    ("exactly"). Or they are text: because the books print their minus ("text"), or because no page
    has them with all other words ("absent"). `other` is the query that is read the other way.
    """

    kind: Literal["without", "exactly", "text", "absent"]
    words: str
    other: str

    @property
    def note(self) -> str:
        """The same for a person."""
        match self.kind:
            case "without":
                return fill("without: {words}", words=self.words)
            case "exactly":
                return fill("exactly: {words}", words=self.words)
            case "text":
                return fill("as text: {words}", words=f"-{self.words}")
            case _:
                return fill("on no page with the other words: {words}", words=self.words)


@dataclass(frozen=True, slots=True)
class ReadAs:
    """How a query was read. `plain`: with its commands nothing was found, and the hits are those of
    the plain words. `partly`: not all books could be looked at in time."""

    clauses: tuple[Clause, ...] = ()
    plain: bool = False
    partly: bool = False

    @property
    def remark(self) -> str:
        """What a person must know of it; "" where that is nothing."""
        if self.plain:
            return fill("No page has that as it was asked. These have some of the plain words.")
        if self.partly:
            return fill(
                "Signs alone are looked for page by page: not all books could be looked at in "
                "time. Add a word."
            )
        return ""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to one query; `degraded` says why a leg did not take part, None when all did."""

    query: str
    mode: Mode
    degraded: str | None
    took_ms: float
    hits: tuple[Hit, ...]
    read_as: ReadAs = field(default_factory=ReadAs)

    @property
    def remark(self) -> str:
        """`degraded` for a person; "" where there is nothing to say."""
        if not self.degraded:
            return ""
        if any(hit.why.vector for hit in self.hits):
            return fill("Note: {reason}", reason=self.degraded)
        return fill("Keyword search only. {reason}", reason=self.degraded)


_UNCERTAIN = 60.0  # of 100


def doubt(confidence: float) -> str:
    """What is to be said, for a person, of text that was recognised with this confidence, 0 to 100;
    "" where it is high enough."""
    return fill("recognised, uncertain") if confidence < _UNCERTAIN else ""


def place_of(label: str, number: int) -> str:
    """What is printed on page `number`, for a person; and which that is where it is another."""
    if not label:
        return fill("page {page} of the file", page=number)
    return (
        fill("p. {label}", label=label)
        if label == str(number)
        else fill("p. {label} (page {page} of the file)", label=label, page=number)
    )


def short_place(label: str, number: int) -> str:
    """The same with the printed number alone, where there is one."""
    return fill("p. {label}", label=label) if label else place_of(label, number)


def to_json(value: object) -> str:
    """JSON on one line: what `--json` and the API answer. A dataclass is an object, a time or a
    path what str has for it.

    JSON has no NaN and no infinity: where one is, there is null.
    """
    try:
        return _dump(value)
    except ValueError:
        return _dump(_finite(json.loads(json.dumps(value, default=_plain))))


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _finite(value: object) -> object:
    match value:
        case dict():
            return {key: _finite(of_it) for key, of_it in value.items()}
        case list():
            return [_finite(of_it) for of_it in value]
        case float() if not isfinite(value):
            return None
    return value


def _plain(value: object) -> dict[str, Any] | str:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime | Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


Status = Literal["added", "known", "mended", "failed"]
Step = Literal["reading", "analysing", "embedding", "indexing"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    It is "mended" where the book was known, but its file damaged or gone: this one took its place.
    `reason` and `hint` are for a failed one; `tokens` were paid for. So many `namesakes` of an
    added one, books of its file name, were there before.
    """

    path: str
    status: Status
    book: Book | None = None
    reason: str = ""
    hint: str = ""
    tokens: int = 0
    namesakes: int = 0


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of every file; `stopped` is the fault that ended the work early, if one did."""

    outcomes: tuple[Outcome, ...]
    stopped: BookBrainError | None = None

    def count(self, status: Status) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def tokens(self) -> int:
        """Tokens that the endpoint counted in all."""
        return sum(outcome.tokens for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Plan:
    """What adding or embedding one book would take; `tokens` are estimated. `reason`: why not.

    `namesake` names a book that is there and is called so. `problems` are those of its pages. So
    many of them as `scans` text recognition has to read, in about `scan_seconds`; `scan_trouble`
    says why it cannot.
    """

    file: str
    title: str = ""
    pages: int = 0
    passages: int = 0
    tokens: int = 0
    known: bool = False
    reason: str = ""
    hint: str = ""
    namesake: str = ""
    problems: tuple[str, ...] = ()
    scans: int = 0
    scan_seconds: int = 0
    scan_trouble: str = ""

    @property
    def scan_note(self) -> str:
        """What text recognition has to do with it, for a person; "" where that is nothing."""
        if self.scan_trouble:
            return fill(
                "Pages that only text recognition can read: {pages}. {trouble}",
                pages=self.scans,
                trouble=message_of(self.scan_trouble),
            )
        if not self.scans:
            return ""
        return fill(
            "Pages that only text recognition can read: {pages}. That takes about {time}.",
            pages=self.scans,
            time=duration(self.scan_seconds),
        )


@dataclass(frozen=True, slots=True)
class RecognitionPlan:
    """The pages of a book that text recognition is to read: how many, which and why, and about how
    long that takes."""

    id: str
    title: str
    file: str
    pages: int
    reasons: tuple[str, ...]
    seconds: int


@dataclass(frozen=True, slots=True)
class RecognitionState:
    """How many pages text recognition is still to read, in about how many `seconds`; whether it is
    `running`, and the `trouble` why it cannot."""

    pages: int
    seconds: int
    trouble: str = ""
    running: bool = False

    @property
    def note(self) -> str:
        """What there is to do, for a person; "" where that is nothing."""
        if not self.pages:
            return ""
        left = fill("Pages that text recognition is still to read: {pages}.", pages=self.pages)
        if self.trouble:
            return fill("{left} {trouble}", left=left, trouble=message_of(self.trouble))
        time = duration(self.seconds)
        how_long = (
            fill("Under way, about {time} left.", time=time)
            if self.running
            else fill("`bookbrain ocr` does so in about {time}.", time=time)
        )
        return fill("{left} {how_long}", left=left, how_long=how_long)


@dataclass(frozen=True, slots=True)
class RecognitionReport:
    """What text recognition did: how many pages it tried, how many of them it could not read, of
    how many books it changed the text, and the fault that ended it early, if one did, or that left
    books as they were.

    `substituted` are pages that a model failed on, and tesseract read: a file, its page, and why.
    What the model was paid is so many `tokens`, and US `dollars`; None where that is not known.
    """

    pages: int = 0
    unread: int = 0
    books: int = 0
    substituted: tuple[tuple[str, int, str], ...] = ()
    tokens: int = 0
    dollars: float | None = None
    stopped: BookBrainError | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far text recognition is: so many pages of all are `done`, the last one of `file`; about
    `seconds` are left."""

    file: str
    done: int
    total: int
    seconds: int


def duration(seconds: float) -> Filled:
    """About how long so many seconds are, for a person."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return message_of("a minute")
    if minutes < 120:
        return fill("{minutes} minutes", minutes=minutes)
    return fill("{hours} hours", hours=round(minutes / 60))


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file on its way in: `done` of `total` pages or passages of its step.

    `step` is "" until its turn comes. `waiting` says why nobody can work on it just now.
    """

    file: str
    step: str = ""
    done: int = 0
    total: int = 0
    waiting: str = ""


class Progress:
    """Who is told how far the work is; this one tells nobody."""

    def wait(self) -> None:
        """Another BookBrain is writing; we wait for it."""

    def begin(self, file: str, number: int, of: int) -> None:
        """The work on a file begins."""

    def step(self, step: Step, done: int, total: int) -> None:
        """`done` of `total` pages, passages or books of the current file's step are done."""

    def end(self, outcome: Outcome) -> None:
        """The work on a file is done."""


SILENT = Progress()


class PassedOn(Progress):
    """Tells somebody else; for whoever listens too, or says it otherwise."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def wait(self) -> None:
        self._progress.wait()

    def begin(self, file: str, number: int, of: int) -> None:
        self._progress.begin(file, number, of)

    def step(self, step: Step, done: int, total: int) -> None:
        self._progress.step(step, done, total)

    def end(self, outcome: Outcome) -> None:
        self._progress.end(outcome)


def dollars(tokens: int, per_million: float | None) -> str:
    """What tokens cost, "" where the price is not known."""
    return "" if per_million is None else _money(tokens / 1_000_000 * per_million)


def _money(cost: float) -> str:
    return f"${cost:.4f}" if cost < 1 else f"${cost:.2f}"


def bill(tokens: int, per_million: float | None, *, about: bool = False) -> str:
    """How many tokens, or `about` how many, and what they cost where the price is known."""
    cost = None if per_million is None else tokens / 1_000_000 * per_million
    return bill_of(tokens, cost, about=about)


def bill_of(tokens: int, cost: float | None, *, about: bool = False) -> str:
    """The same of tokens at several prices: `cost` is US dollars in all."""
    count = fill("about {tokens:,}", tokens=tokens) if about else f"{tokens:,}"
    if cost is not None:
        return fill("{tokens} tokens, {cost}", tokens=count, cost=_money(cost))
    return fill("{tokens} tokens", tokens=count)


_MARK = re.compile(r"<mark>(.*?)</mark>", re.DOTALL)
_MARKDOWN = re.compile(r"^(\d*)([-+.)])|([\\`*_\[\]<>#|~$&])")  # a list's start, or markup


def printable(text: str) -> str:
    """`text` on one line, without what could steer a terminal: names may hold anything."""
    if text.isprintable():
        return text
    return "".join("?" if unicodedata.category(c)[0] == "C" else c for c in text)


def result_markdown(result: SearchResult, language: Language) -> str:
    """The citations of all hits, a blank line between them."""
    return "\n".join(citation(hit, language) for hit in result.hits)


def plain_snippet(hit: Hit) -> str:
    """The snippet as text, without marks; lines of a listing stand on lines of their own."""
    return unescape(_MARK.sub(r"\1", hit.snippet))


def citation(hit: Hit, language: Language) -> str:
    """What a book says comes out as text, whatever it is in Markdown, and code in a fence."""
    before, *listing = plain_snippet(hit).split("\n")
    after = listing.pop() if listing else ""
    code = "\n> ".join(fenced([*map(printable, listing)])) if listing else ""
    quotes = [markdown_text(before), code, markdown_text(after)]
    quote = "\n>\n> ".join(filter(None, quotes))
    source = source_markdown(
        hit.title, hit.chapter, hit.page_label, hit.page, language, hit.edition
    )
    return f"> {quote}\n>\n> — {source}\n"


def source_markdown(
    title: str, chapter: str, label: str, page: int, language: Language, edition: str = ""
) -> str:
    """Where something is said: title, edition, chapter, printed page, or that of the file."""
    edition = f" ({markdown_text(printable(translated(edition, language)))})" if edition else ""
    chapter = f", “{markdown_text(chapter)}”" if chapter else ""
    said = markdown_text(printable(translated(short_place(label, page), language)))
    return f"*{markdown_text(title)}*{edition}{chapter}, {said}"


def markdown_text(text: str) -> str:
    """A text on one line, of which nothing is markup."""
    return _MARKDOWN.sub(r"\1\\\2\3", printable(" ".join(text.split())))


def parse_space(name: str) -> EmbeddingSpace:
    """The space that `str(space)` named."""
    model, _, dimensions = name.rpartition("/")
    if not dimensions.isdecimal():
        raise BookBrainError(
            fill("The catalog names an unknown embedding space: {name}.", name=name)
        )
    return EmbeddingSpace(model, int(dimensions))
