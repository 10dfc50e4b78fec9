"""Entries of the journal in files of JSON lines, which are whole or not there."""

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from bookbrain.admin.journal import Entry, Reader, Wanted, entries, seconds_of
from bookbrain.admin.moments import Month, month_of
from bookbrain.durable import PART, file_lock, is_disk_full, new_file, open_file
from bookbrain.errors import BookBrainError, InputError
from bookbrain.wording import fill

_MB = 1_000_000
_NAME = re.compile(r"bookbrain-(20\d\d)-(0[1-9]|1[0-2])\.jsonl\.gz")
_LOCK = ".lock"


def export(found: Iterable[Entry], path: Path) -> int:
    """Write the entries to `path`, replacing what is there; how many. Raises BookBrainError."""
    count = 0
    try:
        with _whole(path) as file:
            for entry in found:
                file.write(json.dumps(entry, ensure_ascii=False, default=list).encode() + b"\n")
                count += 1
    except OSError as error:
        if is_disk_full(error):
            raise BookBrainError("The disk is full.", "Make room and run it again.") from error
        raise InputError(
            fill("{path} cannot be written ({reason}).", path=path, reason=error.strerror),
            "Choose another place.",
        ) from error
    return count


def archive(
    reader: Callable[[], Reader], folder: Path, budget_mb: int, now: datetime
) -> list[Path]:
    """Write the months that are over and not in `folder` yet; the new files.

    Of what the journal still has: all months behind the newest archive. Then the oldest go until
    all are at most `budget_mb`; the newest stays.
    """
    made = []
    with file_lock(folder / _LOCK):
        for left in folder.glob(f"*{PART}"):
            left.unlink()
        for month in _missing(reader(), folder, month_of(now)):
            path = archive_file(folder, month)
            found = list_of(reader(), month)
            if export(found, path):
                made.append(path)
            else:
                path.unlink()
        _keep_budget(folder, budget_mb * _MB)
    return [path for path in made if path.exists()]


def list_of(reader: Reader, month: Month) -> Iterator[Entry]:
    """The entries of a month."""
    return entries(reader, Wanted(since=month.begin, until=month.end))


def archive_file(folder: Path, month: Month) -> Path:
    return folder / f"bookbrain-{month}.jsonl.gz"


def read_archive(path: Path) -> Iterator[Entry]:
    """The entries of an archive; raises InputError where it is damaged."""
    try:
        with open_file(path) as packed, gzip.open(packed, "rt", encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                if isinstance(entry, dict):
                    yield entry
    except (OSError, EOFError, ValueError) as error:
        raise InputError(fill("{path} is damaged.", path=path), "Remove it.") from error


def _archives(folder: Path) -> dict[Month, Path]:
    """Oldest first."""
    found = {}
    for path in folder.iterdir():
        if name := _NAME.fullmatch(path.name):
            found[Month(int(name[1]), int(name[2]))] = path
    return dict(sorted(found.items()))


def _missing(reader: Reader, folder: Path, this: Month) -> Iterator[Month]:
    if known := list(_archives(folder)):
        month = known[-1].next()
    elif first := next(entries(reader, Wanted()), None):
        month = month_of(datetime.fromtimestamp(seconds_of(first)).astimezone())
    else:
        return
    while month < this:
        yield month
        month = month.next()


def _keep_budget(folder: Path, budget: int) -> None:
    """In bytes; the newest archive stays whatever its size."""
    sizes = {path: path.stat().st_size for path in _archives(folder).values()}
    for oldest in list(sizes)[:-1]:
        if sum(sizes.values()) <= budget:
            return
        oldest.unlink()
        del sizes[oldest]


@contextmanager
def _whole(path: Path) -> Iterator[gzip.GzipFile | BinaryIO]:
    """A new file at `path` when the block ends well; packed where its name ends in .gz."""
    with new_file(path, 0o640, shared=True) as raw:
        if path.name.endswith(".gz"):
            with gzip.open(raw, "wb") as packed:
                yield packed
        else:
            yield raw
