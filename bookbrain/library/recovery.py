"""A library whose catalog or embeddings are lost or damaged is made whole again.

What a book's rows were comes from the catalog itself where they are sound, from a sound backup, or
from the book's own file, read again, with its card.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Any

from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.files import PART, free_name, link, sync_folder
from bookbrain.index.commit import texts_of
from bookbrain.index.segment import SEGMENT_DAMAGE
from bookbrain.library.jobs import finish_jobs
from bookbrain.library.maintenance import forget_lost_vectors
from bookbrain.model import AddReport, Progress
from bookbrain.paths import CATALOG, LibraryPaths, refuse_in_upgrade
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.settings import ChromaSettings, EmbeddingSettings, Settings
from bookbrain.store.catalog import MIGRATIONS, Catalog, read_stamp, set_refused
from bookbrain.store.checksums import (
    CATALOG_TABLES,
    STORE_TABLES,
    Row,
    checksum,
    seal_rest,
    told_rows,
    torn_tables,
)
from bookbrain.store.copy import drop_bad_rows, exchanged, take_books, take_embeddings
from bookbrain.store.damage import look_again
from bookbrain.store.database import (
    columns_of,
    open_database,
    open_untrusted,
    reading_database,
    remove_database,
    schema_version,
    suppress_damage,
    transaction,
)
from bookbrain.store.embeddings import EMBEDDINGS_MIGRATIONS
from bookbrain.store.flaws import (
    READING,
    can_be_vector,
    catalog_flaws,
    dimensions_of,
    flaws,
    is_digest,
    is_reading,
)
from bookbrain.store.folder import Stores, nobody_at_work, storage_errors
from bookbrain.store.identity import (
    LostCatalogError,
    check_catalog,
    read_card,
    stamp_copies,
    stored_cards,
    stored_files,
    write_cards,
)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of the files; the databases that were set `aside`; how many books the catalog
    had that were removed since (`gone`), and how many got the title back that they had. `strange`
    are files that could not be taken in and, as far as is known, never were books."""

    report: AddReport = field(default_factory=lambda: AddReport(()))
    aside: tuple[Path, ...] = ()
    gone: int = 0
    renamed: int = 0
    strange: tuple[Path, ...] = ()

    @property
    def lost(self) -> int:
        """How many books could not be brought back."""
        return self.report.count("failed") - len(self.strange)


def recover(settings: Settings, progress: Progress) -> Recovered:
    """Take every file in `books` that the catalog does not name back into the library.

    A catalog that is not this library's, or is damaged, is set aside first, and a new one made; one
    that is older than its library catches up. Nothing is bought: texts are read again, vectors are
    found by the digests of their texts. Can be run again after a crash at any instant.
    """
    refuse_in_upgrade(settings.home)
    with storage_errors():
        with nobody_at_work(settings.home, progress.wait):
            again = begin_again(settings)
        with closing(ConnectedStores(settings)) as stores, stores.working(progress.wait):
            orphans = [stores.paths.book_file(card.id) for card in stores.orphans()]
            cards = stored_cards(stores.books)
            stores.catalog.queue(orphans)
            report = finish_jobs(stores, progress)
            failed = {outcome.path for outcome in report.outcomes if outcome.status == "failed"}
            strange = [f for f in orphans if str(f) in failed and cards and f.stem not in cards]
            recovered = replace(again, report=report, strange=tuple(strange))
    look_again(settings.home)
    return recovered


def begin_again(settings: Settings) -> Recovered:
    """Have a catalog of this library where it belongs: the one that is there, or a new one.

    Only for the one writer. Nothing is done where the catalog is in order, or there is no library.
    """
    home = settings.home
    if (
        not LibraryPaths(home).catalog.exists()
        and not stamp_copies(home)
        and not stored_files(LibraryPaths(home).books)
    ):
        return Recovered()
    try:
        with closing(Catalog(LibraryPaths(home).catalog, check_catalog(home))) as catalog:
            catalog.check_structure()
    except LostCatalogError:
        if _is_of_library(home):
            return _catch_up(settings)
    except ConfigError:  # made by a newer BookBrain
        raise
    except BookBrainError:
        pass
    else:
        return Recovered()
    aside = tuple(_set_aside(home))
    _make_catalog(home)
    return Recovered(aside=aside)


