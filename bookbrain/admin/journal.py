"""The journal of the machine: the home of systemd-python's reader.

An entry is a mapping of its fields to texts, as `journalctl -o json` has it; what is no text is
bytes, and a field that is there several times is a list.
"""

import os
import pwd
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from bookbrain.errors import BookBrainError, UnavailableError
from bookbrain.events import PREFIX
from bookbrain.logs import IDENTIFIER
from bookbrain.server import SERVICE_USER
from bookbrain.wording import fill

Entry = Mapping[str, object]

ERROR = 3  # syslog(3): this and what is below are errors
TIME = "__REALTIME_TIMESTAMP"  # microseconds of UTC

_BOOTED = Path("/run/systemd/system")
_FOLDERS = (Path("/var/log/journal"), Path("/run/log/journal"))
_INSTEAD = "Read it so: journalctl -u bookbrain"


class Reader(Protocol):
    """What is used of `systemd.journal.Reader`."""

    def add_match(self, *args: str) -> None: ...
    def flush_matches(self) -> None: ...
    def add_disjunction(self) -> None: ...
    def add_conjunction(self) -> None: ...
    def query_unique(self, field: str) -> set[Any]: ...
    def seek_head(self) -> None: ...
    def seek_tail(self) -> None: ...
    def seek_realtime(self, realtime: float) -> None: ...
    def seek_cursor(self, cursor: str) -> None: ...
    def get_next(self) -> Entry: ...
    def get_previous(self) -> Entry: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: from `since` until before `until`; of `unit`, else of all that is ours.

    `book` is the beginning of an id; `activity` leaves errors and what has an event.
    """

    since: datetime | None = None
    until: datetime | None = None
    errors: bool = False
    unit: str = ""
    book: str = ""
    activity: bool = False

    def fits(self, entry: Entry) -> bool:
        """What the matches of the reader do not decide."""
        if self.book and not text_of(entry, f"{PREFIX}BOOK").startswith(self.book):
            return False
        moment = seconds_of(entry)
        return (self.since is None or moment >= self.since.timestamp()) and (
            self.until is None or moment < self.until.timestamp()
        )


def open_journal() -> Reader:
    """The system's journal; raises BookBrainError where there is none, or it cannot be read."""
    try:
        from systemd import journal  # noqa: PLC0415  (only installed on servers)
    except ImportError as error:
        raise UnavailableError("systemd-python is not installed here.", _INSTEAD) from error
    if not _BOOTED.is_dir():
        raise UnavailableError("systemd does not run here, so there is no journal.", _INSTEAD)
    files = [file for folder in _FOLDERS for file in folder.glob("*/system*.journal")]
    if files and not any(os.access(file, os.R_OK) for file in files):
        raise BookBrainError(
            "Only root and the group systemd-journal can read the journal.", "Run it with sudo."
        )
    plain: dict[str, Callable[[Any], str]] = dict.fromkeys(journal.DEFAULT_CONVERTERS, bytes.decode)
    plain |= {TIME: str, "__CURSOR": str, "__MONOTONIC_TIMESTAMP": lambda pair: str(pair[0])}
    try:
        flags = journal.LOCAL_ONLY | journal.SYSTEM
        return journal.Reader(flags=flags, converters=plain)  # type: ignore[no-any-return]
    except OSError as error:
        raise UnavailableError(
            fill("The journal cannot be opened ({reason}).", reason=error.strerror), _INSTEAD
        ) from error


def newest(reader: Reader, wanted: Wanted, count: int) -> list[Entry]:
    """The last `count` entries, oldest first."""
    _match(reader, wanted)
    reader.seek_tail()
    found: list[Entry] = []
    while len(found) < count and (entry := reader.get_previous()):
        if wanted.fits(entry):
            found.append(entry)
        elif wanted.since and seconds_of(entry) < wanted.since.timestamp():
            break
    return found[::-1]


def entries(reader: Reader, wanted: Wanted) -> Iterator[Entry]:
    """All of them, oldest first."""
    _match(reader, wanted)
    if wanted.since:
        reader.seek_realtime(wanted.since.timestamp())
    else:
        reader.seek_head()
    while entry := reader.get_next():
        if wanted.fits(entry):
            yield entry


def following(reader: Reader, wanted: Wanted, after: Entry | None) -> Iterator[Entry]:
    """What comes behind the entry `after`, or from now on, for ever."""
    _match(reader, wanted)
    if after:
        reader.seek_cursor(text_of(after, "__CURSOR"))
        reader.get_next()
    else:
        reader.seek_realtime(datetime.now().astimezone().timestamp())
    while True:
        while entry := reader.get_next():
            if wanted.fits(entry):
                yield entry
        reader.wait(1.0)  # seconds: Ctrl-C is heard in between


def text_of(entry: Entry, field: str) -> str:
    """A field as text; "" without it."""
    value = entry.get(field, "")
    if isinstance(value, list):
        if all(isinstance(byte, int) for byte in value):  # bytes, as JSON has them
            value = bytes(byte & 255 for byte in value)
        else:
            value = value[-1]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def seconds_of(entry: Entry) -> float:
    """When it was written, since the epoch."""
    text = text_of(entry, TIME)
    return int(text) / 1e6 if text.isascii() and text.isdecimal() else 0.0


def priority_of(entry: Entry) -> int:
    """0 to 7, syslog(3)."""
    text = text_of(entry, "PRIORITY")
    return int(text) if text in set("01234567") else 6


def _match(reader: Reader, wanted: Wanted) -> None:
    """Only fields that begin with _ are journald's own and can be trusted to name a sender."""
    reader.flush_matches()
    units = _units(reader, wanted.unit)
    _add(reader, "_SYSTEMD_UNIT", units)
    reader.add_disjunction()
    _add(reader, "UNIT", units)  # what systemd says of them
    reader.add_match("_PID=1")
    reader.add_disjunction()
    _add(reader, "COREDUMP_UNIT", units)
    reader.add_match("_UID=0")
    if not wanted.unit:
        reader.add_disjunction()
        reader.add_match(f"SYSLOG_IDENTIFIER={IDENTIFIER}")  # root's commands
        _add(reader, "_UID", ("0", *_service_uid()))
    errors = [str(priority) for priority in range(ERROR + 1)]
    if wanted.errors:
        reader.add_conjunction()
        _add(reader, "PRIORITY", errors)
    elif wanted.activity:
        reader.add_conjunction()
        _add(reader, "PRIORITY", errors)
        reader.add_disjunction()
        events = reader.query_unique(f"{PREFIX}EVENT")
        _add(reader, f"{PREFIX}EVENT", [event for event in events if isinstance(event, str)])


def _add(reader: Reader, field: str, values: Iterable[str]) -> None:
    for value in values:
        reader.add_match(f"{field}={value}")


def _units(reader: Reader, unit: str) -> list[str]:
    if unit:
        names = [unit, f"bookbrain-{unit}"]
        return [name if "." in unit else f"{name}.service" for name in names]
    seen = {str(u) for f in ("_SYSTEMD_UNIT", "UNIT") for u in reader.query_unique(f)}
    ours = {name for name in seen if name.startswith(("bookbrain.", "bookbrain-"))}
    return sorted(ours | {"bookbrain.service", "bookbrain-chroma.service"})


def _service_uid() -> Iterator[str]:
    try:
        yield str(pwd.getpwnam(SERVICE_USER).pw_uid)
    except KeyError:
        return
