"""The search page: a box, its options, and below it what was found."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import get_args
from urllib.parse import quote, urlencode

import streamlit as st

from bookbrain.errors import BookBrainError
from bookbrain.model import Book, Hit, LegHit, Mode, ReadAs, SearchResult, citation
from bookbrain.web.api import (
    LONGEST_QUERY,
    MOST_HITS,
    USUAL_HITS,
    Question,
    check_length,
    find,
    page_of,
)
from bookbrain.web.frame import CARRIED, WIDTH, link, picture, plain, show_line, tongue, tr
from bookbrain.web.shelf import the_shelf

_KEY = "recent searches"
_MOST = 8


def recent() -> list[str]:
    """The queries, newest first."""
    return list(st.session_state.get(_KEY, ()))


def remember(query: str) -> None:
    """Put `query` first. What one typed on the way to it, and on the way back, is forgotten."""
    query = query.strip()
    before = recent()
    if before and (query.startswith(before[0]) or before[0].startswith(query)):
        query = max(query, before.pop(0), key=len)
    st.session_state[_KEY] = [query, *(old for old in before if old != query)][:_MOST]


def hits_html(hits: Sequence[Hit], query: str, folded: bool) -> str:
    """A list of the hits; `folded` puts the further ones of a book below its first one.

    What a book says, or a query, is text in it; snippets are HTML already.
    """
    groups = _by_book(hits) if folded else [[hit] for hit in hits]
    items = "".join(f"<li>{_group(group, query[:CARRIED])}</li>" for group in groups)
    return f'<ol class="hits" data-query="{quote(query.strip())}">{items}</ol>'


def _by_book(hits: Sequence[Hit]) -> Iterable[list[Hit]]:
    books: dict[str, list[Hit]] = {}
    for hit in hits:
        books.setdefault(hit.book_id, []).append(hit)
    return books.values()


def _group(hits: Sequence[Hit], query: str) -> str:
    first, *others = hits
    if not others:
        return _hit(first, query)
    more = escape(tr("More pages of this book: {count}", count=len(others)))
    rest = "".join(_hit(hit, query) for hit in others)
    folded = f'<details class="more"><summary>{more}</summary>{rest}</details>'
    return _hit(first, query) + folded


def _hit(hit: Hit, query: str) -> str:
    page = link("/read", book=hit.book_id, page=hit.page, find=query)
    soon = picture(hit.book_id, hit.page, query, WIDTH)
    place = escape(" · ".join(filter(None, (tr(hit.place), hit.chapter, tr(hit.doubt)))))
    return (
        f'<article class="hit"><h2><a class="open" href="{page}" data-picture="{soon}">'
        f"{escape(hit.title)}</a></h2>"
        f'<p class="where">{place}</p><p>{hit.snippet}</p>{_duplicates(hit, query)}{_doing(hit)}'
        "</article>"
    )


def _duplicates(hit: Hit, query: str) -> str:
    if not hit.duplicates:
        return ""
    links = (
        f'<a href="{link("/read", book=other.book_id, page=other.page, find=query)}">'
        f"{escape(other.title)}, {escape(tr(other.place))}</a>"
        for other in hit.duplicates
    )
    return f'<p class="where">{escape(tr("Nearly the same"))}: {" · ".join(links)}</p>'


def _doing(hit: Hit) -> str:
    """What can be done with a hit; each with a name that tells it from that of other hits."""
    about = f'<span class="unseen">: {escape(hit.title)}, {escape(tr(hit.place))}</span>'
    similar, copy = escape(tr("Similar")), escape(tr("Copy as a citation"))
    why, done = escape(tr("Why")), escape(tr("Copied"))
    like = link("/", similar=f"{hit.book_id}:{hit.page}")
    # Percent-encoded: Streamlit drops attributes that hold an end of a script or of a comment.
    quoted = quote(citation(hit, tongue()))
    return (
        f'<div class="doing"><a href="{like}">{similar}{about}</a>'
        f'<button type="button" data-copy="{quoted}" data-done="{done}">{copy}{about}</button>'
        f"<details><summary>{why}{about}</summary><p>{escape(_why(hit))}</p></details></div>"
    )


def _why(hit: Hit) -> str:
    """Each leg's rank and score, the score of both together, and the file."""
    legs = (
        _leg(tr("by keyword"), hit.why.keyword),
        _leg(tr("by meaning"), hit.why.vector),
        f"{tr('together')}: {hit.score:.2f}",
        hit.file,
    )
    return " · ".join(filter(None, legs))