def _is_of_library(home: Path) -> bool:
    """Whether the catalog is this library's, of another time."""
    path, copies = LibraryPaths(home).catalog, stamp_copies(home)
    if not path.exists() or not path.stat().st_size or not copies:
        return False
    try:
        with reading_database(path) as connection:
            stamp = read_stamp(connection)
            version = schema_version(connection)
    except sqlite3.DatabaseError:
        return False
    return stamp.library == copies[0].library if stamp else version in (1, 2)


def _next_stamp(home: Path) -> tuple[str, int]:
    copies = stamp_copies(home)
    library = copies[0].library if copies else token_hex(16)
    return library, max((copy.changes for copy in copies), default=0) + 1


def _set_aside(home: Path) -> Iterator[Path]:
    """The catalog under another name, with what SQLite keeps beside it."""
    path = LibraryPaths(home).catalog
    free = free_name(path, ".aside")
    for end in ("-wal", "-shm"):
        beside = home / f"{CATALOG}{end}"
        if beside.exists():
            beside.replace(f"{free}{end}")
    if path.exists():
        yield path.replace(free)
    sync_folder(home)


def _make_catalog(home: Path) -> None:
    """An empty catalog of this library, at once."""
    part = home / f"{CATALOG}{PART}"
    remove_database(part)
    with closing(Catalog(part)) as catalog:
        catalog.set_stamp(*_next_stamp(home))
    part.replace(LibraryPaths(home).catalog)
    sync_folder(home)


def _catch_up(settings: Settings) -> Recovered:
    """Bring the library's own catalog of another time to what the files and their cards say.

    A book that was removed since has neither a file nor a card left. It counts as the catalog of
    now when all is done.
    """
    with closing(Stores(settings, lost=True)) as stores:
        catalog, books = stores.catalog, stores.books
        catalog.end_all_jobs()
        catalog.forget_removed(catalog.removed())  # what was wanted then is past
        left = stored_files(books) | stored_cards(books)
        gone = [book_id for book_id in catalog.book_ids() if book_id not in left]
        commit = stores.index_texts([text for text in catalog.texts() if text.book in left])
        for book_id in gone:
            catalog.remove_book(book_id, commit)
        renamed = 0
        for book_id, title, *_ in catalog.card_rows():
            card = read_card(stores.paths, book_id)
            if card and card.title != title:
                catalog.rename_book(book_id, card.title)
                renamed += 1
        library, changes = _next_stamp(settings.home)
        catalog.set_stamp(library, max(changes, catalog.stamp().changes))
    return Recovered(gone=len(gone), renamed=renamed)


_VECTORS = """SELECT embedding.rowid AS place, space, digest, vector, value
              FROM embedding JOIN checksum USING (space, digest)"""
_UNSEALED = "SELECT rowid AS place, space, digest, vector, NULL FROM embedding"
_READINGS = f"SELECT rowid AS place, {READING} FROM recognised"  # noqa: S608


def mend_store(home: Path, backup: Path | None) -> list[Path]:
    """Have every vector and every recognised page right or gone, with those of the library in
    `backup` where they are bad.

    Returns where the old file is kept, if it had to be made anew.
    """
    path = LibraryPaths(home).embeddings
    if not path.exists() or not path.stat().st_size:
        with closing(open_database(path, EMBEDDINGS_MIGRATIONS)):
            pass  # what the backup has goes into a new one
    if not any(flaws(path, rows=False)) and not _is_torn(path):
        if backup:
            take_embeddings(path, LibraryPaths(backup).embeddings)
        drop_bad_rows(path)
        return []
    with exchanged(path) as (part, aside):
        _salvage(path, part)
        if backup:
            take_embeddings(part, LibraryPaths(backup).embeddings)
    return [aside] if aside.exists() else []


