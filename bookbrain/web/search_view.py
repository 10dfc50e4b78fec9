"""The search page, and what its script is told: hits as a person reads them, and what can be asked.

`/` is the page, the same for every question; its script asks `/api/start` once, and for each
question `/api/search?view=page&…`.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from starlette.requests import Request
from starlette.responses import Response

from bookbrain.library import Library
from bookbrain.messages import Language, fill, translated
from bookbrain.model import Duplicate, Hit, Mode, SearchResult, Why, citation, short_place
from bookbrain.web.plain_page import make_page, tongue_of

# What the script says, by the names that it knows; it fills in what is in braces.
_TEXTS = {
    "box": fill("Search your books"),
    "hint": fill("A question, or words from the page"),
    "gone": fill("The server does not answer. It is asked again."),
    "out": fill("You are not signed in any more. Load the page again."),
    "long": fill("The query is too long. Shorten it."),
    "found": fill("Pages: {count}, in {time} ms", count="{count}", time="{time}"),
    "nothing": fill("No page has that. Try fewer or other words."),
    "loosen": fill("Or search in all books and chapters."),
    "more": fill("More pages of this book: {count}", count="{count}"),
    "file": fill("page {page} of the file", page="{page}"),
    "alike": fill("Nearly the same"),
    "similar": fill("Similar"),
    "origin": fill("Similar to page {page} of the file:", page="{page}"),
    "copy": fill("Copy as a citation"),
    "copied": fill("Copied"),
    "why": fill("Why"),
    "keyword": fill("by keyword"),
    "vector": fill("by meaning"),
    "together": fill("together"),
    "rank": fill("rank"),
    "score": fill("score"),
    "other": fill("read it the other way"),
    "help": fill("What to do"),
    "away": fill("Put this away"),
    "few": fill("Keywords only"),
    "recent": fill("Recent searches"),
    "saved": fill("Saved searches"),
    "save": fill("Save this search"),
    "forget": fill("Forget"),
    "ask": fill("Out of your books"),
    "exactly": fill("exactly these words, one after the other"),
    "without": fill("pages without this word"),
    "empty": fill("No books yet."),
    "add": fill("Add some"),
    "filters": fill("Filters"),
    "all": fill("All"),
    "by": fill("Search by"),
    "hybrid": fill("Keywords and meaning"),
    "keywords": fill("Keywords only"),
    "meaning": fill("Meaning only"),
    "weight": fill("How much meaning counts against keywords"),
    "book": fill("Books"),
    "chapter": fill("Chapters"),
    "language": fill("Languages"),
    "kind": fill("Text"),
    "recognised": fill("recognised"),
    "digital": fill("born digital"),
    "grouped": fill("By book"),
    "another": fill("Title or file name"),
    "drop": fill("Take this filter away"),
    "reader": fill("Reader"),
}


def search_page(request: Request) -> Response:
    """The page, as plain HTML."""
    return make_page(request, "search", _TEXTS)


_DESCRIPTION = """<?xml version="1.0" encoding="UTF-8"?>
<OpenSearchDescription xmlns="http://a9.com/-/spec/opensearch/1.1/">
<ShortName>BookBrain</ShortName>
<Description>{said}</Description>
<InputEncoding>UTF-8</InputEncoding>
<Image width="24" height="24" type="image/svg+xml">{base}assets/icon.svg</Image>
<Url type="text/html" template="{base}?q={{searchTerms}}"/>
</OpenSearchDescription>
"""
_MANIFEST = {
    "name": "BookBrain", "short_name": "BookBrain", "start_url": "/", "display": "standalone",
    "background_color": "#fcfcfa", "theme_color": "#f1f1ed",
    "share_target": {"action": "/", "method": "GET", "params": {"text": "q"}},
    "icons": [
        {"src": "/assets/icon.svg", "sizes": "any", "type": "image/svg+xml"},
        {"src": "/assets/icon-192.png", "sizes": "192x192", "type": "image/png"},
        {"src": "/assets/icon-512.png", "sizes": "512x512", "type": "image/png"},
    ],
}  # fmt: skip


def search_description(request: Request) -> Response:
    """As OpenSearch 1.1 has it: by it the address bar of a browser can search the books. Its
    addresses are whole ones, of the name under which it is asked for."""
    said = translated("Search your books", tongue_of(request))
    text = _DESCRIPTION.format(said=escape(said), base=escape(str(request.base_url)))
    return Response(
        text, 200, {"Cache-Control": "no-cache"}, "application/opensearchdescription+xml"
    )


def app_manifest(request: Request) -> Response:
    """By it a browser can keep the page among the programs of its machine."""
    text = json.dumps(_MANIFEST | {"lang": tongue_of(request)})
    return Response(text, 200, {"Cache-Control": "no-cache"}, "application/manifest+json")


_LOOKED_AT, _SHOWN, _OF_A_BOOK = 12, 6, 2  # books whose chapters are looked at; chapters
_TITLE = re.compile(
    r"(?:[\dA-Z]{1,3}(?:\.\d+)*\.?\s+)?([^\d\s].{3,47})", re.DOTALL
)  # without its number


@dataclass(frozen=True, slots=True)
class Example:
    """What could be asked: the title of a chapter, and the book that it is of."""

    query: str
    title: str


@dataclass(frozen=True, slots=True)
class Start:
    """What the page must know beforehand. `weight` is what meaning counts where nobody says
    otherwise; `examples` are new each time."""

    books: int
    by_meaning: bool
    weight: float
    examples: tuple[Example, ...]


def start_of(library: Library) -> Start:
    books = library.books()
    some = random.sample(books, min(len(books), _LOOKED_AT))
    examples: list[Example] = []
    for book in some:
        titles = [one.title for one in library.open_book(book.id).chapters()]
        queries = [*dict.fromkeys(_queries(titles))]
        chosen = random.sample(queries, min(len(queries), _OF_A_BOOK))
        examples += [Example(query, book.title) for query in chosen]
        if len(examples) >= _SHOWN:
            break
    by_meaning = library.settings.embedding.enabled
    weight = round(library.usual_weight(), 1)  # the slider has such steps
    return Start(len(books), by_meaning, weight, tuple(examples[:_SHOWN]))


def _queries(titles: Sequence[str]) -> Iterator[str]:
    for title in titles:
        found = _TITLE.fullmatch(" ".join(title.split()))
        if found and " " in found[1]:
            yield found[1]


@dataclass(frozen=True, slots=True)
class AlikeView:
    """A page that says nearly the same as a hit."""

    book: str
    page: int
    said: str


@dataclass(frozen=True, slots=True)
class HitView:
    """A hit as a person reads it, in one language.

    `label` is what is printed on the page, `place` says also which page of the file that is where
    it is another one. `snippet` is HTML as that of a `Hit`; `citation` is Markdown. `language` is
    that of the book, as ISO 639-1 has it, as far as its hits tell; "" for one that is not known.
    """

    rank: int
    score: float
    book: str
    page: int
    title: str
    file: str
    label: str
    place: str
    chapter: str
    edition: str
    doubt: str
    recognised: bool
    language: str
    snippet: str
    citation: str
    why: Why
    alike: tuple[AlikeView, ...]


@dataclass(frozen=True, slots=True)
class ClauseView:
    """How a piece of a query was read; `other` is the query that is read the other way."""

    said: str
    other: str


@dataclass(frozen=True, slots=True)
class ResultView:
    """A result as a person reads it.

    `remark`: why a leg did not take part; `reading`: what one must know of how the query was read;
    both "" where that is nothing.
    """

    query: str
    mode: Mode
    took_ms: float
    remark: str
    reading: str
    clauses: tuple[ClauseView, ...]
    hits: tuple[HitView, ...]


def view_of(result: SearchResult, tongue: Language) -> ResultView:
    texts: dict[str, str] = {}
    for hit in result.hits:
        known = texts.get(hit.book_id, "")
        texts[hit.book_id] = known + hit.text[: max(_ENOUGH - len(known), 0)] + " "
    languages = {book: language_of(text) for book, text in texts.items()}
    return ResultView(
        query=result.query,
        mode=result.mode,
        took_ms=result.took_ms,
        remark=translated(result.remark, tongue),
        reading=translated(result.read_as.remark, tongue),
        clauses=tuple(
            ClauseView(translated(clause.note, tongue), clause.other)
            for clause in result.read_as.clauses
        ),
        hits=tuple(_hit_view(hit, languages[hit.book_id], tongue) for hit in result.hits),
    )


def _hit_view(hit: Hit, written: str, tongue: Language) -> HitView:
    alike = tuple(
        AlikeView(one.book_id, one.page, ", ".join(filter(None, _names(one, tongue))))
        for one in hit.duplicates
    )
    return HitView(
        rank=hit.rank, score=hit.score, book=hit.book_id, page=hit.page, title=hit.title,
        file=hit.file, label=translated(short_place(hit.page_label, hit.page), tongue),
        place=translated(hit.place, tongue), chapter=hit.chapter,
        edition=translated(hit.edition, tongue), doubt=translated(hit.doubt, tongue),
        recognised=hit.recognised is not None, language=written, snippet=hit.snippet,
        citation=citation(hit, tongue), why=hit.why, alike=alike,
    )  # fmt: skip


def _names(one: Duplicate, tongue: Language) -> tuple[str, str, str]:
    return one.title, translated(one.edition, tongue), translated(one.place, tongue)


_ENOUGH = 1500  # characters of a book
_LEAST = 20  # letters, or what a text is written in cannot be told
_SCRIPTS = {
    "ko": re.compile("[가-힣]"),
    "ja": re.compile("[ぁ-ヿ]"),
    "zh": re.compile("[一-鿿]"),
    "ru": re.compile("[а-яА-Я]"),
    "el": re.compile("[α-ωΑ-Ω]"),
}
_LETTER = re.compile(r"[^\W\d_]")
_SHARE = {"ko": 0.15, "ja": 0.05, "zh": 0.2, "ru": 0.4, "el": 0.4}  # of the letters, in this order
_WORD = re.compile(r"[^\W\d_]+")
_COMMON = {
    "en": "the of and to is that for with this are be",
    "de": "der die das und ist nicht ein eine mit den von",
    "fr": "le les des est une et dans pour que qui du",
    "es": "el los las una del para que con por se",
    "it": "il che di per una con della non gli del",
    "nl": "het een van en niet voor met zijn dat op",
    "pt": "os um uma do da não para com ou são",
    "sv": "och att det som en är för på av inte",
    "da": "og at det som en er for på af ikke",
    "pl": "na do się jest nie że jak to oraz przez",
    "cs": "se na je že pro do které jako nebo být",
    "ro": "și în la pentru cu este să din nu sau",
    "ca": "el la els les amb que per del una és",
    "id": "yang dan di untuk dari dengan ini pada tidak adalah",
    "vi": "và của các được cho là có không trong một",
    "tr": "ve bir bu için ile da de olarak ya değil",
}
_WORDS = {name: frozenset(words.split()) for name, words in _COMMON.items()}
_ENOUGH_COMMON = 0.06  # of the words; more than one of them, for code has a "for"


def language_of(text: str) -> str:
    """What a text is written in, as ISO 639-1 has it, by its letters, else by the words that are
    the most common ones of a language; "" where neither tells."""
    letters = len(_LETTER.findall(text))
    if letters < _LEAST:
        return ""
    for language, letter in _SCRIPTS.items():
        if len(letter.findall(text)) > _SHARE[language] * letters:
            return language
    words = _WORD.findall(text.casefold())
    found = {name: [*filter(common.__contains__, words)] for name, common in _WORDS.items()}
    best = max(found, key=lambda name: len(found[name]))
    clear = len(found[best]) > _ENOUGH_COMMON * len(words) and len({*found[best]}) > 1
    return best if clear else ""
