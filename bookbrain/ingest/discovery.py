"""Which files a person means by the paths that were given."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bookbrain.errors import InputError
from bookbrain.folders import Entry, link_refusal, open_below, open_file, walk
from bookbrain.wording import fill

_IN_FOLDER = "Name the folder that it leads to."


@dataclass(frozen=True, slots=True)
class Found:
    """The books at the paths, in order, and what cannot be used, with the reason.

    `folders` has the folder that was named of each file that was not.
    """

    files: tuple[Path, ...]
    unusable: tuple[tuple[str, InputError], ...]
    folders: Mapping[Path, Path]


def find_books(paths: Iterable[str | Path], *, links: bool = True) -> Found:
    """Files as they are given; of folders all PDFs below, hidden ones left out, by name.

    A link that is given counts as what it leads to. Links to PDFs that are in a folder are left to
    whoever opens them, or cannot be used where `links` is false.
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
    return Found(tuple(files), tuple(unusable), folders)


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
    """The PDFs below a folder, and what was passed by there."""
    books: list[Path] = []
    passed: list[tuple[str, InputError]] = []
    try:
        for entry in walk(top, enter=lambda path: not path.name.startswith(".")):
            if entry.name.startswith("."):
                continue
            if error := _passed_by(entry, links=links):
                passed.append((_in_unicode(entry.path), error))
            elif not entry.is_folder and entry.name.lower().endswith(".pdf"):
                books.append(entry.path)
    except OSError as error:
        reason = fill("it cannot be opened ({reason})", reason=error.strerror)
        return [], [(_in_unicode(top), InputError(reason, "Check its owner and mode."))]
    return sorted(books), passed


def _passed_by(entry: Entry, *, links: bool) -> InputError | None:
    """Why something in a folder is left out, where a person may have meant it."""
    if entry.error:
        return InputError(
            fill("it cannot be opened ({reason})", reason=entry.error.strerror),
            "Check its owner and mode.",
        )
    if not entry.is_link:
        return None
    if entry.path.is_dir():
        return InputError("it is a link to a folder", _IN_FOLDER)
    return link_refusal() if not links and entry.name.lower().endswith(".pdf") else None


def open_pdf(path: Path, folder: Path | None = None, *, lent: bool = True) -> BinaryIO:
    """The PDF at `path`, open; no link is followed in `folder`, where it is found below that.

    `lent` is that of `open_below`. Raises InputError for what cannot be a PDF: gone, unreadable,
    empty, of another kind.
    """
    file = open_below(folder, path, lent=lent) if folder else open_file(path)
    try:
        _check_start(file)
    except InputError:
        file.close()
        raise
    return file


def _check_start(file: BinaryIO) -> None:
    try:
        start = file.read(1024)
        file.seek(0)
    except OSError as error:
        raise InputError(
            fill("it cannot be read ({reason})", reason=error.strerror), "Get the file again."
        ) from error
    if not start:
        raise InputError("it is empty", "Get the file again.")
    if b"%PDF-" not in start:
        raise InputError("it is not a PDF", "BookBrain reads PDF files; convert it first.")


def check_is_pdf(path: Path) -> None:
    """Raise InputError for what cannot be a PDF."""
    open_pdf(path).close()
