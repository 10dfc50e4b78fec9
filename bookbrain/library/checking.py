"""Every byte of the library is read and compared with what was kept of it. Nothing is changed.

No lock is held: what is added or removed meanwhile is no damage, so whatever looks like damage is
looked at once more. It needs no library that can be opened.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from time import monotonic

from bookbrain.durable import file_lock
from bookbrain.errors import BusyError, ConfigError
from bookbrain.index import database
from bookbrain.index.catalog import read_stamp
from bookbrain.index.database import is_damage, open_untrusted, suppress_damage
from bookbrain.index.embeddings import STORE
from bookbrain.index.generations import shards_of
from bookbrain.index.shards import DAMAGE, open_shard
from bookbrain.index.soundness import CATALOG, Unsound, flaws, is_digest, store_flaws
from bookbrain.index.stamps import FILE as STAMP
from bookbrain.index.stamps import read_stamp_file
from bookbrain.library.cards import card_file, read_card, stored_cards, stored_files
from bookbrain.library.damage import CheckState, Damage, Outcome, keep_state, read_state
from bookbrain.library.identity import LostCatalogError, check_catalog
from bookbrain.wording import fill

LOCK = "check.lock"  # in the library's folder; whoever checks holds it
_OFTEN = 2.0  # seconds between two notes of how far it is
_MOST = 200  # pieces of damage that are told of one database

OnBytes = Callable[[int, int], None]


def check_library(home: Path, on_bytes: OnBytes = lambda done, total: None) -> CheckState:
    """Check the library in `home`, from where an earlier check was stopped, and keep the outcome.

    `on_bytes` hears how many bytes of how many are checked. Whatever ends it keeps how far it was.
    Raises BusyError where another check is under way.
    """
    with file_lock(home / LOCK, on_wait=_refuse):
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
        except BaseException:
            with suppress(OSError):
                keep_state(home, state)
            raise
        state = state.ended(datetime.now(UTC))
        keep_state(home, state)
    return state


def check_again(home: Path, found: Outcome) -> Outcome:
    """What is left of the damage that was found; it is kept."""
    with file_lock(home / LOCK, on_wait=_refuse):
        units = sorted({damage.file for damage in found.damage} | {CATALOG, STORE})
        left: list[Damage] = []
        for unit in units:
            left += check_unit(home, unit, left)
        outcome = replace(found, damage=tuple(dict.fromkeys(left)))
        keep_state(home, CheckState(outcome))
    return outcome


def look_again(home: Path) -> None:
    """Forget the damage that was mended by other means than a repair, if no check is under way."""
    if not read_state(home).known:
        return
    with suppress(BusyError, OSError, sqlite3.Error), file_lock(home / LOCK, on_wait=_refuse):
        state = read_state(home)
        left: list[Damage] = []
        for unit in sorted({damage.file for damage in state.known}):
            left += check_unit(home, unit, left)
        last = state.last
        now = tuple(d for d in left if last and d.file in {known.file for known in last.damage})
        new = tuple(d for d in left if d.file in {known.file for known in state.damage})
        state = replace(state, last=replace(last, damage=now) if last else None, damage=new)
        keep_state(home, state)


def check_unit(home: Path, unit: str, found: Sequence[Damage] = ()) -> list[Damage]:
    """What is wrong with one file of the library, named from its folder; `found` is already."""
    if unit == CATALOG:
        return _of_catalog(home)
    if unit == STORE:
        sound = all(damage.file != CATALOG for damage in found)  # else it says not what is to be
        return _told(home, STORE, store_flaws if sound else _flaws_of_store)
    if unit == f"books/{STAMP}":
        there = (home / unit).exists() and not read_stamp_file(home / "books")
        return [Damage(unit, "it is not what was written")] if there else []
    look = _of_shard if unit.startswith("keywords/") else _of_file
    return (_of_card if unit.endswith(".json") else look)(home, unit)


def _units(home: Path) -> list[str]:
    """What there is to check, in an order that does not change: a check goes on by it."""
    books = home / "books"
    units = [f"books/{i}.pdf" for i in stored_files(books)]
    units += [f"books/{i}.json" for i in stored_cards(books)]
    units += [f"books/{STAMP}", CATALOG, STORE]
    with suppress(*DAMAGE, *database.DAMAGE):
        if generation := _generation(home):
            units += [f"keywords/{name}" for name in shards_of(home / "keywords", generation)]
    return sorted(units)


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
        if read_card(home / "books", Path(unit).stem) or not (home / unit).exists():
            return []
    return [Damage(unit, "it is not what was written", *_named(home, unit))]


def _of_shard(home: Path, unit: str) -> list[Damage]:
    """One that no generation names any more goes with the next writer."""
    try:
        open_shard(home / unit)
    except DAMAGE:
        with suppress(*DAMAGE, *database.DAMAGE):
            generation = _generation(home)
            if not generation or Path(unit).name not in shards_of(home / "keywords", generation):
                return []
        return [Damage(unit, "it is no keyword index any more")]
    return []


def check_is_not_lost(home: Path) -> None:
    """Raise LostCatalogError where there is no catalog of this library that could be mended."""
    with suppress_damage():
        if not (home / CATALOG).exists() or not any(flaws(home / CATALOG)):
            check = check_catalog(home)
            if (home / CATALOG).exists():
                with closing(open_untrusted(home / CATALOG)) as db:
                    check(db)


def _of_catalog(home: Path) -> list[Damage]:
    try:
        lost = _lost(home)
    except database.DAMAGE as error:
        if not is_damage(error):
            raise
        lost = []
    return lost or [
        *_told(home, CATALOG, lambda _: flaws(home / CATALOG)),
        *_without_file(home),
        *_without_card(home),
    ]


def _lost(home: Path) -> list[Damage]:
    """Where the catalog is not that of the library, the books in it say nothing."""
    try:
        check = check_catalog(home)
        if (home / CATALOG).exists():
            with closing(open_untrusted(home / CATALOG)) as db:
                check(db)
    except LostCatalogError as error:
        return [Damage(CATALOG, error.message, lost=True)]
    return []


def _flaws_of_store(home: Path) -> Iterator[Unsound]:
    return flaws(home / STORE) if (home / STORE).exists() else iter(())


def _without_file(home: Path) -> Iterator[Damage]:
    for book_id, title in titles(home).items():
        paths = [home / folder / f"{book_id}.pdf" for folder in ("books", "incoming")]
        if not any(path.is_file() for path in paths) and book_id in titles(home):
            file = str(paths[0].relative_to(home))
            yield Damage(file, "it is gone", book_id, title)


def _without_card(home: Path) -> Iterator[Damage]:
    """Once the stamp of now is beside the books, their cards are, too."""
    stamp = None
    if (home / CATALOG).exists():
        with suppress_damage(), closing(open_untrusted(home / CATALOG)) as db:
            stamp = read_stamp(db)
    if not stamp or read_stamp_file(home / "books") != stamp:
        return
    for book_id, title in titles(home).items():
        card = card_file(home / "books", book_id)
        if not card.is_file() and book_id in titles(home):
            yield Damage(str(card.relative_to(home)), "it is gone", book_id, title)


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
    if (home / CATALOG).exists():
        with suppress(*database.DAMAGE), closing(open_untrusted(home / CATALOG)) as db:
            for book_id, title in db.execute("SELECT id, title FROM book"):
                if is_digest(book_id):
                    found[book_id] = (
                        title.decode(errors="replace") if type(title) is bytes else str(title)
                    )
    return found


def _named(home: Path, unit: str) -> tuple[str, str]:
    """The id and the title of the book that a file in `books` is of."""
    book_id = Path(unit).stem
    card = read_card(home / "books", book_id)
    return book_id, titles(home).get(book_id) or (card.title if card else "")


def _generation(home: Path) -> str | None:
    if not (home / CATALOG).exists():
        return None
    with closing(open_untrusted(home / CATALOG)) as db:
        row = db.execute("SELECT value FROM setting WHERE name = 'generation'").fetchone()
    return row[0] if row and type(row[0]) is str else None


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _refuse() -> None:
    raise BusyError("Another check is under way.", "Wait for it to end.")
