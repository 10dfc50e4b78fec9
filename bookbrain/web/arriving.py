"""What is on its way in, as everybody sees it, and what could not be added."""

from functools import partial
from html import escape

import streamlit as st

from bookbrain.errors import BookBrainError
from bookbrain.library import Arrival
from bookbrain.library.arrivals import INBOX, Rejection, dismiss, rejections
from bookbrain.web.frame import plain, show_line, tr
from bookbrain.web.shelf import the_shelf

_OFTEN = 1.0  # seconds between two looks, while something is under way


def show_arrivals() -> None:
    """The progress of what is under way, and why other files could not be added."""
    with the_shelf().library() as library:
        count = len(library.under_way())
        rejected = rejections(library.settings.home / INBOX)
    if count:
        st.fragment(partial(_show_progress, count), run_every=_OFTEN)()
    for number, rejection in enumerate(rejected):
        _show_rejection(rejection, number)


def _show_progress(count: int) -> None:
    """Every file's bar; once their number is not `count` any more, the whole page anew."""
    try:
        with the_shelf().library() as library:
            arrivals = library.under_way()
    except BookBrainError as error:
        show_line("error", tr(error.whole))
        return
    if len(arrivals) != count:
        st.rerun()
    for arrival in arrivals:
        _show_arrival(arrival)


def _show_arrival(arrival: Arrival) -> None:
    if arrival.step and not arrival.waiting:
        part = min(arrival.done / arrival.total, 1.0) if arrival.total else 0.0
        step = f"{tr(arrival.step)} {arrival.done:,}/{arrival.total:,}"
        st.progress(part, text=plain(f"{arrival.file} · {step}"))
        return
    state = tr(arrival.waiting) if arrival.waiting else tr("waits for its turn")
    show_line("remark", f"{arrival.file} · {state}")


def _show_rejection(rejection: Rejection, number: int) -> None:
    sentence = f"{tr(rejection.reason)}. {tr(rejection.hint)}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(
            f'<p class="error"><strong>{escape(rejection.file)}</strong>: '
            f"{escape(tr('not added'))}, {escape(sentence)}</p>"
        )
        if st.button(tr("Delete this file"), key=f"dismiss-{number}", type="tertiary"):
            with the_shelf().library() as library:
                dismiss(library.settings.home / INBOX, rejection)
            st.rerun()
