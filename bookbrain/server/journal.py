"""The journal of the machine, its months in archives: the home of systemd-python's reader.

An entry is a mapping of its fields to texts, as `journalctl -o json` has it; what is no text is
bytes, and a field that is there several times is a list.
"""

import gzip
import json
import os
import pwd
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from bookbrain.errors import BookBrainError, InputError, UnavailableError
from bookbrain.files import PART, file_lock, is_disk_full, new_file, open_file
from bookbrain.log import IDENTIFIER, PREFIX
from bookbrain.messages import fill
from bookbrain.paths import SERVICE_USER

Entry = Mapping[str, object]
ERROR = 3  # syslog(3): this and what is below are errors
TIME = "__REALTIME_TIMESTAMP"  # microseconds of UTC
_BOOTED = Path("/run/systemd/system")
_FOLDERS = (Path("/var/log/journal"), Path("/run/log/journal"))
_INSTEAD = "Read it so: journalctl -u bookbrain"


class JournalReader(Protocol):
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


def open_journal() -> JournalReader:
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


def newest(reader: JournalReader, wanted: Wanted, count: int) -> list[Entry]:
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


def entries(reader: JournalReader, wanted: Wanted) -> Iterator[Entry]:
    """All of them, oldest first."""
    _match(reader, wanted)
    if wanted.since:
        reader.seek_realtime(wanted.since.timestamp())
    else:
        reader.seek_head()
    while entry := reader.get_next():
        if wanted.fits(entry):
            yield entry


def following(reader: JournalReader, wanted: Wanted, after: Entry | None) -> Iterator[Entry]:
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


def _match(reader: JournalReader, wanted: Wanted) -> None:
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
        _add(reader, "_UID", ["0"])
        with suppress(KeyError):  # there is no such user
            _add(reader, "_UID", [str(pwd.getpwnam(SERVICE_USER).pw_uid)])
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


def _add(reader: JournalReader, field: str, values: Iterable[str]) -> None:
    for value in values:
        reader.add_match(f"{field}={value}")


def _units(reader: JournalReader, unit: str) -> list[str]:
    if unit:
        names = [unit, f"bookbrain-{unit}"]
        return [name if "." in unit else f"{name}.service" for name in names]
    seen = {str(u) for f in ("_SYSTEMD_UNIT", "UNIT") for u in reader.query_unique(f)}
    ours = {name for name in seen if name.startswith(("bookbrain.", "bookbrain-"))}
    return sorted(ours | {"bookbrain.service", "bookbrain-chroma.service"})


_AGO = re.compile(r"(\d{1,6}) ?([a-z]+?)s?( ago)?")
_UNITS = {
    "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600,
    "d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800,
}  # fmt: skip
_DAYS = {"today": 0, "yesterday": 1}


def read_moment(text: str, now: datetime) -> datetime:
    """Of `2h`, `30 min`, `3 days ago`, `yesterday`, or an ISO date; `now` has a time zone.

    Raises InputError for what is none of these.
    """
    typed = " ".join(text.lower().split())
    if typed in _DAYS:
        day = now.date() - timedelta(days=_DAYS[typed])
        return datetime(day.year, day.month, day.day).astimezone()
    if (ago := _AGO.fullmatch(typed)) and ago[2] in _UNITS:
        seconds = min(int(ago[1]) * _UNITS[ago[2]], now.timestamp())
        return now - timedelta(seconds=seconds)
    try:
        return max(_EARLIEST, datetime.fromisoformat(text.strip()).astimezone())
    except (ValueError, OverflowError) as error:
        raise InputError(
            fill("{text!r} is no point in time.", text=text),
            "Write 2h, 30 min, yesterday, or a date: 2026-03-01, 2026-03-01 14:30.",
        ) from error


_EARLIEST = datetime.fromtimestamp(0).astimezone()


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def begin(self) -> datetime:
        return datetime(self.year, self.number, 1).astimezone()

    @property
    def end(self) -> datetime:
        """Where the next one begins."""
        return self.next().begin

    @property
    def days(self) -> int:
        return (self.next().begin.date() - self.begin.date()).days

    def next(self) -> "Month":
        return Month(self.year + self.number // 12, self.number % 12 + 1)


def month_of(moment: datetime) -> Month:
    local = moment.astimezone()
    return Month(local.year, local.month)


def read_month(text: str) -> Month:
    """Of `2026-03`; raises InputError."""
    found = re.fullmatch(r"(20\d\d)-(0[1-9]|1[0-2])", text.strip())
    if not found:
        raise InputError(fill("{text!r} is no month.", text=text), "Write it so: 2026-03.")
    return Month(int(found[1]), int(found[2]))


_MB = 1_000_000
_NAME = re.compile(r"bookbrain-(20\d\d)-(0[1-9]|1[0-2])\.jsonl\.gz")
_LOCK = ".lock"


def export(found: Iterable[Entry], path: Path) -> int:
    """Write the entries to `path`, replacing what is there; how many. Raises BookBrainError.

    They are packed where its name ends in .gz.
    """
    count = 0
    try:
        with new_file(path, 0o640, shared=True) as raw, ExitStack() as packing:
            packed = path.name.endswith(".gz")
            file = packing.enter_context(gzip.open(raw, "wb")) if packed else raw
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
    reader: Callable[[], JournalReader], folder: Path, budget_mb: int, now: datetime
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
            found = entries(reader(), Wanted(since=month.begin, until=month.end))
            if export(found, path):
                made.append(path)
            else:
                path.unlink()
        _keep_budget(folder, budget_mb * _MB)
    return [path for path in made if path.exists()]


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


def _missing(reader: JournalReader, folder: Path, this: Month) -> Iterator[Month]:
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