def _is_torn(path: Path) -> bool:
    with closing(open_untrusted(path)) as db:
        return bool(columns_of(db, "twin")) and any(torn_tables(db, STORE_TABLES))


def _salvage(path: Path, part: Path) -> None:
    """Put all that can be read of the store at `path`, and is right, into a new one, `part`."""
    with closing(open_database(part, EMBEDDINGS_MIGRATIONS)) as new, transaction(new):
        for space, digest, vector, kept in _readable(path, _VECTORS, _UNSEALED):
            found = checksum(space, digest, vector)
            if can_be_vector(4 * dimensions_of(space), digest, vector) and kept in (None, found):
                row = (space, digest)
                new.execute("INSERT OR IGNORE INTO embedding VALUES (?, ?, ?)", (*row, vector))
                new.execute("INSERT OR IGNORE INTO checksum VALUES (?, ?, ?)", (*row, found))
        spaces = {space for (space,) in new.execute("SELECT DISTINCT space FROM embedding")}
        with suppress_damage(), closing(open_untrusted(path)) as old:
            for name, dimensions in chain(*told_rows(old, "model", STORE_TABLES["model"])):
                if f"{name}/{dimensions}" in spaces:
                    new.execute("INSERT OR IGNORE INTO model VALUES (?, ?)", (name, dimensions))
        marks = ", ".join("?" * len(READING.split(",")))
        for row in filter(is_reading, _readable(path, _READINGS)):
            new.execute(f"INSERT OR IGNORE INTO recognised ({READING}) VALUES ({marks})", row)  # noqa: S608


def _readable(path: Path, *queries: str) -> Iterator[tuple[Any, ...]]:
    """The rows of the first of the queries whose tables the store has, without their `place`; from
    the first row up to where the file is damaged, then from the last one down.

    A store of before there were checksums, or recognised pages, lacks tables.
    """
    last, whole = 0, False
    with suppress_damage(), closing(open_untrusted(path)) as db:
        rows = next((query for query in queries if _is_understood(db, query)), queries[-1])
        with suppress_damage():
            for row in db.execute(f"{rows} WHERE place > 0 ORDER BY place"):
                last = row[0]
                yield row[1:]
            whole = True
        if not whole:
            with suppress_damage():
                for row in db.execute(f"{rows} WHERE place > ? ORDER BY place DESC", (last,)):
                    yield row[1:]


def _is_understood(db: sqlite3.Connection, query: str) -> bool:
    steps = []
    with suppress_damage():
        steps = db.execute(f"EXPLAIN {query}").fetchall()
    return bool(steps)


def mend_catalog(
    settings: Settings, backup: Path | None, work: Path, progress: Progress
) -> list[Path]:
    """Have every row of the catalog right. `backup` is a sound library, `work` a new folder.

    Returns where the old file is kept, if it had to be made anew. For the one writer, after the
    embedding store is mended. What no source has stays as it is, or is not in the new catalog.
    """
    paths = LibraryPaths(settings.home)
    path = paths.catalog
    found = list(flaws(path)) if path.exists() else []
    if not found:
        return []
    anew = any(not flaw.book for flaw in found)
    told = _sound_books(path)
    wanted = {flaw.book for flaw in found if flaw.book}
    if anew:  # whatever file lies there is of a book, unless it was to be deleted
        wanted |= _told_books(path) | stored_files(paths.books) - _removed(path)
    wanted -= told - {flaw.book for flaw in found}
    sources = _sources(settings, wanted, backup, work, progress)
    catalogs = [path, *([LibraryPaths(backup).catalog] if backup else [])]
    spaces = _spaces(catalogs, "embedded") or _spaces([paths.embeddings], "embedding")
    _fit(settings.home, sources, spaces)
    if anew:
        with exchanged(path) as (part, aside):
            _make_anew(settings.home, part, {i: path for i in told - wanted} | sources)
        return [aside] if aside.exists() else []
    for book_id, source in sources.items():
        with closing(Catalog(path)) as catalog:
            commit = catalog.index_commit()
        take_books(path, source, commit, only=book_id)
    return []


