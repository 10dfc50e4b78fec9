"""The books: what is there, what is on its way in, and what becomes of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from unicodedata import normalize

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from bookbrain.errors import BookBrainError, InputError
from bookbrain.library import (
    Library,
    Rejection,
    add_again,
    dismiss,
    land_upload,
    plan_upload,
    rejections,
)
from bookbrain.messages import fill
from bookbrain.model import Arrival, Book, Plan, RecognitionState, bill, duration
from bookbrain.paths import Layout, LibraryPaths
from bookbrain.settings import EmbeddingSettings
from bookbrain.web.frame import link, plain, reading, show_line, tr
from bookbrain.web.shelf import Shelf, the_desk, the_shelf
from bookbrain.web.uploads import LARGEST, MOST, Upload

_OFTEN = 1.0  # seconds between two looks, while something is under way


def show_arrivals() -> None:
    """The progress of what is under way, and why other files could not be added."""
    with the_shelf().library() as library:
        count = len(library.under_way())
        rejected = rejections(LibraryPaths(library.settings.home).inbox)
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
                dismiss(LibraryPaths(library.settings.home).inbox, rejection)
            st.rerun()


_SELDOM = 5.0  # seconds between two looks at text recognition, which takes that for a page
_READ = "read"  # of the session: the books whose scanned pages are all read


def show_recognition(books: Sequence[Book], state: RecognitionState) -> None:
    """How far text recognition is, or why nobody reads; nothing where nothing is to be read."""
    st.session_state[_READ] = _read(books)
    if state.pages or state.running:
        st.fragment(_show_recognition, run_every=_SELDOM)()


def _show_recognition() -> None:
    """Once a book is read a note says so, and the whole page is shown anew."""
    try:
        with the_shelf().library() as library:
            books, state = library.books(), library.recognition()
    except BookBrainError as error:
        show_line("error", tr(error.whole))
        return
    if state.running:
        _show_bar(books, state)
    else:
        show_line("remark", tr(state.note))
    new = _read(books) - st.session_state[_READ]
    for book in books:
        if book.id in new:
            st.toast(plain(tr("All scanned pages of {title} are read.", title=book.title)))
    if new or not (state.pages or state.running):
        st.rerun()


def _show_bar(books: Sequence[Book], state: RecognitionState) -> None:
    done, scans = sum(book.recognised for book in books), sum(book.scans for book in books)
    text = tr("Scanned pages: {done:,} of {pages:,} are read", done=done, pages=scans)
    if state.pages:
        text += f", {tr('about {time} left', time=duration(state.seconds))}"
    st.progress(done / max(scans, 1), text=plain(text))


def _read(books: Sequence[Book]) -> set[str]:
    return {book.id for book in books if book.scans and not _unread(book)}


def _unread(book: Book) -> int:
    return book.scans - book.recognised


def _reading_notes(books: Sequence[Book], state: RecognitionState) -> dict[str, str]:
    """How far each book is, by its id, and when it will be read where somebody is at it: books with
    less to read come first."""
    notes, pages = {}, 0
    for book in sorted(books, key=_unread):
        pages += _unread(book)
        notes[book.id] = tr(book.scan_note)
        if _unread(book) and state.running and state.pages:
            time = duration(state.seconds * pages / state.pages)
            notes[book.id] += f", {tr('about {time} left', time=time)}"
    return notes


_PATIENCE = 3.0  # seconds for another writer to be done
_ASKING = "asking"  # of the session: which change of which book is being asked about
_RENAME = "Rename"


def show_dialog(books: dict[str, Book]) -> None:
    """The dialog that was asked for, if one was; it stays until it is answered or closed."""
    change, book_id = st.session_state.get(_ASKING, ("", ""))
    if change in _DIALOGS and (book := books.get(book_id)):
        title, show = _DIALOGS[change]
        st.dialog(tr(title), on_dismiss=_close)(show)(book)


def _close() -> None:
    st.session_state.pop(_ASKING, None)


def _rename(book: Book) -> None:
    """Where the title stood."""
    with st.form(f"rename-{book.id}", border=False):  # Enter saves
        title = st.text_input(
            tr("Title"), value=book.title, max_chars=300, label_visibility="collapsed"
        )
        with st.container(horizontal=True):
            saved = st.form_submit_button(tr("Save"), type="primary")
            left = st.form_submit_button(tr("Cancel"))
    if saved:
        _do(lambda library: library.rename(book.id, title or ""))
    elif left:
        _close()
        st.rerun()


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
    add_again(library, book.id, _PATIENCE)
    the_shelf().wake_ingestion()


def _remove(book: Book) -> None:
    show_line("", f"{book.title} ({book.file})")
    text = (
        "The library's copy of the file goes, and nothing in it is found any more. "
        "What was paid for its embeddings is kept: adding it again costs nothing."
    )
    show_line("remark", tr(text))
    if st.button(tr("Remove"), type="primary"):
        with st.spinner(tr("Removing …")):
            _do(lambda library: library.remove(book.id, seconds=_PATIENCE))


# By what a person chooses: what the dialog is called, and shows.
_DIALOGS = {
    "Add again": ("Add this book again?", _add_again),
    "Remove": ("Remove this book?", _remove),
}


def _do(change: Callable[[Library], object], shelf: Shelf | None = None) -> None:
    """Make the change and ask no more; or say why not."""
    try:
        with (shelf or the_shelf()).library() as library:
            change(library)
    except BookBrainError as error:
        show_line("error", tr(error.whole))
        return
    _close()
    st.rerun()


_ROUND, _PLANS = "upload_round", "upload_plans"  # of the session


@st.fragment
def show_upload() -> None:
    """The place to drop files, and what is known of those that were."""
    largest, most = LARGEST >> 20, MOST >> 20
    label = "PDF files, each up to {size} MB, all together up to {most:,} MB"
    files = st.file_uploader(
        tr(label, size=largest, most=most), type="pdf", accept_multiple_files=True,
        key=f"upload-{st.session_state.get(_ROUND, 0)}",
    )  # fmt: skip
    if not files:
        return
    plans = [(file, _planned(file)) for file in files]
    new = [file for file, told in plans if not told.known and not told.reason]
    with the_shelf().library() as library:
        embedding = library.settings.embedding
    for _, told in plans:
        _show_plan(told, embedding)
    if new:
        _show_total([told for file, told in plans if file in new], embedding)
    count = len(new)
    label = tr(fill("Add {books} books", books=count) if count != 1 else "Add 1 book")
    if st.button(label, type="primary", disabled=not new):
        _add(new)


def _planned(file: UploadedFile) -> Plan:
    """What adding the file would take; it is read once in a session."""
    plans: dict[str, Plan] = st.session_state.setdefault(_PLANS, {})
    upload = the_shelf().uploads.find(file.getvalue())
    if upload is None:
        gone = InputError("its upload is there no more", "Choose it again.")
        return Plan(file.name, reason=gone.message, hint=gone.hint)
    if upload.refused:
        return Plan(upload.name, reason=upload.refused.message, hint=upload.refused.hint)
    if file.file_id not in plans:
        with st.spinner(tr("Reading {file} …", file=plain(upload.name))):
            try:
                plans[file.file_id] = plan(upload)
            except BookBrainError as error:
                return Plan(upload.name, reason=error.message, hint=error.hint)
    return plans[file.file_id]


def plan(upload: Upload) -> Plan:
    """What adding an upload would take; no place of the shelf is held while it is read."""
    with the_desk().library() as library:
        return plan_upload(library, upload.name, upload.path)


def _add(files: Sequence[UploadedFile]) -> None:
    uploads = the_shelf().uploads
    try:
        with st.spinner(tr("Adding …")):
            for file in files:
                if upload := uploads.find(file.getvalue()):
                    land_upload(the_shelf().home, upload.name, upload.path)
                    uploads.drop(upload.token)
    except BookBrainError as error:
        show_line("error", tr(error.whole))
        return
    finally:
        the_shelf().wake_ingestion()
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1  # the files chosen are done with
    st.session_state[_PLANS] = {}
    st.rerun()


def _show_plan(plan: Plan, embedding: EmbeddingSettings) -> None:
    if plan.reason:
        kind, state = "error", f"{tr('not added')}, {tr(plan.reason)}. {tr(plan.hint)}"
    elif plan.known:
        kind, state = "plan", f"{tr('already there')}, {plan.title}"
    else:
        kind, state = "plan", f"{plan.title} · {_sizes(plan, embedding)}"
    st.html(f'<p class="{kind}"><strong>{escape(plan.file)}</strong>: {escape(state)}</p>')
    for note in (plan.namesake, *plan.problems, plan.scan_note):
        if note:
            show_line("remark", tr(note))


def _show_total(plans: Sequence[Plan], embedding: EmbeddingSettings) -> None:
    if not embedding.enabled:
        text = "No embedding endpoint is set: they would be found by keyword, at no cost."
        show_line("remark", tr(text))
    elif len(plans) > 1:
        price = _price(sum(plan.tokens for plan in plans), embedding)
        show_line("remark", tr("In all {sizes}.", sizes=price))


def _sizes(plan: Plan, embedding: EmbeddingSettings) -> str:
    sizes = tr("pages: {pages:,}, passages: {passages:,}", pages=plan.pages, passages=plan.passages)
    return f"{sizes} · {_price(plan.tokens, embedding)}" if embedding.enabled else sizes


def _price(tokens: int, embedding: EmbeddingSettings) -> str:
    return tr(bill(tokens, embedding.dollars_per_million_tokens, about=True))


_FEW = 10  # so many books need no filter
_ON_A_PAGE = 20
_STYLE = "<style>.about, .remark, .error, .plan { margin: 0; overflow-wrap: anywhere; }</style>"


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
            recognition = library.recognition()
        if books:
            _show_totals(books, missing)
        else:
            _show_beginning(home)
        with st.expander(tr("Add books"), expanded=not books, icon=":material/upload:"):
            upload = st.container()
        show_arrivals()
        show_recognition(books, recognition)
        if books:
            _show_books(books, _reading_notes(books, recognition))
        with upload:  # last: it may take a while to read what was chosen
            show_upload()
    except BookBrainError as error:
        show_line("error", tr(error.whole))


def _show_totals(books: Sequence[Book], missing: int) -> None:
    pages, passages = sum(b.pages for b in books), sum(b.passages for b in books)
    counts = tr(
        "books: {books:,}, pages: {pages:,}, passages: {passages:,}",
        books=len(books), pages=pages, passages=passages,
    )  # fmt: skip
    show_line("remark", counts)
    if missing:
        text = "Books that are not found by meaning yet: {missing}. Run `bookbrain embed`."
        show_line("remark", tr(text, missing=missing))


def _show_beginning(home: Path) -> None:
    show_line("remark", tr("No books yet. Drop your PDFs below: what it costs is shown first."))
    way = (
        fill("Or copy them into {inbox} on the server.", inbox=Layout().inbox)
        if home == Layout().home
        else "Or run `bookbrain add ~/Books` in a terminal."
    )
    show_line("remark", tr(way))


@st.fragment
def _show_books(books: Sequence[Book], notes: Mapping[str, str]) -> None:
    """A page of the list, each with its note; of a long one what is looked for, in the order that
    is wanted."""
    found = _chosen(books) if len(books) > _FEW else [*reversed(books)]
    if not found:
        show_line("none", tr("No book is called that."))
    first = 0
    if len(found) > _ON_A_PAGE:
        number = st.pagination(-(-len(found) // _ON_A_PAGE), key=f"page-{len(found)}")
        first = (number - 1) * _ON_A_PAGE
    pages = reading()
    with st.container(key="shelf"):
        for book in found[first : first + _ON_A_PAGE]:
            _show_book(book, notes[book.id], pages.get(book.id[:12], 0))
    show_dialog({book.id: book for book in books})


def _chosen(books: Sequence[Book]) -> list[Book]:
    words, order = st.columns([2, 1], vertical_alignment="bottom")
    typed = words.text_input(
        tr("Title or file name"),
        key="filter",
        type="search",
        live="300ms",
        placeholder=tr("Search"),
    )
    read = [*reversed(reading())]
    orders: dict[str, Callable[[Book], str | int]] = {
        tr("Newest first"): lambda book: book.added_at,
        tr("Read last"): lambda book: read.index(book.id[:12]) if book.id[:12] in read else -1,
        tr("Title"): lambda book: book.title.casefold(),
        tr("File name"): lambda book: book.file.casefold(),
    }
    downwards = (tr("Newest first"), tr("Read last"))
    chosen = order.selectbox(tr("Order"), list(orders), key="order")
    wanted = normalize("NFC", typed or "").casefold().split()
    found = [book for book in books if all(word in _names(book) for word in wanted)]
    return sorted(found, key=orders[chosen], reverse=chosen in downwards)


def _names(book: Book) -> str:
    return normalize("NFC", f"{book.title} {book.file}").casefold()


def _show_book(book: Book, note: str, read_to: int) -> None:
    with st.container(horizontal=True, wrap=False, key=f"book-{book.id}"):
        st.html(
            f'<img class="cover" src="/page/{book.id}/1.png?width=160" alt="" loading="lazy">',
            width="content",
        )
        with st.container(gap=None):
            if st.session_state.get(_ASKING) == (_RENAME, book.id):
                _rename(book)
            else:
                address = link("/read", book=book.id, page=1)
                st.html(f'<p class="titled"><a href="{address}">{escape(book.title)}</a></p>')
            counts = tr(
                "pages: {pages:,}, passages: {passages:,}", pages=book.pages, passages=book.passages
            )
            added = tr("Added on {date}", date=book.added_at[:10])
            which = "" if book.edition in ("", book.file) else book.id[:12]
            show_line("about", " · ".join(filter(None, (book.file, counts, added, which, note))))
            if 1 < read_to <= book.pages:
                said = tr("Go on at page {page} of {pages}", page=read_to, pages=book.pages)
                address = link("/read", book=book.id, page=read_to)
                st.html(f'<p class="about"><a href="{address}">{escape(said)}</a></p>')
            if book.problems:
                with st.expander(tr("Problems: {number}", number=len(book.problems))):
                    for problem in book.problems:
                        show_line("remark", tr(problem))
        changes = {tr("Rename"): _RENAME} | {tr(change): change for change in _DIALOGS}
        chosen = st.menu_button(
            tr("Change"), list(changes), key=f"change-{book.id}", type="tertiary",
            icon=":material/edit:",
        )  # fmt: skip
        if chosen:  # at the next run
            st.session_state[_ASKING] = (changes[chosen], book.id)
            if changes[chosen] == _RENAME:  # the title stands there already
                st.rerun()


if __name__ == "__main__":
    show_page()
