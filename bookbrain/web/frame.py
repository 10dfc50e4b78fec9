"""What all pages share: the language, the style, the keys, and text that stays text.

Books and queries may hold anything. What comes from them is shown as HTML with its characters
escaped (`show_line`, `escape`), or, where a widget takes Markdown, as `plain` makes it.

A link in such HTML whose address begins with `/` is followed within the app, as the browser's back
and forward are: `frame.js` sees to it.
"""

import re
from html import escape
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlencode

import streamlit as st

from bookbrain.messages import Language, fill, language, translated

WIDTH = 1200  # pixels of the picture that the reader shows first
CARRIED = 2_000  # characters of a query that go into an address, which has its limits
PAGES = Path(__file__).parent
_LANGUAGES: dict[Language, str] = {"en": "English", "ko": "한국어"}
_COOKIE = "language"
_ICON = Path(__file__).with_name("icon.svg")
_STYLE = Path(__file__).with_name("frame.css")
_SCRIPT = Path(__file__).with_name("frame.js").read_text(encoding="utf-8")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")


def begin(layout: Literal["centered", "wide"]) -> None:
    """The head of every page; once, before anything is shown.

    The page does not set its layout itself: two in a run change the width at every turn.
    """
    st.set_page_config(page_title="BookBrain", page_icon=_ICON, layout=layout)
    st.html(_STYLE)
    buttons = "".join(
        f'<button type="button" lang="{code}" data-language="{code}"'
        f"{' aria-current=true' if code == tongue() else ''}>{name}</button>"
        for code, name in _LANGUAGES.items()
    )
    st.html(
        f'<div id="bookbrain-frame" lang="{tongue()}">'
        f'<nav class="language" aria-label="Language · 언어">{buttons}</nav></div>'
        f"<script>{_SCRIPT}</script>",
        unsafe_allow_javascript=True,
    )


def tongue() -> Language:
    """The visitor's language: the one chosen in this browser, else the browser's own."""
    chosen = st.context.cookies.to_dict().get(_COOKIE)
    return language({"LANG": chosen or st.context.locale or ""})


def tr(text: str, /, **values: object) -> str:
    """`text`, filled with `values` where there are any, in the visitor's language."""
    return translated(fill(text, **values) if values else text, tongue())


def link(path: str, **query: str | int) -> str:
    """The address of a page of the app, for an attribute; what is empty in `query` is left out."""
    given = {name: value for name, value in query.items() if value != ""}
    return escape(f"{path}?{urlencode(given)}" if given else path)


def picture(book_id: str, page: int, query: str, width: int) -> str:
    """The address of a page's picture, for an attribute: the same wherever it is asked for."""
    asked = quote(query[:CARRIED], safe="")
    return f"/page/{book_id}/{page}.png?q={asked}&amp;width={width}"


def plain(text: str) -> str:
    """`text` for a label that is Markdown: every character as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def show_line(kind: str, text: str) -> None:
    """A paragraph of the class `kind`."""
    st.html(f'<p class="{kind}">{escape(text)}</p>')


def show_links(*links: tuple[str, str]) -> None:
    """Links one below the other: what each says, and its address as `link` makes it."""
    shown = "".join(f'<li><a href="{address}">{escape(said)}</a></li>' for said, address in links)
    st.html(f'<ul class="links">{shown}</ul>')


def show() -> None:
    """The navigation, and the page that was asked for: what Streamlit runs for every question."""
    # No icons: a browser would ask Google for that of the page.
    pages = [
        st.Page(PAGES / "search_page.py", title=tr("Search"), default=True),
        st.Page(PAGES / "books_page.py", title=tr("Books"), url_path="books"),
        st.Page(PAGES / "system_page.py", title=tr("System"), url_path="system"),
        st.Page(PAGES / "reader_page.py", title=tr("Reader"), url_path="read", visibility="hidden"),
    ]
    page = st.navigation(pages, position="top")
    begin("wide" if page.url_path == "read" else "centered")
    page.run()


if __name__ == "__main__":
    show()
