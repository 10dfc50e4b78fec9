"""Books of terms on disk as the library keeps them, without the library."""

from collections.abc import Sequence
from pathlib import Path

from bookbrain.index.bm25 import KeywordIndex, open_commit
from bookbrain.index.commit import write_commit
from bookbrain.index.segment import count_terms, write_segment
from bookbrain.model import TextId

Documents = Sequence[Sequence[str]]


def index_of(folder: Path, books: Sequence[Documents]) -> KeywordIndex:
    """The index of "book0", "book1" …, a segment each where they are few."""
    folder.mkdir(exist_ok=True)
    named = {f"book{n}": book for n, book in enumerate(books)}
    return open_commit(folder, shelve(folder, None, [*named], named))


def shelve(
    folder: Path, current: str | None, books: Sequence[str], texts: dict[str, Documents]
) -> str:
    """The commit of exactly these books, made out of `current`."""

    def index(text: TextId) -> None:
        write_segment(folder, text, count_terms(texts[text.book]))

    return write_commit(folder, current, [first_text(book) for book in books], index)


def first_text(book_id: str) -> TextId:
    """A book's text where it never has another one."""
    return TextId(book_id, "")