def _told_books(path: Path) -> set[str]:
    """The ids of the books that a catalog of whatever kind names."""
    found: set[str] = set()
    with suppress_damage(), closing(open_untrusted(path)) as db:
        for table, column in (("book", "id"), ("seal", "book_id"), ("page", "book_id")):
            with suppress_damage():
                rows = db.execute(f"SELECT DISTINCT {column} FROM {table}")  # noqa: S608
                found.update(row[0] for row in rows if is_digest(row[0]))
    return found


def _sound_books(path: Path) -> set[str]:
    """Those of them all of whose rows can be read and are what they were."""
    sound = set()
    with suppress_damage(), closing(open_untrusted(path)) as db:
        for book_id in _told_books(path):
            with suppress_damage():
                named = db.execute("SELECT 1 FROM book WHERE id = ?", (book_id,)).fetchone()
                if named and not any(catalog_flaws(db, book_id)):
                    sound.add(book_id)
    return sound


def _sources(
    settings: Settings, wanted: set[str], backup: Path | None, work: Path, progress: Progress
) -> dict[str, Path]:
    """The catalog that each of these books is taken from, where there is one."""
    held = _told_books(LibraryPaths(backup).catalog) if backup else set()
    sources = {book_id: LibraryPaths(backup).catalog for book_id in wanted & held if backup}
    paths = LibraryPaths(settings.home)
    left = sorted((wanted - held) & stored_files(paths.books))
    if not left:
        return sources
    alone = replace(settings, home=work, embedding=EmbeddingSettings(), chroma=ChromaSettings())
    with closing(ConnectedStores(alone, lost=True)) as stores:
        for book_id in left:
            link(paths.book_file(book_id), stores.paths.book_file(book_id))
            if read_card(paths, book_id):
                link(paths.card(book_id), stores.paths.card(book_id))
        with stores.working(progress.wait):
            stores.catalog.queue(stores.paths.book_file(book_id) for book_id in left)
            finish_jobs(stores, progress)
        read = stores.catalog.book_ids()
    return sources | {book_id: LibraryPaths(work).catalog for book_id in read}


def _spaces(databases: Iterable[Path], table: str) -> set[str]:
    """Every space that this table of one of the databases has."""
    found: set[str] = set()
    for path in databases:
        with suppress_damage(), closing(open_untrusted(path)) as db:
            rows = db.execute(f"SELECT DISTINCT space FROM {table}")  # noqa: S608
            found.update(row[0] for row in rows if type(row[0]) is str)
    return found


def _fit(home: Path, sources: Mapping[str, Path], spaces: Iterable[str]) -> None:
    """Have the books in their sources be called as their cards say, and embedded where the store
    has all their vectors."""
    for path in set(sources.values()):
        with closing(open_database(path, MIGRATIONS)) as db:
            db.execute("ATTACH ? AS store", (str(LibraryPaths(home).embeddings),))
            for book_id in (b for b, source in sources.items() if source == path):
                card = read_card(LibraryPaths(home), book_id)
                with transaction(db):
                    if card:
                        db.execute(
                            "UPDATE book SET title = ?, file = ?, added_at = ? WHERE id = ?",
                            (card.title, card.file, card.added_at, book_id),
                        )
                    for space in spaces:
                        if card:
                            reasons = card.refused.get(space, {}).items()
                            set_refused(db, book_id, space, {int(n): why for n, why in reasons})
                        _set_embedded(db, book_id, space)
                    seal_rest(db, [book_id])


