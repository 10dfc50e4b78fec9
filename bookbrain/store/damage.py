"""Every byte of the library is read and compared with what was kept of it.

No lock is held: what is added or removed meanwhile is no damage, so whatever looks like damage is
looked at once more. It needs no library that can be opened.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import file_digest
from pathlib import Path
from time import monotonic
from typing import Any

from bookbrain.errors import BusyError, ConfigError
from bookbrain.files import file_lock, write_file
from bookbrain.index.segment import SEGMENT_DAMAGE, open_segment, segments_of
from bookbrain.messages import Filled, as_rows, fill, joined, message_of, of_row
from bookbrain.paths import CATALOG, STORE, LibraryPaths
from bookbrain.paths import STAMP_FILE as STAMP
from bookbrain.reports import Check
from bookbrain.store import database
from bookbrain.store.catalog import read_commit, read_stamp
from bookbrain.store.checksums import read_stamp_file
from bookbrain.store.database import open_untrusted, suppress_damage
from bookbrain.store.flaws import Unsound, flaws, is_digest, store_flaws
from bookbrain.store.identity import (
    LostCatalogError,
    check_catalog,
    read_card,
    stored_cards,
    stored_files,
)

_MOST_NAMED = 3
_LONG = timedelta(weeks=3)
_CHECK = "Run `bookbrain-admin check`; on a server with sudo."
_BRING_BACK = (
    "Bring the catalog back from a backup: `bookbrain-admin restore FILE`; or make it again from "
    "the files and what is known of them: `bookbrain recover`. On a server both with sudo."
)
_REPAIR = "Mend it: `bookbrain-admin check --repair`; on a server with sudo."


@dataclass(frozen=True, slots=True)
class Damage:
    """`file` is in the library's folder, `what` the end of a sentence; `book` is the id of the book
    that it is of, "" where it is of none or of many, and `title` what that is called. `lost` is a
    catalog that is not the library's, which no repair mends."""

    file: str
    what: str
    book: str = ""
    title: str = ""
    lost: bool = False

    @property
    def sentence(self) -> Filled:
        what = message_of(self.what)
        if not self.book:
            return fill("{file}: {what}", file=self.file, what=what)
        book = self.title or self.book[:12]
        return fill("{file} ({book}): {what}", file=self.file, book=book, what=what)


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """What a check came to: when it ended, in UTC, how many files it read, and all damage."""

    at: datetime
    files: int
    damage: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckState:
    """`last` is the outcome of the last check that came to its end. One that is under way has
    checked the units up to `done`, in their order, and found `damage` in so many `files`."""

    last: AuditOutcome | None = None
    done: str = ""
    files: int = 0
    damage: tuple[Damage, ...] = ()

    @property
    def known(self) -> tuple[Damage, ...]:
        """All damage that is known of, by the last check and the one under way."""
        return tuple(dict.fromkeys([*(self.last.damage if self.last else ()), *self.damage]))

    def ended(self, now: datetime) -> "CheckState":
        return CheckState(AuditOutcome(now, self.files, self.damage))

    def found(self, done: str, damage: list[Damage]) -> "CheckState":
        """With one more unit checked."""
        return replace(self, done=done, files=self.files + 1, damage=(*self.damage, *damage))


def look_at_damage(home: Path, now: datetime) -> Check:
    """What is known of damage in the library in `home`, as a line of its condition.

    It is no FAIL: an upgrade that went back would not mend it.
    """
    state = read_state(home)
    if state.known:
        shown = [damage.sentence for damage in state.known[:_MOST_NAMED]]
        more = ["…"] if state.known[_MOST_NAMED:] else []
        names = joined([*shown, *more])
        seen = fill("Damaged: {count} ({names}).", count=len(state.known), names=names)
        lost = any(damage.lost for damage in state.known)
        return Check.warn("check", seen, _BRING_BACK if lost else _REPAIR)
    if state.last is None:
        return Check.ok("check", "not checked for damage yet")
    if now - state.last.at > _LONG:
        seen = fill(
            "The last check for damage was at {time:%Y-%m-%d %H:%M} UTC.", time=state.last.at
        )
        return Check.warn("check", seen, _CHECK)
    return Check.ok("check", fill("no damage at {time:%Y-%m-%d %H:%M} UTC", time=state.last.at))


