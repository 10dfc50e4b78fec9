"""The options of a search, folded away: how it is done, and in what."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import streamlit as st

from bookbrain.model import Book, Hit, Mode
from bookbrain.web.asking import MOST_HITS
from bookbrain.web.frame import plain, tr
from bookbrain.web.shelf import the_shelf

_COUNT = 10
_FRESH = 5.0  # seconds
_CHAPTERS = "chapter"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the options depend on. `weight` is what meaning counts where nobody says otherwise."""

    books: tuple[Book, ...]
    by_meaning: bool
    weight: float


@dataclass(frozen=True, slots=True)
class Options:
    """What was chosen; `books` are ids, and none of them means all."""

    mode: Mode = "hybrid"
    weight: float | None = None
    count: int = _COUNT
    books: tuple[str, ...] = ()
    folded: bool = False


def facts() -> Facts:
    """Of the library; a few seconds old at most, for everybody who types asks for them."""
    return _facts(the_shelf().home)


@st.cache_resource(ttl=_FRESH, show_spinner=False, max_entries=8)
def _facts(home: Path) -> Facts:
    with the_shelf().library() as library:
        settings = library.settings
        return Facts(tuple(library.books()), settings.embedding.enabled, settings.vector_weight)


def show_options(known: Facts) -> Options:
    """The widgets, into the container of now; they keep their values while one reads a page."""
    mode, weight = _show_legs(known) if known.by_meaning else ("hybrid", None)
    names = _names(known.books)
    chosen = st.multiselect(
        tr("Books"), list(names), key="books", bind="query-params", persist_state="session",
        placeholder=tr("All books"),
    )  # fmt: skip
    count = st.slider(
        tr("How many pages"), 5, MOST_HITS, _COUNT, 5,
        key="most", bind="query-params", persist_state="session",
    )  # fmt: skip
    folded = st.checkbox(tr("Fold the pages of one book together"), key="fold",
                         bind="query-params", persist_state="session")  # fmt: skip
    return Options(mode, weight, count, tuple(names[name] for name in chosen), folded)


def _show_legs(known: Facts) -> tuple[Mode, float | None]:
    mode = st.radio(
        tr("Search by"), get_args(Mode), format_func=lambda mode: plain(tr(_called(mode))),
        key="mode", horizontal=True, persist_state="session",
    )  # fmt: skip
    if mode != "hybrid":
        return mode, None
    weight = st.slider(
        tr("How much meaning counts against keywords"), 0.0, 1.0, known.weight, 0.1,
        key="weight", bind="query-params", persist_state="session",
    )  # fmt: skip
    return mode, weight


def _called(mode: Mode) -> str:
    names: dict[Mode, str] = {
        "hybrid": "Keywords and meaning",
        "keyword": "Keywords only",
        "vector": "Meaning only",
    }
    return names[mode]


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
