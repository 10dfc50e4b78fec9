"""Which files a person means by the paths that were given."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bookbrain.errors import InputError


@dataclass(frozen=True, slots=True)
class Found:
    """The books at the paths, in order, and the paths that cannot be used, with the reason."""

    files: tuple[Path, ...]
    unusable: tuple[tuple[str, InputError], ...]


def find_books(paths: Iterable[str | Path]) -> Found:
    """Files as they are given; of folders all PDFs below, hidden ones left out, by name."""
    files: list[Path] = []
    unusable: list[tuple[str, InputError]] = []
    for given in paths:
        try:
            books = _books_at(Path(os.path.expanduser(given)))
        except InputError as error:
            unusable.append((_in_unicode(given), error))
            continue
        for book in books:
            if (name := _in_unicode(book)) == str(book):
                files.append(book)
            else:
                unusable.append((name, InputError("its name is not in UTF-8", "Rename it.")))
    return Found(tuple(dict.fromkeys(files)), tuple(unusable))


def _in_unicode(path: str | Path) -> str:
    """A path as it can be shown and stored: its bytes may be of any encoding."""
    return str(path).encode(errors="replace").decode()


def _books_at(path: Path) -> list[Path]:
    if not os.path.exists(path):  # unlike Path.exists, False also for a name that cannot be
        raise InputError("there is no such file or folder", "Check the path.")
    absolute = Path(os.path.abspath(path))  # a link keeps the name that it has
    if not path.is_dir():
        return [absolute]
    books = sorted(
        Path(folder, name)
        for folder, folders, names in os.walk(absolute, onerror=None)
        for name in names
        if name.lower().endswith(".pdf") and not _is_hidden(Path(folder, name), absolute)
    )
    if not books:
        raise InputError("there is no PDF in this folder", "Name a folder that has PDFs below it.")
    return books


def _is_hidden(path: Path, top: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(top).parts)


def check_is_pdf(path: Path) -> None:
    """Raise InputError for what cannot be a PDF: gone, unreadable, empty, of another kind."""
    try:
        if not path.is_file():
            raise InputError("it is not a file", "Name a PDF or a folder of PDFs.")
        with path.open("rb") as file:
            start = file.read(1024)
    except FileNotFoundError as error:
        raise InputError("there is no such file", "Check the path.") from error
    except OSError as error:
        raise InputError(
            f"it cannot be opened ({error.strerror})", "Check its owner and mode."
        ) from error
    if not start:
        raise InputError("it is empty", "Get the file again.")
    if b"%PDF-" not in start:
        raise InputError("it is not a PDF", "BookBrain reads PDF files; convert it first.")
