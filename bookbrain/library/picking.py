"""Which book a person means."""

from collections.abc import Iterable
from typing import Protocol, TypeVar
from unicodedata import normalize

from bookbrain.errors import InputError
from bookbrain.wording import fill

_SHORTEST_ID = 4


class Named(Protocol):
    """A book in the library, or one that a backup lists; `file` is the name the owner gave."""

    @property
    def id(self) -> str: ...

    @property
    def file(self) -> str: ...


B = TypeVar("B", bound=Named)


def pick(books: Iterable[B], reference: str, hint: str) -> B:
    """The one of the books that an id, the start of one, or a file name means.

    Raises InputError with the `hint` when it is none of them, or several.
    """
    name = normalize("NFC", reference)
    matches = [
        book
        for book in books
        if reference == book.id
        or name == normalize("NFC", book.file)  # some systems take Hangul apart
        or (len(reference) >= _SHORTEST_ID and book.id.startswith(reference.lower()))
    ]
    if len(matches) == 1:
        return matches[0]
    raise InputError(
        fill("Several books are {reference!r}.", reference=reference)
        if matches
        else fill("There is no book {reference!r}.", reference=reference),
        hint,
    )
