"""The system page: whether all is well, and what to do about what is not."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version

import streamlit as st

from bookbrain import __version__
from bookbrain.errors import BookBrainError
from bookbrain.last_check import Seen
from bookbrain.web.condition import look
from bookbrain.web.frame import show_line, tr
from bookbrain.web.shelf import the_shelf
from bookbrain.wording import fill, message_of

_PARTS = ("chromadb", "streamlit", "pypdfium2", "kiwipiepy")


def show_page() -> None:
    """One glance, then each thing that was looked at, then versions."""
    st.title(tr("System"), anchor=False)
    try:
        with the_shelf().patient_library() as library:
            seen = look(library, datetime.now(UTC))
    except BookBrainError as error:
        show_line("error", tr(error.whole))
        return
    st.html(_verdict(seen) + _list(seen) + _versions())


def _verdict(seen: Sequence[Seen]) -> str:
    failed, warned = (sum(one.state == state for one in seen) for state in ("FAIL", "warn"))
    if failed:
        return _line("fail", tr(fill("Something is wrong: {count}.", count=failed)))
    if warned:
        return _line("warn", tr(fill("It works. To look at: {count}.", count=warned)))
    return _line("ok", tr("All is well."))


def _line(kind: str, text: str) -> str:
    return f'<p class="verdict {kind}" role="status">{escape(text)}</p>'


def _list(seen: Sequence[Seen]) -> str:
    return f'<ul class="checks">{"".join(map(_item, seen))}</ul>'


def _item(seen: Seen) -> str:
    remedy = (
        f'<p class="next">{escape(tr(fill("Next: {remedy}", remedy=message_of(seen.remedy))))}</p>'
    )
    return (
        f'<li class="{seen.state.lower()}"><span class="state">{escape(tr(seen.state))}</span>'
        f"<div><strong>{escape(tr(seen.name))}</strong> <span>{escape(tr(seen.seen))}</span>"
        f"{remedy if seen.remedy else ''}</div></li>"
    )


def _versions() -> str:
    parts = [f"BookBrain {__version__}", f"Python {platform.python_version()}"]
    parts += [f"{part} {version(part)}" for part in _PARTS]
    return f'<h2>{escape(tr("Versions"))}</h2><p class="quiet">{escape(" · ".join(parts))}</p>'


if __name__ == "__main__":
    show_page()
