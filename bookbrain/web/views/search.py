"""The search page: a box, and below it what was found."""

from html import escape

import streamlit as st

from bookbrain.errors import BookBrainError
from bookbrain.model import Hit, SearchResult
from bookbrain.web.finding import find
from bookbrain.web.frame import show_line, tr
from bookbrain.web.routes import LONGEST_QUERY, check_length
from bookbrain.web.shelf import the_shelf


def show_page() -> None:
    """The search box and, below it, what was found."""
    st.title("BookBrain", anchor=False)
    query = st.text_input(
        tr("Search your books"),
        key="q",
        type="search",
        bind="query-params",
        max_chars=LONGEST_QUERY,
        placeholder=tr("A question, or words from the page"),
    )
    try:
        if query.strip():
            with st.spinner(tr("Searching …")):
                result = _find(query)
            _show_result(result)
        elif not _has_books():
            hint = tr("No books yet. Add some: bookbrain add ~/Books")
            show_line("remark", hint)
    except BookBrainError as error:
        show_line("error", tr(str(error)))


def _find(query: str) -> SearchResult:
    check_length(query)
    with the_shelf().library() as library:
        return find(library, query)


def _has_books() -> bool:
    with the_shelf().library() as library:
        return bool(library.books())


def _show_result(result: SearchResult) -> None:
    if result.remark:
        show_line("remark", tr(result.remark))
    if not result.hits:
        show_line("none", tr("No page has that. Try fewer or other words."))
    for hit in result.hits:
        st.html(_as_html(hit))


def _as_html(hit: Hit) -> str:
    """A hit; its snippet is HTML already."""
    where = tr(_where(hit))
    about = " · ".join(filter(None, (where, hit.chapter, hit.file)))
    return (
        f'<article class="hit"><h2>{hit.rank}. {escape(hit.title)}</h2>'
        f'<p class="where">{escape(about)}</p><p>{hit.snippet}</p></article>'
    )


def _where(hit: Hit) -> str:
    if hit.page_label == str(hit.page):
        return f"p. {hit.page_label}"
    return f"p. {hit.page_label} (page {hit.page} of the file)"


if __name__ == "__main__":
    show_page()
