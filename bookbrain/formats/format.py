"""Formats of books, of which PDF is the one of today; files of them are found in folders."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from bookbrain.errors import InputError
from bookbrain.files import Entry, link_refusal, walk
from bookbrain.formats.page_image import Picture, Sheet
from bookbrain.formats.pdf import Pdf
from bookbrain.formats.text import RawBook
from bookbrain.messages import fill


class Reader(Protocol):
    """Reads files one at a time; a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def read(self, path: Path, progress: Callable[[int, int], None]) -> RawBook:
        """What is in a file; `progress` hears of so many pages of how many. Raises InputError with
        the reason, which completes the sentence "… cannot be added: …"."""


class Format(Protocol):
    """A kind of file that books come in. `suffix` is how its names end, in lower case."""

    @property
    def suffix(self) -> str: ...

    def open(self, path: Path, folder: Path | None = None, *, lent: bool = True) -> BinaryIO:
        """The file at `path`; `folder` and `lent` as in `open_below`. Raises InputError for what
        cannot be a file of this format: gone, unreadable, empty, of another kind."""

    def begins(self, start: bytes) -> bool:
        """Whether a file of this format may begin with these bytes, 1,024 or all."""

    def has_ended(self, start: bytes, tail: bytes, size: int) -> bool:
        """Whether one of so many bytes is all there, by its first bytes and its last 64 KiB."""

    def reader(self, *, timeout: float, memory_mb: int) -> Reader:
        """A reader that gives a page up after so many seconds, or at so many MiB."""

    @property
    def picture(self) -> type[Picture]:
        """What paints a page."""

    @property
    def sheet(self) -> type[Sheet]:
        """What finds out where the text of a page stands."""


FORMAT: Format = Pdf()


def is_named_as_book(name: str) -> bool:
    """Whether a file of this name is taken for a book, where nobody named it."""
    return name.lower().endswith(FORMAT.suffix)


_IN_FOLDER = "Name the folder that it leads to."


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The books at the paths, in order, and what cannot be used, with the reason.

    `folders` has the folder that was named of each file that was not.
    """

    files: tuple[Path, ...]
    unusable: tuple[tuple[str, InputError], ...]
    folders: Mapping[Path, Path]


def find_books(paths: Iterable[str | Path], *, links: bool = True) -> FoundFiles:
    """Files as they are given; of folders all PDFs below, hidden ones left out, by name.

    A link that is given counts as what it leads to. Links in a folder are followed, or cannot be
    used where `links` is false; those to PDFs are left to whoever opens them.
    """
    files: dict[Path, Path | None] = {}
    unusable: list[tuple[str, InputError]] = []
    for given in paths:
        path = Path(os.path.expanduser(given))
        if not os.path.exists(path):  # unlike Path.exists, False also for a name that cannot be
            error = InputError("there is no such file or folder", "Check the path.")
            unusable.append((_in_unicode(given), error))
            continue
        absolute = Path(os.path.abspath(path))  # a link keeps the name that it has
        if not absolute.is_dir():
            _add(absolute, None, files, unusable)
            continue
        books, passed = _books_in(absolute, links=links)
        for book in books:
            _add(book, absolute, files, unusable)
        if not books and not passed:
            error = InputError(
                "there is no PDF in this folder", "Name a folder that has PDFs below it."
            )
            passed = [(_in_unicode(given), error)]
        unusable += passed
    folders = {path: folder for path, folder in files.items() if folder}
    return FoundFiles(tuple(files), tuple(unusable), folders)


def _add(
    path: Path, folder: Path | None, files: dict[Path, Path | None],
    unusable: list[tuple[str, InputError]],
) -> None:  # fmt: skip
    if (name := _in_unicode(path)) != str(path):
        unusable.append((name, InputError("its name is not in UTF-8", "Rename it.")))
    elif path not in files or folder is None:
        files[path] = folder


def _in_unicode(path: str | Path) -> str:
    """A path as it can be shown and stored: its bytes may be of any encoding."""
    return str(path).encode(errors="replace").decode()


def _books_in(top: Path, *, links: bool) -> tuple[list[Path], list[tuple[str, InputError]]]:
    """The PDFs below a folder, and what was passed by there; each real folder is looked at once.

    Links to folders are followed after all else, or passed by where `links` is false.
    """
    books: list[Path] = []
    passed: list[tuple[str, InputError]] = []
    seen: set[tuple[int, int]] = set()
    folders = deque([top])

    def is_new(path: Path) -> bool:
        found = os.stat(path)
        new = (found.st_dev, found.st_ino) not in seen
        seen.add((found.st_dev, found.st_ino))
        return new and (path == top or not path.name.startswith("."))

    while folders:
        folder = folders.popleft()
        try:
            if not is_new(folder):
                continue
            for entry in walk(folder, enter=is_new):
                if entry.name.startswith("."):
                    continue
                if links and entry.is_link and entry.path.is_dir():
                    folders.append(entry.path)
                elif error := _passed_by(entry, links=links):
                    passed.append((_in_unicode(entry.path), error))
                elif not entry.is_folder and is_named_as_book(entry.name):
                    books.append(entry.path)
        except OSError as error:
            passed.append((_in_unicode(folder), _closed(error)))
    return sorted(books), passed


def _passed_by(entry: Entry, *, links: bool) -> InputError | None:
    """Why something in a folder is left out, where a person may have meant it."""
    if entry.error:
        return _closed(entry.error)
    if not entry.is_link:
        return None
    if entry.path.is_dir():
        return InputError("it is a link to a folder", _IN_FOLDER)
    if is_named_as_book(entry.name):
        return None if links else link_refusal()
    if not entry.path.suffix and not entry.path.exists():
        return InputError("it is a link that leads nowhere", "Check what it should lead to.")
    return None


def _closed(error: OSError) -> InputError:
    return InputError(
        fill("it cannot be opened ({reason})", reason=error.strerror), "Check its owner and mode."
    )
