"""A page of a book, as it is printed, with what was searched for marked on it."""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from html import escape

import streamlit as st

from bookbrain.errors import BookBrainError, NotFoundError
from bookbrain.library import Chapter
from bookbrain.messages import fill, message_of
from bookbrain.model import Book, Page
from bookbrain.paths import PDF
from bookbrain.web.frame import WIDTH, link, picture, show_line, show_links, tr
from bookbrain.web.shelf import the_shelf

_WIDTHS = {"fit": WIDTH, "100": WIDTH, "150": 1800, "200": 2400}  # of pictures: 1.5 to a CSS pixel
_NUMBER = re.compile("[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the reader is, and what there is around."""

    book: Book
    page: Page
    chapters: tuple[Chapter, ...]
    query: str
    marks: tuple[tuple[int, int], ...]  # on this page, in order
    matches: tuple[int, ...]  # pages, in order
    remark: str  # what text recognition made of it

    @property
    def number(self) -> int:
        return self.page.number

    def chapter(self) -> int | None:
        """The index of the chapter of the first mark, else of the page's first words or title."""
        titles = [heading.start for heading in self.page.headings]
        start = self.marks[0][0] if self.marks else titles[0] if titles else 0
        places = [(chapter.page, chapter.start) for chapter in self.chapters]
        begun = bisect_right(places, (self.number, start))
        return begun - 1 if begun else None

    def match_before(self) -> int | None:
        index = bisect_left(self.matches, self.number)
        return self.matches[index - 1] if index else None

    def match_after(self) -> int | None:
        index = bisect_right(self.matches, self.number)
        return self.matches[index] if index < len(self.matches) else None

    def neighbours(self) -> set[int]:
        """The pages that are likely to be next."""
        beside = {self.number - 1, self.number + 1, self.match_after() or 0}
        return {number for number in beside if 1 <= number <= self.book.pages}


def show_page() -> None:
    """The page that the address names: `book`, `page` (of the file), `find` (or `q`), `zoom`."""
    try:
        place = _find_place()
    except BookBrainError as error:
        show_line("error", tr(error.whole))
        show_links((tr("To the search"), link("/")), (tr("To the books"), link("/books")))
        return
    _show_head(place)
    _show_moves(place)
    sheet, side = st.columns([5, 2])
    with side:
        _show_side(place)
    with sheet:
        _show_sheet(place)


def _find_place() -> _Place:
    params = st.query_params
    # `q` belongs to the search box: Streamlit takes it out of the address on the way from there.
    query, typed = params.get("find") or params.get("q", ""), params.get("page", "1")
    if not _NUMBER.fullmatch(typed):
        raise NotFoundError("There is no such page.", "A page is a number.")
    with the_shelf().library() as library:
        book = library.open_book(params.get("book", ""))
        page = book.page(int(typed))
        marks = book.marks(page, query)
        matches, remark = book.matches(query), book.remark(page)
        return _Place(book.book, page, book.chapters(), query, marks, matches, remark)


def _show_head(place: _Place) -> None:
    chapter = place.chapter()
    where = [tr(place.page.place), "" if chapter is None else place.chapters[chapter].title]
    if place.matches:
        where.append(tr(_count(place)))
    remarks = [
        tr(
            "{pages}: {problem}",
            pages=fill("p. {label}", label=place.page.label),
            problem=message_of(problem),
        )
        for problem in (place.page.problem, place.remark)
        if problem
    ]
    st.html(
        f'<h1 class="volume">{escape(place.book.title)}</h1>'
        f'<p class="where">{escape(" · ".join(filter(None, where)))}</p>'
        + "".join(f'<p class="remark">{escape(remark)}</p>' for remark in remarks)
    )


def _count(place: _Place) -> str:
    if place.number in place.matches:
        return fill(
            "match {number:d} of {all:d}",
            number=place.matches.index(place.number) + 1,
            all=len(place.matches),
        )
    return fill("pages that match: {pages:d}", pages=len(place.matches))


def _show_moves(place: _Place) -> None:
    before, after = place.number - 1, place.number + 1
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _move(tr("Previous page"), before or None, "Left", ":material/chevron_left:")
        _move(tr("Next page"), after if after <= place.book.pages else None, "Right",
              ":material/chevron_right:")  # fmt: skip
        if place.query.strip():
            _move(tr("Previous match"), place.match_before(), "P", ":material/keyboard_arrow_up:")
            _move(tr("Next match"), place.match_after(), "N", ":material/keyboard_arrow_down:")


def _move(label: str, number: int | None, key: str, icon: str) -> None:
    st.button(label, icon=icon, shortcut=key, disabled=number is None, on_click=_go, args=(number,))


def _go(number: int | None) -> None:
    """Turn to a page: a step in the browser's history."""
    if number:
        st.query_params["page"] = str(number)


def _show_side(place: _Place) -> None:
    """What else one may want of this page."""
    _choose_chapter(place)
    _choose_page(place)
    address = f"/book/{place.book.id}{PDF}#page={place.number}"
    st.link_button(tr("The PDF at this page"), address, icon=":material/open_in_new:")
    similar = f"{place.book.id}:{place.number}"
    show_links(
        (tr("Similar pages"), link("/", similar=similar)),
        (tr("Back to the search"), link("/", q=place.query)),
    )
    if place.page.text:
        with st.expander(tr("Text of this page")):
            st.code(place.page.text, language=None, wrap_lines=True)


def _choose_chapter(place: _Place) -> None:
    if not place.chapters:
        return
    key = f"chapter-{place.book.id}-{place.number}"
    st.selectbox(
        tr("Chapter"), range(len(place.chapters)), index=place.chapter(), key=key,
        format_func=lambda index: place.chapters[index].title,
        on_change=lambda: _go(place.chapters[st.session_state[key]].page),
    )  # fmt: skip


def _choose_page(place: _Place) -> None:
    key = f"page-{place.book.id}-{place.number}"
    st.number_input(
        tr("Page of the file"), 1, place.book.pages, place.number, key=key,
        on_change=lambda: _go(st.session_state[key]),
    )  # fmt: skip


def _show_sheet(place: _Place) -> None:
    names = {"fit": tr("Fit"), "100": "100 %", "150": "150 %", "200": "200 %"}
    zoom = st.segmented_control(
        tr("Zoom"), list(_WIDTHS), default="fit", required=True, format_func=names.__getitem__,
        key="zoom", bind="query-params", label_visibility="collapsed",
    )  # fmt: skip
    alt = tr("Page {number} of {title}", number=place.number, title=place.book.title)
    style = zoom if zoom == "fit" else f"z{zoom}"
    st.html(
        f'<div class="sheet {style}" tabindex="0" role="region" aria-label="{escape(alt)}">'
        f'<img src="{_address(place, place.number, zoom)}" alt="{escape(alt)}"></div>'
    )
    soon = "".join(
        f'<img src="{_address(place, number, zoom)}" alt="">'
        for number in sorted(place.neighbours(), reverse=True)
    )
    st.html(f"<div hidden>{soon}</div>")  # the browser has them when they are asked for


def _address(place: _Place, number: int, zoom: str) -> str:
    return picture(place.book.id, number, place.query, _WIDTHS[zoom])


if __name__ == "__main__":
    show_page()