def _set_embedded(db: sqlite3.Connection, book_id: str, space: str) -> None:
    db.execute("DELETE FROM embedded WHERE book_id = ? AND space = ?", (book_id, space))
    db.execute(
        """INSERT INTO embedded SELECT :book, :space WHERE EXISTS (
               SELECT 1 FROM passage WHERE book_id = :book)
           AND NOT EXISTS (
               SELECT 1 FROM passage WHERE book_id = :book
               AND NOT EXISTS (SELECT 1 FROM store.embedding AS bought WHERE bought.space = :space
                               AND bought.digest = passage.digest)
               AND NOT EXISTS (SELECT 1 FROM refused WHERE refused.book_id = :book
                               AND refused.space = :space
                               AND refused.ordinal = passage.ordinal))""",
        {"book": book_id, "space": space},
    )


def _make_anew(home: Path, part: Path, sources: Mapping[str, Path]) -> None:
    """Make the catalog `part` of these books, each from its source, and of what else is told."""
    old = LibraryPaths(home).catalog
    said = [(str(name), str(value)) for name, value in {*chain(*_told(old, "setting"))}]
    _set_stamp(home, part, said)
    commit = _commit_of(LibraryPaths(home).keywords, said, set(sources))
    for book_id, source in sorted(sources.items()):
        take_books(part, source, commit, only=book_id)
    left = stored_files(LibraryPaths(home).books)
    with closing(open_database(part, MIGRATIONS)) as db, transaction(db):
        jobs = [row for row in {*chain(*_told(old, "job"))} if _is_job(row)]
        for row in sorted(jobs, key=lambda row: (not Path(str(row[1])).exists(), row)):
            marks = ", ".join("?" * len(row))
            columns = ", ".join(CATALOG_TABLES["job"][: len(row)])
            db.execute(f"INSERT OR IGNORE INTO job ({columns}) VALUES ({marks})", row)  # noqa: S608
        for removed in (_removed(old) & left) - sources.keys():
            db.execute("INSERT OR IGNORE INTO removed VALUES (?)", (removed,))


def _commit_of(folder: Path, said: Iterable[tuple[str, str]], books: set[str]) -> str | None:
    """The keyword index of exactly these books: the one that is told, or another that is there."""
    told = [value for name, value in said if name == "generation"]
    there = [path.stem for path in sorted(folder.glob("*.json"))]
    for commit in (name for name in [*told, *there] if name in there):
        with suppress(*SEGMENT_DAMAGE):
            if {text.book for text in texts_of(folder, commit)} == books:
                return commit
    return None


def _set_stamp(home: Path, part: Path, said: Iterable[tuple[str, str]]) -> None:
    """The stamp of the library, with more changes than any that is told."""
    copies = stamp_copies(home)
    known = [int(value) for name, value in said if name == "changes" and value.isdecimal()]
    changes = max([min(known, default=0), *(copy.changes for copy in copies)]) + 1
    library = copies[0].library if copies else dict(said).get("library")
    with closing(Catalog(part)) as catalog:
        catalog.set_stamp(library or catalog.stamp().library, changes)


def _is_job(row: Row) -> bool:
    """Whether it may be one: pages that were exchanged show rows of another table."""
    kinds = (int, str, str, str, int, int, int, str, int)
    return [*map(type, row)] == [*kinds[: len(row)]]


def _removed(path: Path) -> set[str]:
    """The books whose files are to be deleted, by both witnesses."""
    rows, copies = _told(path, "removed")
    return {str(row[0]) for row in {*rows} & {*copies}}


def _told(path: Path, table: str) -> tuple[list[Row], list[Row]]:
    """Its rows, and the copies of them."""
    found: list[tuple[list[Row], list[Row]]] = []
    with suppress_damage(), closing(open_untrusted(path)) as db:
        found.append(told_rows(db, table, CATALOG_TABLES[table]))
    return found[0] if found else ([], [])


def settle(settings: Settings) -> bool:
    """Have cards, stamps and keyword index as the catalog says, and no book called embedded that
    lacks vectors; whether there was one."""
    with closing(Stores(settings, lost=True)) as stores:
        lacking = forget_lost_vectors(stores)
        write_cards(stores.paths, stores.catalog)
        stores.keep_identity()
        stores.index_all()
    return bool(lacking)
