"""What the text of a book is where pages of it were recognised.

A page that has no text of its own gets the recognised one; one that is readable but for a font
gets the lines that it lacks. A book whose file does not say what is printed on its pages gets the
numbers that were recognised on them; one without an outline the chapters of its printed contents.
All of it is made of the file and of the readings that there are: whenever it is done, in whatever
portions, the same comes of it in the end.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bookbrain.formats.page_text import HYPHEN, join_hyphens, words_of
from bookbrain.formats.text import headings_in, join_lines, make_passages
from bookbrain.messages import fill, message_of
from bookbrain.model import Book, Page
from bookbrain.ocr.choice import PARTLY, TO_RECOGNISE
from bookbrain.ocr.engine import OcrEngine, RecognisedPage, way_of
from bookbrain.ocr.printed_contents import printed_chapters
from bookbrain.ocr.printed_numbers import printed_labels
from bookbrain.store.catalog import Catalog, NewBook, problems_of_pages
from bookbrain.store.embeddings import EmbeddingStore
from bookbrain.store.recognised import Reading, UnreadPage

_CUT = re.compile(r"(?<=[a-z])-\n([a-z]\S*)[ \n]?")
_NEW = 0.5  # of a line's letters in words that the page lacks: below, it has the line


@dataclass(frozen=True, slots=True)
class BookScans:
    """The pages of a book that are recognised: those `to_read` are not read yet, those `to_apply`
    are, and their text is not that of the book yet. `all` are these and the ones that are done."""

    all: int
    to_read: tuple[int, ...]
    to_apply: tuple[int, ...]


def with_recognised(pages: Sequence[Page], readings: Mapping[int, Reading]) -> tuple[Page, ...]:
    """The pages of a book with what was recognised of those that cannot be searched as they are.

    `pages` are as its file has them, `readings` all that there are of it.
    """
    read = {n: found for n, found in readings.items() if isinstance(found, RecognisedPage)}
    texts = _texts(read)
    known = {page.number: page.label for page in pages}
    labels = known if _has_labels(pages) else printed_labels(read)
    made = [
        replace(
            _recognised(page, texts.get(page.number)), label=labels.get(page.number, page.label)
        )
        for page in pages
    ]
    if any(page.headings for page in pages):
        return tuple(made)
    return tuple(_with_chapters(made, printed_chapters(read, labels)))


def _texts(read: Mapping[int, RecognisedPage]) -> dict[int, str]:
    """What was recognised, by page; a word that the end of a line cut is whole, at the end of its
    first line."""
    texts = {n: _CUT.sub(rf"{HYPHEN}\1\n", found.text).rstrip("\n") for n, found in read.items()}
    words: set[str] = set()
    if any(HYPHEN in text for text in texts.values()):
        words.update(*map(words_of, texts.values()))
    return {n: join_hyphens(text, words) for n, text in texts.items()}


def _with_chapters(pages: Iterable[Page], titles: Mapping[int, Sequence[str]]) -> Iterator[Page]:
    """The pages of a book under the headings of their own that its contents name."""
    chapter = ""
    for page in pages:
        headings = headings_in(titles.get(page.number, ()), page.text)
        yield replace(page, chapter=chapter, headings=headings)
        chapter = headings[-1].title if headings else chapter


def _has_labels(pages: Sequence[Page]) -> bool:
    """Whether a file says itself what is printed on its pages: not only what every file says."""
    return any(page.label != str(page.number) for page in pages)


def recognised_book(new: NewBook, readings: Mapping[int, Reading]) -> NewBook:
    """The book with what was recognised of it; itself where that is nothing."""
    pages = with_recognised(new.pages, readings)
    if pages == tuple(new.pages):
        return new
    return replace(new, pages=pages, passages=make_passages(pages))


def _recognised(page: Page, text: str | None) -> Page:
    if page.problem not in TO_RECOGNISE or not text:
        return page
    if page.problem == PARTLY:
        lines = [line for line in text.split("\n") if _is_new(line, page.text)]
        (added,) = join_lines(["\n".join(lines)])
        text = f"{page.text}\n{added}" if added else page.text
    else:
        (text,) = join_lines([text])
    headings = headings_in([heading.title for heading in page.headings], text)
    return replace(page, text=text, headings=headings, problem="")


def _is_new(line: str, text: str) -> bool:
    """Whether a page of this text lacks most of the line."""
    there = "".join(text.split())
    words = line.split()
    lacking = sum(len(word) for word in words if word not in there)
    return lacking > _NEW * sum(map(len, words))


# What is left to do


def scans_of(
    catalog: Catalog, store: EmbeddingStore, book_id: str, engine: OcrEngine | None
) -> BookScans:
    """Which pages of a book are recognised, and which `engine` is still to read.

    A page that was read by another release of its program is not read again, but for one that it
    could not read; one that was read in an earlier way of ours is.
    """
    chosen = {n for n, problem in catalog.page_problems(book_id) if problem in TO_RECOGNISE}
    read = store.recognised.engines(book_id)
    tried = store.recognised.of_file(book_id, chosen & read.keys())
    words = {n for n, found in tried.items() if isinstance(found, RecognisedPage) and found.words}
    to_apply = words | {n for n, engines in read.items() if len(engines) > 1}
    to_read = _unread(store, book_id, chosen, tried)
    if engine:
        way = way_of(engine.version)
        failed = {n for n, found in tried.items() if isinstance(found, UnreadPage)}
        failed = {n for n in failed if all(way_of(e) <= way for e in read[n])}
        to_read |= {n for n in failed if engine.version not in read[n]}
        to_read |= {n for n, engines in read.items() if all(way_of(e) < way for e in engines)}
    return BookScans(len(chosen | read.keys()), tuple(sorted(to_read)), tuple(sorted(to_apply)))


def unread_pages(catalog: Catalog, store: EmbeddingStore) -> int:
    """How many pages of all books are still to be read, whichever engine reads them."""
    chosen, read = catalog.count_pages_with(TO_RECOGNISE), store.recognised.counts()
    begun = chosen.keys() & read.keys()
    if again := store.recognised.files_to_read_again():
        begun |= again & {*catalog.book_ids()}
    left = (_unread_pages(catalog, store, book_id) for book_id in begun)
    return sum(left) + sum(count for book_id, count in chosen.items() if book_id not in begun)


def _unread_pages(catalog: Catalog, store: EmbeddingStore, book_id: str) -> int:
    chosen = {n for n, problem in catalog.page_problems(book_id) if problem in TO_RECOGNISE}
    return len(_unread(store, book_id, chosen, store.recognised.of_file(book_id, chosen)))


def _unread(
    store: EmbeddingStore, book_id: str, chosen: set[int], tried: Mapping[int, Reading]
) -> set[int]:
    return (chosen - tried.keys()) | store.recognised.to_read_again(book_id)


def shelf_with_scans(catalog: Catalog, store: EmbeddingStore, shelf: Sequence[Book]) -> list[Book]:
    """The books, each with how far text recognition is with it, and what it could not read."""
    counts = store.recognised.counts()
    return [
        _with_scans(catalog, store, book) if book.problems or book.id in counts else book
        for book in shelf
    ]


def _with_scans(catalog: Catalog, store: EmbeddingStore, book: Book) -> Book:
    scans = scans_of(catalog, store, book.id, None)
    if not scans.all:
        return book
    chosen = [n for n, problem in catalog.page_problems(book.id) if problem in TO_RECOGNISE]
    tried = store.recognised.of_file(book.id, chosen)
    notes = problems_of_pages(
        (number, note) for number, found in sorted(tried.items()) if (note := unread_note(found))
    )
    return replace(
        book, problems=(*book.problems, *notes), scans=scans.all,
        recognised=scans.all - len(scans.to_read),
    )  # fmt: skip


def unread_note(found: Reading) -> str:
    """Why nothing came of a page that was read, for a person; "" where something did."""
    if isinstance(found, UnreadPage):
        return fill("not read by OCR: {reason}", reason=message_of(found.reason))
    return "" if found.words else message_of("read by OCR, and no word was found")
