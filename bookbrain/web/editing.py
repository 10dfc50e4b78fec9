"""Another title for a book, another reading, or its end: what a person is asked."""

from collections.abc import Callable
from typing import Literal

import streamlit as st

from bookbrain.errors import BookBrainError, BusyError
from bookbrain.library import Library, Silent
from bookbrain.library.uploading import add_again
from bookbrain.model import Book
from bookbrain.web.frame import show_line, tr
from bookbrain.web.ingestion import wake_ingestion
from bookbrain.web.shelf import Shelf, the_desk, the_shelf

Change = Literal["rename", "add again", "remove"]

_ASKING = "asking"  # of the session: which change of which book the dialog is about


class _Impatient(Silent):
    """Does not wait for another writer."""

    def wait(self) -> None:
        raise BusyError("Another book is being added just now.", "Try again when that is done.")


def ask(change: Change, book_id: str) -> None:
    """Open the dialog, at the next run."""
    st.session_state[_ASKING] = (change, book_id)


def show_dialog(books: dict[str, Book]) -> None:
    """The dialog that was asked for, if one was; it stays until it is answered or closed."""
    change, book_id = st.session_state.get(_ASKING, ("", ""))
    dialogs: dict[str, tuple[str, Callable[[Book], None]]] = {
        "rename": (tr("Rename"), _rename),
        "add again": (tr("Add this book again?"), _add_again),
        "remove": (tr("Remove this book?"), _remove),
    }
    if book := books.get(book_id):
        title, show = dialogs[change]
        st.dialog(title, on_dismiss=_close)(show)(book)


def _close() -> None:
    st.session_state.pop(_ASKING, None)


def _rename(book: Book) -> None:
    show_line("remark", book.file)
    with st.form(f"rename-{book.id}", border=False):  # Enter saves
        title = st.text_input(tr("Title"), value=book.title, max_chars=300)
        saved = st.form_submit_button(tr("Save"), type="primary")
    if saved:
        _do(lambda library: library.rename(book.id, title or ""))


def _add_again(book: Book) -> None:
    show_line("", f"{book.title} ({book.file})")
    text = (
        "Its file is read anew, as if it came today. "
        "Until that is done nothing in it is found, and a title that you gave it goes. "
        "What was paid for its embeddings is kept."
    )
    show_line("remark", tr(text))
    if st.button(tr("Add again"), type="primary"):
        with st.spinner(tr("Adding …")):
            _do(lambda library: _read_anew(library, book), the_desk())


def _read_anew(library: Library, book: Book) -> None:
    add_again(library, book.id, _Impatient())
    wake_ingestion()


def _remove(book: Book) -> None:
    show_line("", f"{book.title} ({book.file})")
    text = (
        "The library's copy of the file goes, and nothing in it is found any more. "
        "What was paid for its embeddings is kept: adding it again costs nothing."
    )
    show_line("remark", tr(text))
    if st.button(tr("Remove"), type="primary"):
        with st.spinner(tr("Removing …")):
            _do(lambda library: library.remove(book.id, _Impatient()))


def _do(change: Callable[[Library], object], shelf: Shelf | None = None) -> None:
    """Make the change and close the dialog; or say in it why not."""
    try:
        with (shelf or the_shelf()).library() as library:
            change(library)
    except BookBrainError as error:
        show_line("error", tr(error.whole))
        return
    _close()
    st.rerun()