def _leg(name: str, leg: LegHit | None) -> str:
    return f"{name}: {tr('rank')} {leg.rank}, {tr('score')} {leg.score:.2f}" if leg else ""


_FRESH = 5.0  # seconds
_CHAPTERS = "chapter"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the options depend on. `weight` is what meaning counts where nobody says otherwise."""

    books: tuple[Book, ...]
    by_meaning: bool
    weight: float


def facts() -> Facts:
    """Of the library; a few seconds old at most, for everybody who types asks for them."""
    return _facts(the_shelf().home)


@st.cache_resource(ttl=_FRESH, show_spinner=False, max_entries=8)
def _facts(home: Path) -> Facts:
    with the_shelf().library() as library:
        settings = library.settings
        return Facts(tuple(library.books()), settings.embedding.enabled, settings.vector_weight)


def show_options(known: Facts) -> tuple[Question, bool]:
    """The widgets, into the container of now; they keep their values while one reads a page.

    What was chosen, as a question without a query, and whether the pages of a book are folded.
    """
    mode, weight = _show_legs(known) if known.by_meaning else ("hybrid", None)
    names = _names(known.books)
    chosen = st.multiselect(
        tr("Books"), list(names), key="books", bind="query-params", persist_state="session",
        placeholder=tr("All books"),
    )  # fmt: skip
    count = st.slider(
        tr("How many pages"), 5, MOST_HITS, USUAL_HITS, 5,
        key="most", bind="query-params", persist_state="session",
    )  # fmt: skip
    folded = st.checkbox(tr("Fold the pages of one book together"), key="fold",
                         bind="query-params", persist_state="session")  # fmt: skip
    books = tuple(names[name] for name in chosen)
    return Question(k=count, mode=mode, books=books, weight=weight), folded


def _show_legs(known: Facts) -> tuple[Mode, float | None]:
    mode = st.radio(
        tr("Search by"), get_args(Mode), format_func=lambda mode: plain(tr(_CALLED[mode])),
        key="mode", horizontal=True, persist_state="session",
    )  # fmt: skip
    if mode != "hybrid":
        return mode, None
    weight = st.slider(
        tr("How much meaning counts against keywords"), 0.0, 1.0, known.weight, 0.1,
        key="weight", bind="query-params", persist_state="session",
    )  # fmt: skip
    return mode, weight


_CALLED = {
    "hybrid": "Keywords and meaning",
    "keyword": "Keywords only",
    "vector": "Meaning only",
}


def chosen_chapters() -> list[str]:
    """Those that `show_chapters` was told, the last time."""
    return list(st.session_state.get(_CHAPTERS, ()))


def show_chapters(hits: Sequence[Hit]) -> None:
    """The chapters of what was found, to choose from, into the container of now."""
    found = dict.fromkeys([*chosen_chapters(), *(hit.chapter for hit in hits if hit.chapter)])
    st.multiselect(
        tr("Chapters, of what was found"), list(found), key=_CHAPTERS, persist_state="session",
        placeholder=tr("All chapters"),
    )  # fmt: skip


def _names(books: Sequence[Book]) -> dict[str, str]:
    """A book's id by what it is called here: its title, and its file where two have the same."""
    titles = Counter(book.title for book in books)
    return {
        book.title if titles[book.title] == 1 else f"{book.title} ({book.file})": book.id
        for book in books
    }


@st.fragment
def show_page() -> None:
    """The search box and, below it, what was found."""
    st.title("BookBrain", anchor=False)
    query = st.text_input(
        tr("Search your books"), key="q", type="search", live="250ms", bind="query-params",
        max_chars=LONGEST_QUERY, label_visibility="collapsed",
        placeholder=tr("A question, or words from the page"),
    )  # fmt: skip
    try:
        _show_answer(query, st.query_params.get("similar", ""))
    except BookBrainError as error:
        show_line("error", tr(error.whole))


def _show_answer(query: str, similar: str) -> None:
    known = facts()
    if not known.books:
        _show_beginning()
        return
    panel = st.expander(tr("Search options"))
    with panel:
        options, folded = show_options(known)
    if query.strip():
        check_length(query)
        remember(query)
        asked = replace(options, query=query)
        _show_result(asked, _found(asked, panel), folded)
    elif similar:
        asked = Question(k=options.k, similar=page_of(similar))
        _show_origin(known, asked)
        _show_result(asked, _found(asked, panel), folded)
    else:
        _show_recent()
        with panel:
            show_chapters(())


