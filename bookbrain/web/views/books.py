"""The books: what is there, and what is on its way in."""

from collections.abc import Callable, Sequence
from pathlib import Path
from unicodedata import normalize

import streamlit as st

from bookbrain.errors import BookBrainError
from bookbrain.model import Book
from bookbrain.server import Layout
from bookbrain.web.arriving import show_arrivals
from bookbrain.web.editing import Change, ask, show_dialog
from bookbrain.web.frame import VIEWS, plain, show_line, tr
from bookbrain.web.shelf import the_shelf
from bookbrain.web.uploading import show_upload
from bookbrain.wording import fill

_FEW = 10  # so many books need no filter
_ON_A_PAGE = 20

_STYLE = """<style>
.cover { width: 4.5rem; height: 6rem; object-fit: cover; object-position: top;
         background: rgba(128, 128, 128, 0.15); border-radius: 0.25rem; display: block; }
.about, .remark, .error, .plan { margin: 0; overflow-wrap: anywhere; }
.about { opacity: 0.75; font-size: 0.9rem; }
[class*="st-key-book-"] [data-testid="stPageLink"] a { padding-left: 0; }
[class*="st-key-book-"] [data-testid="stPageLink"] p { font-size: 1.05rem; font-weight: 600;
    white-space: normal; overflow-wrap: anywhere; }
</style>"""


def show_page() -> None:
    """The totals, the way in, what is under way, and the books."""
    st.html(_STYLE)
    st.title(tr("Books"), anchor=False)
    try:
        with the_shelf().library() as library:
            books = library.books()
            home = library.settings.home
            semantic = library.settings.embedding.enabled
            missing = library.unembedded() if semantic else 0
        if books:
            _show_totals(books, missing)
        else:
            _show_beginning(home)
        with st.expander(tr("Add books"), expanded=not books, icon=":material/upload:"):
            upload = st.container()
        show_arrivals()
        if books:
            _show_books(books)
        with upload:  # last: it may take a while to read what was chosen
            show_upload()
    except BookBrainError as error:
        show_line("error", tr(error.whole))


def _show_totals(books: Sequence[Book], missing: int) -> None:
    pages, passages = sum(b.pages for b in books), sum(b.passages for b in books)
    show_line(
        "remark",
        tr(
            fill(
                "books: {books:,}, pages: {pages:,}, passages: {passages:,}",
                books=len(books),
                pages=pages,
                passages=passages,
            )
        ),
    )
    if missing:
        text = fill(
            "Books that are not found by meaning yet: {missing}. Run `bookbrain embed`.",
            missing=missing,
        )
        show_line("remark", tr(text))


def _show_beginning(home: Path) -> None:
    show_line("remark", tr("No books yet. Drop your PDFs below: what it costs is shown first."))
    way = (
        fill("Or copy them into {inbox} on the server.", inbox=Layout().inbox)
        if home == Layout().home
        else "Or run `bookbrain add ~/Books` in a terminal."
    )
    show_line("remark", tr(way))


@st.fragment
def _show_books(books: Sequence[Book]) -> None:
    """A page of the list; of a long one what is looked for, in the order that is wanted."""
    found = _chosen(books) if len(books) > _FEW else [*reversed(books)]
    if not found:
        show_line("none", tr("No book is called that."))
    first = 0
    if len(found) > _ON_A_PAGE:
        number = st.pagination(-(-len(found) // _ON_A_PAGE), key=f"page-{len(found)}")
        first = (number - 1) * _ON_A_PAGE
    for book in found[first : first + _ON_A_PAGE]:
        _show_book(book)
    show_dialog({book.id: book for book in books})


def _chosen(books: Sequence[Book]) -> list[Book]:
    words, order = st.columns([2, 1], vertical_alignment="bottom")
    typed = words.text_input(tr("Title or file name"), key="filter", type="search", live="300ms")
    orders: dict[str, Callable[[Book], str]] = {
        tr("Newest first"): lambda book: book.added_at,
        tr("Title"): lambda book: book.title.casefold(),
        tr("File name"): lambda book: book.file.casefold(),
    }
    chosen = order.selectbox(tr("Order"), list(orders), key="order")
    wanted = normalize("NFC", typed or "").casefold().split()
    found = [book for book in books if all(word in _names(book) for word in wanted)]
    return sorted(found, key=orders[chosen], reverse=chosen == tr("Newest first"))


def _names(book: Book) -> str:
    return normalize("NFC", f"{book.title} {book.file}").casefold()


def _show_book(book: Book) -> None:
    with st.container(horizontal=True, wrap=False, key=f"book-{book.id}"):
        st.html(
            f'<img class="cover" src="/page/{book.id}/1.png?width=160" alt="" loading="lazy">',
            width="content",
        )
        with st.container(gap=None):
            st.page_link(
                VIEWS / "reader.py",
                label=plain(book.title),
                query_params={"book": book.id, "page": "1"},
            )
            counts = tr(
                fill(
                    "pages: {pages:,}, passages: {passages:,}",
                    pages=book.pages,
                    passages=book.passages,
                )
            )
            added = tr(fill("Added on {date}", date=book.added_at[:10]))
            show_line("about", " · ".join((book.file, counts, added)))
            if book.problems:
                with st.expander(tr(fill("Problems: {number}", number=len(book.problems)))):
                    for problem in book.problems:
                        show_line("remark", tr(problem))
        changes: dict[str, Change] = {
            tr("Rename"): "rename", tr("Add again"): "add again", tr("Remove"): "remove"
        }  # fmt: skip
        chosen = st.menu_button(
            tr("Change"), list(changes), key=f"change-{book.id}", type="tertiary",
            icon=":material/edit:",
        )  # fmt: skip
        if chosen:
            ask(changes[chosen], book.id)


if __name__ == "__main__":
    show_page()
