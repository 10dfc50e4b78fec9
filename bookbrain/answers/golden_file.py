"""The file of questions whose answer somebody judged while asking: `bookbrain eval --answers` reads
it. A line is a question; what a person wrote into the file stays."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from bookbrain.answers.scorecard import KnownQuestion
from bookbrain.errors import BookBrainError, InputError
from bookbrain.files import file_lock, open_file, write_file
from bookbrain.messages import fill
from bookbrain.paths import LibraryPaths, refuse_in_upgrade
from bookbrain.search.evaluation import Place

_PATIENCE = 5.0  # seconds that another process may hold the lock, which it needs for a write
_LARGEST = 1 << 22  # bytes of the file


def keep_question(home: Path, known: KnownQuestion) -> Path:
    """Put a question into the file of the library in `home`, in place of the same one; where that
    file is. A kill leaves the file as it was, or with the whole line.

    Raises BusyError in an upgrade, InputError where the file has no room, BookBrainError where it
    cannot be written.
    """
    refuse_in_upgrade(home)
    paths = LibraryPaths(home)
    try:
        with file_lock(paths.golden_lock, seconds=_PATIENCE):
            lines = [*_others(paths.golden, known.question), _line(known)]
            text = b"".join(line + b"\n" for line in lines)
            if len(text) > _LARGEST:
                raise InputError(
                    fill("{path} is full.", path=paths.golden), "Move it elsewhere to begin anew."
                )
            write_file(paths.golden, text)
    except OSError as error:
        raise BookBrainError(
            fill("{path} cannot be written ({reason}).", path=paths.golden, reason=error.strerror),
            "Make room, or see whose file it is.",
        ) from error
    return paths.golden


def _others(path: Path, question: str) -> Iterator[bytes]:
    """The lines of the file but those of this question, as they are."""
    with suppress(FileNotFoundError), open_file(path) as file:
        for line in file.read(_LARGEST + 1).split(b"\n"):
            if line.strip() and not _asks(line, question):
                yield line


def _asks(line: bytes, question: str) -> bool:
    try:
        return bool(json.loads(line)["question"] == question)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _line(known: KnownQuestion) -> bytes:
    entry: dict[str, Any] = {"question": known.question}
    if known.has_answer:
        entry["quoted"] = [_places(one) for one in known.quoted]
    else:
        entry["no_answer"] = True
    if known.facts:
        entry["facts"] = [*known.facts]
    return json.dumps(entry, ensure_ascii=False).encode(errors="replace")


def _places(places: frozenset[Place]) -> dict[str, Any]:
    """They are of one book, as `known_question` makes them."""
    return {"book": min(book for book, _ in places), "pages": sorted(page for _, page in places)}
