"""What Streamlit's pages share: the row above them, the language, and text that stays text.

Books and queries may hold anything. What comes from them is shown as HTML with its characters
escaped (`show_line`, `escape`), or, where a widget takes Markdown, as `plain` makes it.

A link in such HTML to another of these pages, or into the reader, is followed within the app, as
the browser's back and forward are: `frame.js` sees to it.
"""

import json
import re
from html import escape
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

import streamlit as st

from bookbrain.messages import Language, fill, language, translated
from bookbrain.web.plain_page import LANGUAGE_COOKIE, row_of

PAGES = Path(__file__).parent
_ICON = Path(__file__).with_name("icon.svg")
_STYLE = "".join(
    Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("common.css", "frame.css")
)
_SCRIPT = Path(__file__).with_name("frame.js").read_text(encoding="utf-8")
_CODE = re.compile("`([^`]+)`")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")


def begin(title: str, layout: Literal["centered", "wide"], path: str) -> None:
    """The head of the page that is called `title`; once, before anything is shown.

    The page does not set its layout itself: two in a run change the width at every turn.
    """
    st.set_page_config(page_title=f"{title} · BookBrain", page_icon=_ICON, layout=layout)
    st.html(f"<style>{_STYLE}</style>")
    st.html(
        f'<div id="bookbrain-frame" lang="{tongue()}" data-reader="{escape(tr("Reader"))}" '
        f'data-gone="{escape(tr("The server does not answer. It is asked again."))}" '
        f'data-out="{escape(tr("You are not signed in any more. Load the page again."))}" '
        f'data-words="{escape(json.dumps({word: tr(word) for word in _STREAMLITS}))}">'
        f"{row_of(tongue(), path)}</div><script>{_SCRIPT}</script>",
        unsafe_allow_javascript=True,
    )


# What Streamlit says by itself on these pages; what stands in braces is any text.
_STREAMLITS = (
    fill("Skip to main content"),
    fill("Upload"),
    fill("file upload"),
    fill("Add files"),
    fill("Remove {file}", file="{file}"),
    fill("Close"),
    fill("progress"),
    fill("{size} per file", size="{size}"),
)
_PLACE = re.compile(r"([0-9a-f]{12})\.([1-9][0-9]{0,5})")


def reading() -> dict[str, int]:
    """Where one stopped reading in this browser: pages by the first twelve digits of the book's id,
    the book read last first. `reading.js` keeps it."""
    kept = st.context.cookies.to_dict().get("reading", "")
    return {book: int(page) for book, page in _PLACE.findall(kept)}


def tongue() -> Language:
    """The visitor's language: the one chosen in this browser, else the browser's own."""
    chosen = st.context.cookies.to_dict().get(LANGUAGE_COOKIE)
    return language({"LANG": chosen or st.context.locale or ""})


def tr(text: str, /, **values: object) -> str:
    """`text`, filled with `values` where there are any, in the visitor's language."""
    return translated(fill(text, **values) if values else text, tongue())


def link(path: str, **query: str | int) -> str:
    """The address of a page of the app, for an attribute; what is empty in `query` is left out."""
    given = {name: value for name, value in query.items() if value != ""}
    return escape(f"{path}?{urlencode(given)}" if given else path)


def plain(text: str) -> str:
    """`text` for a label that is Markdown: every character as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def coded(text: str) -> str:
    """`text` as HTML; what stands in backticks, as commands do, is code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def show_line(kind: str, text: str) -> None:
    """A paragraph of the class `kind`."""
    st.html(f'<p class="{kind}">{escape(text)}</p>')


def show() -> None:
    """The page that was asked for: what Streamlit runs for every question."""
    # No icons: a browser would ask Google for that of the page.
    pages = [
        st.Page(_leave, title=tr("Search"), default=True),
        st.Page(PAGES / "books_page.py", title=tr("Books"), url_path="books"),
        st.Page(PAGES / "system_page.py", title=tr("System"), url_path="system"),
    ]
    page = st.navigation(pages, position="hidden")
    begin(page.title, "centered", f"/{page.url_path}")
    page.run()


def _leave() -> None:
    """`/` is no page of Streamlit's, which shows its first one where it knows no other."""
    there = f'<a href="/">{escape(tr("Search"))}</a>'
    st.html(f'<p class="remark">{escape(tr("There is no such address."))} {there}</p>')


if __name__ == "__main__":
    show()