def _found(asked: Question, panel: st.delta_generator.DeltaGenerator) -> SearchResult:
    """The answer, of the chosen chapters only, which are chosen among those that were found."""
    chosen = chosen_chapters()
    result = find(the_shelf(), replace(asked, k=MOST_HITS) if chosen else asked)
    with panel:
        show_chapters(result.hits)
    if not chosen:
        return result
    hits = [hit for hit in result.hits if hit.chapter in chosen]
    return replace(result, hits=tuple(hits[: asked.k]))


def _show_result(asked: Question, result: SearchResult, folded: bool) -> None:
    if result.remark:
        more = f'<a href="/system">{escape(tr("What to do"))}</a>'
        st.html(f'<p class="remark">{escape(tr(result.remark))} {more}</p>')
    if said := _reading(result.read_as):
        st.html(said)
    if not result.hits:
        _show_nothing(asked)
        return
    st.html(_summary(asked, result) + hits_html(result.hits, asked.query, folded))


def _reading(read_as: ReadAs) -> str:
    """How the query was read, each piece with a link to the query that is read the other way."""
    otherwise = escape(tr("read it the other way"))
    clauses = " · ".join(
        f'{escape(tr(clause.note))} <a href="{_asking(clause.other)}">{otherwise}'
        f'<span class="unseen">: {escape(clause.other)}</span></a>'
        for clause in read_as.clauses
    )
    said = f'<p class="quiet">{clauses}</p>' if clauses else ""
    if read_as.remark:
        said += f'<p class="remark">{escape(tr(read_as.remark))}</p>'
    return said


def _asking(query: str) -> str:
    """The address of this page with another query and the same options, for an attribute."""
    options = {name: st.query_params.get_all(name) for name in st.query_params if name != "q"}
    return escape(f"/?{urlencode({**options, 'q': query}, doseq=True)}")


def _summary(asked: Question, result: SearchResult) -> str:
    """How many, how long it took, and the whole result to take away."""
    said = tr("Pages: {count}, in {time:.0f} ms", count=len(result.hits), time=result.took_ms)
    query = escape(urlencode(_parameters(asked), doseq=True))
    return (
        f'<p class="quiet" role="status">{escape(said)} · '
        f'<a href="/api/search.md?{query}&amp;language={tongue()}" download="bookbrain.md">'
        "Markdown</a> · "
        f'<a href="/api/search?{query}" download="bookbrain.json">JSON</a></p>'
    )


def _parameters(asked: Question) -> dict[str, str | int | float | tuple[str, ...]]:
    if asked.similar:
        return {"similar": "{}:{}".format(*asked.similar), "k": asked.k}
    weight = {} if asked.weight is None else {"weight": asked.weight}
    return {"q": asked.query, "k": asked.k, "mode": asked.mode, "book": asked.books, **weight}


def _show_origin(known: Facts, asked: Question) -> None:
    """A line saying what the pages are similar to."""
    book_id, page = asked.similar or ("", 0)
    title = next((book.title for book in known.books if book.id == book_id), book_id)
    place = f'<a href="{link("/read", book=book_id, page=page)}">{escape(title)}</a>'
    said = escape(tr("Similar to page {page} of the file:", page=page))
    st.html(f'<p class="quiet">{said} {place}</p>')


def _show_nothing(asked: Question) -> None:
    """What to loosen."""
    show_line("none", tr("No page has that. Try fewer or other words."))
    if asked.books or chosen_chapters():
        show_line("none", tr("Or search in all books and chapters: see the options."))


def _show_beginning() -> None:
    here = f'<a href="/books">{escape(tr("Add some"))}</a>'
    st.html(f'<p class="remark">{escape(tr("No books yet."))} {here}</p>')


def _show_recent() -> None:
    if queries := recent():
        links = "".join(
            f'<li><a href="{link("/", q=query)}">{escape(query)}</a></li>' for query in queries
        )
        st.html(f'<p class="quiet">{escape(tr("Recent searches"))}</p><ul>{links}</ul>')


if __name__ == "__main__":
    show_page()
