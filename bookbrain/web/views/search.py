"""The search page: a box, and below it what was found."""

from dataclasses import replace
from html import escape
from urllib.parse import urlencode

import streamlit as st

from bookbrain.errors import BookBrainError
from bookbrain.model import SearchResult
from bookbrain.web.asking import LONGEST_QUERY, MOST_HITS, check_length, page_of
from bookbrain.web.finding import Question, find
from bookbrain.web.frame import link, show_line, tongue, tr
from bookbrain.web.hits import hits_html
from bookbrain.web.options import (
    Facts,
    Options,
    chosen_chapters,
    facts,
    show_chapters,
    show_options,
)
from bookbrain.web.recent import recent, remember
from bookbrain.web.shelf import the_shelf
from bookbrain.wording import fill


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
        options = show_options(known)
    if query.strip():
        check_length(query)
        remember(query)
        asked = Question(query, options.count, options.mode, options.books, options.weight)
        _show_result(asked, _found(asked, panel), options)
    elif similar:
        asked = Question(k=options.count, similar=page_of(similar))
        _show_origin(known, similar)
        _show_result(asked, _found(asked, panel), options)
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


def _show_result(asked: Question, result: SearchResult, options: Options) -> None:
    if result.remark:
        more = f'<a href="/system">{escape(tr("What to do"))}</a>'
        st.html(f'<p class="remark">{escape(tr(result.remark))} {more}</p>')
    if not result.hits:
        _show_nothing(asked)
        return
    hits = hits_html(result.hits, asked.query, options.folded)
    st.html(_summary(asked, result) + hits)


def _summary(asked: Question, result: SearchResult) -> str:
    """How many, how long it took, and the whole result to take away."""
    said = tr(fill("Pages: {count}, in {time:.0f} ms", count=len(result.hits), time=result.took_ms))
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


def _show_origin(known: Facts, similar: str) -> None:
    """A line saying what the pages are similar to."""
    book_id, page = page_of(similar)
    title = next((book.title for book in known.books if book.id == book_id), book_id)
    place = f'<a href="{link("/read", book=book_id, page=page)}">{escape(title)}</a>'
    said = escape(tr(fill("Similar to page {page} of the file:", page=page)))
    st.html(f'<p class="quiet">{said} {place}</p>')


def _show_nothing(asked: Question) -> None:
    """What to loosen."""
    show_line("none", tr("No page has that. Try fewer or other words."))
    if asked.books or chosen_chapters():
        show_line("none", tr("Or search in all books and chapters: see the options."))
    if '"' in asked.query:
        show_line("none", tr("Or leave out the quotation marks: then the words may stand apart."))
    if " -" in f" {asked.query}":
        show_line("none", tr("Or leave out the words with a minus."))


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