def read_state(home: Path) -> CheckState:
    """What is kept; nothing where it cannot be read: then a check begins anew."""
    try:
        kept = json.loads(LibraryPaths(home).damage.read_bytes())
        last = kept["last"]
        return CheckState(
            AuditOutcome(
                datetime.fromisoformat(last["at"]).astimezone(UTC),
                int(last["files"]),
                _all(last["damage"]),
            )
            if last
            else None,
            str(kept["done"]),
            int(kept["files"]),
            _all(kept["damage"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return CheckState()


def keep_state(home: Path, state: CheckState) -> None:
    """Keep it in place of the one before, whole; raises OSError."""
    value = asdict(state, dict_factory=as_rows)
    text = json.dumps(value, default=datetime.isoformat, ensure_ascii=False, indent=1)
    write_file(LibraryPaths(home).damage, text.encode())


def _all(kept: list[dict[str, Any]]) -> tuple[Damage, ...]:
    return tuple(Damage(**{**one, "what": of_row(one["what"])}) for one in kept)


_OFTEN = 2.0  # seconds between two notes of how far it is
_MOST = 200  # pieces of damage that are told of one database
OnBytes = Callable[[int, int], None]


def check_library(home: Path, on_bytes: OnBytes = lambda done, total: None) -> CheckState:
    """Check the library in `home`, from where an earlier check was stopped, and keep the outcome.

    `on_bytes` hears how many bytes of how many are checked. Whatever ends it keeps how far it was.
    Raises BusyError where another check is under way.
    """
    with file_lock(LibraryPaths(home).damage_lock, on_wait=_refuse):
        state, noted = read_state(home), monotonic()
        units = _units(home)
        total = sum(_size(home / unit) for unit in units)
        done = 0
        try:
            for unit in units:
                if unit > state.done or not state.done:
                    before = len(state.damage)
                    state = state.found(unit, check_unit(home, unit, state.damage))
                    if len(state.damage) > before or monotonic() - noted > _OFTEN:
                        keep_state(home, state)
                        noted = monotonic()
                done += _size(home / unit)
                on_bytes(done, total)
        finally:
            with suppress(OSError):
                keep_state(home, state)
        state = state.ended(datetime.now(UTC))
        keep_state(home, state)
    return state


def check_again(home: Path, found: AuditOutcome) -> AuditOutcome:
    """What is left of the damage that was found; it is kept."""
    with file_lock(LibraryPaths(home).damage_lock, on_wait=_refuse):
        left = _found_in(home, {damage.file for damage in found.damage} | {CATALOG, STORE})
        outcome = replace(found, damage=tuple(dict.fromkeys(left)))
        keep_state(home, CheckState(outcome))
    return outcome


def look_again(home: Path) -> None:
    """Forget the damage that was mended by other means than a repair, if no check is under way."""
    if not read_state(home).known:
        return
    with (
        suppress(BusyError, OSError, sqlite3.Error),
        file_lock(LibraryPaths(home).damage_lock, on_wait=_refuse),
    ):
        state = read_state(home)
        left = _found_in(home, {damage.file for damage in state.known})
        last = state.last
        now = tuple(d for d in left if last and d.file in {known.file for known in last.damage})
        new = tuple(d for d in left if d.file in {known.file for known in state.damage})
        state = replace(state, last=replace(last, damage=now) if last else None, damage=new)
        keep_state(home, state)


def _found_in(home: Path, units: Iterable[str]) -> list[Damage]:
    found: list[Damage] = []
    for unit in sorted(units):
        found += check_unit(home, unit, found)
    return found


def check_unit(home: Path, unit: str, found: Sequence[Damage] = ()) -> list[Damage]:
    """What is wrong with one file of the library, named from its folder; `found` is already."""
    if unit == CATALOG:
        return _of_catalog(home)
    if unit == STORE:
        if all(damage.file != CATALOG for damage in found):
            return _told(home, STORE, store_flaws)
        path = LibraryPaths(home).embeddings  # alone: the catalog says not what is to be in it
        return _told(home, STORE, lambda _: flaws(path)) if path.exists() else []
    books, keywords = LibraryPaths(home).books, LibraryPaths(home).keywords
    if home / unit == books / STAMP:
        there = (home / unit).exists() and not read_stamp_file(books)
        return [Damage(unit, "it is not what was written")] if there else []
    look = _of_segment if (home / unit).parent == keywords else _of_file
    return (_of_card if unit.endswith(".json") else look)(home, unit)


def _units(home: Path) -> list[str]:
    """What there is to check, in an order that does not change: a check goes on by it."""
    paths = LibraryPaths(home)
    files = [paths.book_file(book_id) for book_id in stored_files(paths.books)]
    files += [paths.card(book_id) for book_id in stored_cards(paths.books)]
    files += [paths.books / STAMP, paths.catalog, paths.embeddings]
    with suppress(*SEGMENT_DAMAGE, *database.DAMAGE):
        files += [paths.keywords / name for name in _segments(paths)]
    return sorted(_unit(home, path) for path in files)


def _unit(home: Path, path: Path) -> str:
    return str(path.relative_to(home))


def _segments(paths: LibraryPaths) -> list[str]:
    """Those of the commit in use; raises as `segments_of`, or one of `database.DAMAGE`."""
    if not paths.catalog.exists():
        return []
    with closing(open_untrusted(paths.catalog)) as db:
        commit = read_commit(db)
    return segments_of(paths.keywords, commit) if commit else []


def _of_file(home: Path, unit: str) -> list[Damage]:
    """A file may be removed, or exchanged for a good one, while it is read."""
    for _ in range(2):
        if not (home / unit).is_file():  # a pipe would be waited for
            return []
        try:
            with (home / unit).open("rb") as file:
                if file_digest(file, "sha256").hexdigest() == Path(unit).stem:
                    return []
        except FileNotFoundError:
            return []
        except OSError as error:
            return [
                Damage(
                    unit,
                    fill("it cannot be read ({reason})", reason=error.strerror),
                    *_named(home, unit),
                )
            ]
    return [Damage(unit, "it is not the file that it was", *_named(home, unit))]


def _of_card(home: Path, unit: str) -> list[Damage]:
    for _ in range(2):
        if read_card(LibraryPaths(home), Path(unit).stem) or not (home / unit).exists():
            return []
    return [Damage(unit, "it is not what was written", *_named(home, unit))]


def _of_segment(home: Path, unit: str) -> list[Damage]:
    """One that no commit names any more goes with the next writer."""
    try:
        open_segment(home / unit)
    except SEGMENT_DAMAGE:
        with suppress(*SEGMENT_DAMAGE, *database.DAMAGE):
            if Path(unit).name not in _segments(LibraryPaths(home)):
                return []
        return [Damage(unit, "it is no keyword index any more")]
    return []


def check_is_not_lost(home: Path) -> None:
    """Raise LostCatalogError where there is no catalog of this library that could be mended."""
    path = LibraryPaths(home).catalog
    with suppress_damage():
        if not path.exists() or not any(flaws(path)):
            _check_is_ours(home)


def _check_is_ours(home: Path) -> None:
    check, path = check_catalog(home), LibraryPaths(home).catalog
    if path.exists():
        with closing(open_untrusted(path)) as db:
            check(db)


def _of_catalog(home: Path) -> list[Damage]:
    lost: list[Damage] = []
    with suppress_damage():
        lost = _lost(home)
    return lost or [
        *_told(home, CATALOG, lambda _: flaws(LibraryPaths(home).catalog)),
        *_without_file(home),
        *_without_card(home),
    ]


def _lost(home: Path) -> list[Damage]:
    """Where the catalog is not that of the library, the books in it say nothing."""
    try:
        _check_is_ours(home)
    except LostCatalogError as error:
        return [Damage(CATALOG, error.message, lost=True)]
    return []


def _without_file(home: Path) -> Iterator[Damage]:
    paths = LibraryPaths(home)
    for book_id, title in titles(home).items():
        file, copy = paths.book_file(book_id), paths.incoming_file(book_id)
        if not file.is_file() and not copy.is_file() and book_id in titles(home):
            yield Damage(_unit(home, file), "it is gone", book_id, title)


def _without_card(home: Path) -> Iterator[Damage]:
    """Once the stamp of now is beside the books, their cards are, too."""
    stamp = None
    if LibraryPaths(home).catalog.exists():
        with suppress_damage(), closing(open_untrusted(LibraryPaths(home).catalog)) as db:
            stamp = read_stamp(db)
    if not stamp or read_stamp_file(LibraryPaths(home).books) != stamp:
        return
    for book_id, title in titles(home).items():
        card = LibraryPaths(home).card(book_id)
        if not card.is_file() and book_id in titles(home):
            yield Damage(_unit(home, card), "it is gone", book_id, title)


def _told(home: Path, name: str, ask: Callable[[Path], Iterator[Unsound]]) -> list[Damage]:
    """What is wrong with a database. SQLite's own error is for the caller where it is only not to
    be had now."""
    if not (home / name).exists() and name != STORE:
        return []
    found: list[Damage] = []
    names = titles(home)
    try:
        for flaw in ask(home):
            found.append(Damage(name, flaw.what, flaw.book, names.get(flaw.book, "")))
            if len(found) == _MOST:
                break
    except ConfigError as error:
        found.append(Damage(name, error.message))
    return found


def titles(home: Path) -> dict[str, str]:
    """The titles of the books by id, of a catalog of whatever kind, as far as they can be told."""
    found: dict[str, str] = {}
    if LibraryPaths(home).catalog.exists():
        with suppress(*database.DAMAGE), closing(open_untrusted(LibraryPaths(home).catalog)) as db:
            for book_id, title in db.execute("SELECT id, title FROM book"):
                if is_digest(book_id):
                    found[book_id] = (
                        title.decode(errors="replace") if type(title) is bytes else str(title)
                    )
    return found


def _named(home: Path, unit: str) -> tuple[str, str]:
    """The id and the title of the book that a file in `books` is of."""
    book_id = Path(unit).stem
    card = read_card(LibraryPaths(home), book_id)
    return book_id, titles(home).get(book_id) or (card.title if card else "")


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _refuse() -> None:
    raise BusyError("Another check is under way.", "Wait for it to end.")
