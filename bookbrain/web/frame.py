"""What all pages share: the language, the style, and text that stays text.

Books and queries may hold anything. What comes from them is shown as HTML with its characters
escaped (`show_line`, `escape`), or, where a widget takes Markdown, as `plain` makes it.
"""

import re
from html import escape
from pathlib import Path

import streamlit as st

from bookbrain.translation import Language, language, translated

VIEWS = Path(__file__).with_name("views")

_STYLE = """<style>
.hit { margin-bottom: 1rem; overflow-wrap: anywhere; }
.hit h2 { font-size: 1.1rem; padding: 0; }
.hit p { margin: 0.2rem 0 0; }
.where, .remark { opacity: 0.75; }
.hit mark { background: #ffe58a; color: #1a1a1a; }
.error { color: #c0392b; }
</style>"""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")


def begin() -> None:
    """The head of every page; once, before anything is shown."""
    st.set_page_config(page_title="BookBrain", layout="centered")
    st.html(_STYLE)


def tongue() -> Language:
    """The visitor's language."""
    return language({"LANG": st.context.locale or ""})


def tr(text: str) -> str:
    """`text` in the visitor's language."""
    return translated(text, tongue())


def plain(text: str) -> str:
    """`text` for a label that is Markdown: every character as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def show_line(kind: str, text: str) -> None:
    """A paragraph of the class `kind`."""
    st.html(f'<p class="{kind}">{escape(text)}</p>')
