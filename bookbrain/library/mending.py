"""A catalog that is damaged is mended: book by book, or made anew where its file is damaged.

What a book's rows were comes from the catalog itself where they are sound, from a sound backup, or
from the book's own file, read again, with its card.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path

from bookbrain.config import EmbeddingSettings, Settings
from bookbrain.durable import link
from bookbrain.index.catalog import Catalog
from bookbrain.index.copying import take_books
from bookbrain.index.database import open_database, open_untrusted, suppress_damage, transaction
from bookbrain.index.embeddings import STORE
from bookbrain.index.generations import shards_of
from bookbrain.index.migrations import MIGRATIONS
from bookbrain.index.seals import seal_rest
from bookbrain.index.shards import DAMAGE, open_shard
from bookbrain.index.soundness import CATALOG, catalog_flaws, flaws, is_digest
from bookbrain.index.twins import CATALOG_TABLES, Row, told_rows
from bookbrain.library.adding import finish_jobs
from bookbrain.library.cards import card_file, read_card, stored_files
from bookbrain.library.exchange import exchanged
from bookbrain.library.identity import stamp_copies
from bookbrain.library.reports import Progress
from bookbrain.library.stores import Stores


def mend_catalog(
    settings: Settings, backup: Path | None, work: Path, progress: Progress
) -> list[Path]:
    """Have every row of the catalog right. `backup` is a sound library, `work` a new folder.

    Returns where the old file is kept, if it had to be made anew. For the one writer, after the
    embedding store is mended. What no source has stays as it is, or is not in the new catalog.
    """
    path = settings.home / CATALOG
    found = list(flaws(path)) if path.exists() else []
    if not found:
        return []
    anew = any(not flaw.book for flaw in found)
    told = _sound_books(path)
    wanted = {flaw.book for flaw in found if flaw.book}
    if anew:  # whatever file lies there is of a book, unless it was to be deleted
        wanted |= _told_books(path) | stored_files(settings.home / "books") - _removed(path)
    wanted -= told - {flaw.book for flaw in found}
    sources = _sources(settings, wanted, backup, work, progress)
    catalogs = [path, *([backup / CATALOG] if backup else [])]
    spaces = _spaces(catalogs, "embedded") or _spaces([settings.home / STORE], "embedding")
    _fit(settings.home, sources, spaces)
    if anew:
        with exchanged(path) as (part, aside):
            _make_anew(settings.home, part, {i: path for i in told - wanted} | sources)
        return [aside] if aside.exists() else []
    for book_id, source in sources.items():
        with closing(Catalog(path)) as catalog:
            generation = catalog.generation()
        take_books(path, source, generation, only=book_id)
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
    held = _told_books(backup / CATALOG) if backup else set()
    sources = {book_id: backup / CATALOG for book_id in wanted & held if backup}
    books = settings.home / "books"
    left = sorted((wanted - held) & stored_files(books))
    if not left:
        return sources
    alone = replace(settings, home=work, embedding=EmbeddingSettings(), chroma_url=None)
    with closing(Stores(alone, lost=True)) as stores:
        for book_id in left:
            link(books / f"{book_id}.pdf", stores.stored_file(book_id))
            if read_card(books, book_id):
                link(card_file(books, book_id), card_file(stores.books, book_id))
        stores.catalog.queue(stores.stored_file(book_id) for book_id in left)
        finish_jobs(stores, progress)
        read = stores.catalog.book_ids()
    return sources | {book_id: work / CATALOG for book_id in read}


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
            db.execute("ATTACH ? AS store", (str(home / STORE),))
            for book_id in (b for b, source in sources.items() if source == path):
                card = read_card(home / "books", book_id)
                with transaction(db):
                    if card:
                        db.execute(
                            "UPDATE book SET title = ?, file = ?, added_at = ? WHERE id = ?",
                            (card.title, card.file, card.added_at, book_id),
                        )
                    for space in spaces:
                        if card:
                            _set_refused(db, book_id, space, card.refused.get(space, {}))
                        _set_embedded(db, book_id, space)
                    seal_rest(db, [book_id])


def _set_refused(
    db: sqlite3.Connection, book_id: str, space: str, refused: Mapping[str, str]
) -> None:
    db.execute("DELETE FROM refused WHERE book_id = ? AND space = ?", (book_id, space))
    db.executemany(
        "INSERT INTO refused VALUES (?, ?, ?, ?)",
        ((book_id, space, int(ordinal), reason) for ordinal, reason in refused.items()),
    )


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
    old = home / CATALOG
    said = [(str(name), str(value)) for name, value in {*chain(*_told(old, "setting"))}]
    _set_stamp(home, part, said)
    generation = _generation(home / "keywords", said, set(sources))
    for book_id, source in sorted(sources.items()):
        take_books(part, source, generation, only=book_id)
    left = stored_files(home / "books")
    with closing(open_database(part, MIGRATIONS)) as db, transaction(db):
        jobs = [row for row in {*chain(*_told(old, "job"))} if _is_job(row)]
        for row in sorted(jobs, key=lambda row: (not Path(str(row[1])).exists(), row)):
            marks = ", ".join("?" * len(row))
            columns = ", ".join(CATALOG_TABLES["job"][: len(row)])
            db.execute(f"INSERT OR IGNORE INTO job ({columns}) VALUES ({marks})", row)  # noqa: S608
        for removed in (_removed(old) & left) - sources.keys():
            db.execute("INSERT OR IGNORE INTO removed VALUES (?)", (removed,))


def _generation(folder: Path, said: Iterable[tuple[str, str]], books: set[str]) -> str | None:
    """The keyword index of exactly these books: the one that is told, or another that is there."""
    told = [value for name, value in said if name == "generation"]
    there = [path.stem for path in sorted(folder.glob("*.json"))]
    for generation in (name for name in [*told, *there] if name in there):
        with suppress(*DAMAGE):
            shards = [open_shard(folder / name) for name in shards_of(folder, generation)]
            if {book.id for shard in shards for book in shard.books} == books:
                return generation
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
    kinds = (int, str, str, str, int, int, int)
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
