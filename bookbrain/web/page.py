"""The page: Streamlit runs this file from top to bottom for every visitor and every question.

Books and queries may hold anything, so all that comes from them is HTML with its characters
escaped, never Markdown.
"""

from html import escape

import streamlit as st

from bookbrain.errors import BookBrainError
from bookbrain.model import Hit, SearchResult
from bookbrain.translation import Language, language, translated
from bookbrain.web.finding import find
from bookbrain.web.routes import LONGEST_QUERY, check_length
from bookbrain.web.shelf import the_shelf

_STYLE = """<style>
.hit { margin-bottom: 1rem; overflow-wrap: anywhere; }
.hit h2 { font-size: 1.1rem; padding: 0; }
.hit p { margin: 0.2rem 0 0; }
.where, .remark { opacity: 0.75; }
.hit mark { background: #ffe58a; color: #1a1a1a; }
.error { color: #c0392b; }
</style>"""


def show_page() -> None:
    """The search box and, below it, what was found."""
    tongue = language({"LANG": st.context.locale or ""})
    st.set_page_config(page_title="BookBrain", layout="centered")
    st.html(_STYLE)
    st.title("BookBrain", anchor=False)
    query = st.text_input(
        translated("Search your books", tongue),
        key="q",
        type="search",
        bind="query-params",
        max_chars=LONGEST_QUERY,
        placeholder=translated("A question, or words from the page", tongue),
    )
    try:
        if query.strip():
            with st.spinner(translated("Searching …", tongue)):
                result = _find(query)
            _show_result(result, tongue)
        elif not _has_books():
            hint = translated("No books yet. Add some: bookbrain add ~/Books", tongue)
            _show_line("remark", hint)
    except BookBrainError as error:
        _show_line("error", translated(str(error), tongue))


def _find(query: str) -> SearchResult:
    check_length(query)
    with the_shelf().library() as library:
        return find(library, query)


def _has_books() -> bool:
    with the_shelf().library() as library:
        return bool(library.books())


def _show_result(result: SearchResult, tongue: Language) -> None:
    if result.remark:
        _show_line("remark", translated(result.remark, tongue))
    if not result.hits:
        _show_line("none", translated("No page has that. Try fewer or other words.", tongue))
    for hit in result.hits:
        st.html(_as_html(hit, tongue))


def _as_html(hit: Hit, tongue: Language) -> str:
    """A hit; its snippet is HTML already."""
    where = translated(_where(hit), tongue)
    about = " · ".join(filter(None, (where, hit.chapter, hit.file)))
    return (
        f'<article class="hit"><h2>{hit.rank}. {escape(hit.title)}</h2>'
        f'<p class="where">{escape(about)}</p><p>{hit.snippet}</p></article>'
    )


def _where(hit: Hit) -> str:
    if hit.page_label == str(hit.page):
        return f"p. {hit.page_label}"
    return f"p. {hit.page_label} (page {hit.page} of the file)"


def _show_line(kind: str, text: str) -> None:
    st.html(f'<p class="{kind}">{escape(text)}</p>')


show_page()
