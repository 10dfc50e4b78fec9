"""The catalog: which books there are, page by page and passage by passage. SQLite, one file."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from bookbrain.errors import BookBrainError
from bookbrain.messages import Filled, as_row, fill, message_of, of_row
from bookbrain.model import Book, Page, Passage, TextId
from bookbrain.store.checksums import (
    CATALOG_TABLES,
    Stamp,
    create_twins,
    seal_book,
    seal_rest,
    text_revision,
    widen_twin,
)
from bookbrain.store.database import MEND, Migration, open_database, transaction
from bookbrain.store.rows import (
    FoundPage,
    StoredPassage,
    page_row,
    parse_spans,
    revision_of,
    spans_json,
    to_found_page,
    to_page,
    to_passages,
)


def m001_create_tables(connection: sqlite3.Connection) -> None:
    """Books with their pages and passages; jobs; what a later step must still do."""
    for statement in (
        "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE book (
            id TEXT PRIMARY KEY, title TEXT NOT NULL, file TEXT NOT NULL, added_at TEXT NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE page (
            book_id TEXT NOT NULL REFERENCES book ON DELETE CASCADE, number INTEGER NOT NULL,
            label TEXT NOT NULL, chapter TEXT NOT NULL, headings TEXT NOT NULL,
            problem TEXT NOT NULL, text TEXT NOT NULL,
            PRIMARY KEY (book_id, number)
        )""",
        """CREATE TABLE passage (
            book_id TEXT NOT NULL REFERENCES book ON DELETE CASCADE, ordinal INTEGER NOT NULL,
            digest TEXT NOT NULL, spans TEXT NOT NULL,
            PRIMARY KEY (book_id, ordinal)
        )""",
        # The embedding spaces in which every passage of a book is embedded, but for the refused.
        """CREATE TABLE embedded (
            book_id TEXT NOT NULL REFERENCES book ON DELETE CASCADE, space TEXT NOT NULL,
            PRIMARY KEY (book_id, space)
        ) WITHOUT ROWID""",
        """CREATE TABLE refused (
            book_id TEXT NOT NULL REFERENCES book ON DELETE CASCADE, space TEXT NOT NULL,
            ordinal INTEGER NOT NULL, reason TEXT NOT NULL,
            PRIMARY KEY (book_id, space, ordinal)
        ) WITHOUT ROWID""",
        # A book on its way in: from the moment it is asked for until it is whole or given up.
        "CREATE TABLE job (id INTEGER PRIMARY KEY, path TEXT NOT NULL, waiting TEXT NOT NULL)",
    ):
        connection.execute(statement)


def m002_progress_of_jobs(connection: sqlite3.Connection) -> None:
    """How far each job is; and the pages with problems, which a long shelf asks of every book."""
    for statement in (
        "ALTER TABLE job ADD COLUMN step TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE job ADD COLUMN done INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN total INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX page_problem ON page (book_id, number) WHERE problem <> ''",
    ):
        connection.execute(statement)


def m003_identity_and_seals(connection: sqlite3.Connection) -> None:
    """Which library it is, and how many changes its books have had; what each book's rows were
    when they were written; and the books whose files are still to be deleted."""
    for statement in (
        """CREATE TABLE seal (
            book_id TEXT PRIMARY KEY REFERENCES book ON DELETE CASCADE,
            pages BLOB NOT NULL, rest BLOB NOT NULL
        ) WITHOUT ROWID""",
        "CREATE TABLE removed (book_id TEXT PRIMARY KEY) WITHOUT ROWID",
    ):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO setting VALUES ('library', ?), ('changes', '0')", (token_hex(16),)
    )
    for (book_id,) in connection.execute("SELECT id FROM book").fetchall():
        seal_book(connection, book_id)


def m004_attempts_at_jobs(connection: sqlite3.Connection) -> None:
    """How often the work on a job began and was never heard of again."""
    connection.execute("ALTER TABLE job ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0")


def m005_twins(connection: sqlite3.Connection) -> None:
    """The small tables that no seal covers are kept twice."""
    create_twins(connection, {**CATALOG_TABLES, "job": CATALOG_TABLES["job"][:7]})


def m006_revisions_and_kinds(connection: sqlite3.Connection) -> None:
    """Which text of a book it is, and what is to be done with the file of a job, how soon."""
    for statement in (
        "ALTER TABLE book ADD COLUMN revision TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE job ADD COLUMN kind TEXT NOT NULL DEFAULT 'add'",
        "ALTER TABLE job ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
    ):
        connection.execute(statement)
    widen_twin(connection, "job", CATALOG_TABLES["job"], 2)
    note_revisions(connection)


MIGRATIONS: Sequence[Migration] = (
    m001_create_tables,
    m002_progress_of_jobs,
    m003_identity_and_seals,
    m004_attempts_at_jobs,
    m005_twins,
    m006_revisions_and_kinds,
)
_BOOKS = """SELECT id, title, file, (SELECT count(*) FROM page WHERE book_id = id),
                   (SELECT count(*) FROM passage WHERE book_id = id), added_at FROM book"""
_PAGES = "SELECT number, label, chapter, headings, problem, text FROM page"


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is to be done with a file: its `kind`. "add" makes it a book. `waiting` says
    what for, when a service was not there.

    `step` is what is done with it, "" until its turn comes: `done` of `total` pages or passages.
    `attempts` were begun and ended neither well nor with a reason.
    """

    id: int
    path: str
    waiting: str
    step: str = ""
    done: int = 0
    total: int = 0
    attempts: int = 0
    kind: str = "add"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class NewBook:
    """A book about to be visible. `space` is where its passages are embedded ("" for nowhere),
    `refused` the ordinals of those that are not, and why."""

    book: Book
    pages: Sequence[Page]
    passages: Sequence[Passage]
    space: str = ""
    refused: Mapping[int, str] = field(default_factory=dict)

    @property
    def text(self) -> TextId:
        return TextId(self.book.id, revision_of(self.pages))


class Catalog:
    """An open catalog. Every method is one transaction."""

    def __init__(
        self,
        path: Path,
        check: Callable[[sqlite3.Connection], None] = lambda connection: None,
        *,
        or_read: bool = False,
    ) -> None:
        """`check` and `or_read` as in `open_database`."""
        self._db = open_database(path, MIGRATIONS, check, or_read=or_read)

    @property
    def writable(self) -> bool:
        return self._db.writable

    def close(self) -> None:
        self._db.close()

    def state(self) -> tuple[int, int]:
        """Another pair after any change, whoever made it; the same while nothing has changed."""
        (others,) = self._db.execute("PRAGMA data_version").fetchone()
        return int(others), self._db.total_changes

    def stamp(self) -> Stamp:
        """Which library this is, and how many changes its books have had."""
        stamp = read_stamp(self._db)
        assert stamp  # noqa: S101  (a migration made it)
        return stamp

    def check_structure(self) -> None:
        """Raise BookBrainError where SQLite finds the file damaged."""
        try:
            (found,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found != "ok":
            raise BookBrainError(fill("The catalog is damaged: {error}.", error=found), MEND)

    def set_stamp(self, library: str, changes: int) -> None:
        """Be the catalog of this library, with so many changes behind it."""
        with transaction(self._db) as db:
            db.execute("REPLACE INTO setting VALUES ('library', ?)", (library,))
            db.execute("REPLACE INTO setting VALUES ('changes', ?)", (str(changes),))

    def card_rows(self, book_id: str | None = None) -> list[tuple[str, str, str, str]]:
        """Id, title, file and date of all books, or of the one `book_id`."""
        rows = self._db.execute(
            "SELECT id, title, file, added_at FROM book WHERE ? IN (id, '') ORDER BY id",
            (book_id or "",),
        )
        return list(rows)

    # Books

    def add_book(self, new: NewBook, commit: str, job: int) -> None:
        """Make a book visible: its rows, the keyword index that has it, and the end of its job."""
        with transaction(self._db) as db:
            db.execute(
                "INSERT INTO book (id, title, file, added_at) VALUES (?, ?, ?, ?)",
                (new.book.id, new.book.title, new.book.file, new.book.added_at),
            )
            _write_text(db, new, commit)
            db.execute("DELETE FROM job WHERE id = ?", (job,))
            db.execute("DELETE FROM removed WHERE book_id = ?", (new.book.id,))

    def replace_text(self, new: NewBook, commit: str | None) -> None:
        """Give a book that is there other pages and passages, and search the keyword index that
        has them. Its title, file and date stay. What is embedded of it is what `new` says."""
        with transaction(self._db) as db:
            for table in ("page", "passage", "embedded", "refused"):
                db.execute(f"DELETE FROM {table} WHERE book_id = ?", (new.book.id,))  # noqa: S608
            _write_text(db, new, commit)

    def remove_book(self, book_id: str, commit: str | None) -> None:
        """Forget a book, and from now on search the keyword index `commit`.

        It is one of `removed` until its file and its postings are gone.
        """
        with transaction(self._db) as db:
            db.execute("DELETE FROM book WHERE id = ?", (book_id,))
            _set_commit(db, commit)
            db.execute("REPLACE INTO removed VALUES (?)", (book_id,))
            count_change(db)

    def removed(self) -> list[str]:
        """The books that somebody had removed and of which something is still to be deleted.

        A row without its copy is damage: nothing is deleted for it.
        """
        rows = self._db.execute(
            """SELECT book_id FROM removed JOIN twin ON name = 'removed' AND key = book_id
               ORDER BY book_id"""
        )
        return [row[0] for row in rows]

    def forget_removed(self, book_ids: Iterable[str]) -> None:
        """Note that nothing is left of these removed books."""
        with transaction(self._db) as db:
            db.executemany("DELETE FROM removed WHERE book_id = ?", ((i,) for i in book_ids))

    def rename_book(self, book_id: str, title: str) -> None:
        """Give a book another title; one that is not in the library stays so."""
        with transaction(self._db) as db:
            if db.execute("UPDATE book SET title = ? WHERE id = ?", (title, book_id)).rowcount:
                seal_rest(db, [book_id])
                count_change(db)

    def has_book(self, book_id: str) -> bool:
        return bool(self._db.execute("SELECT 1 FROM book WHERE id = ?", (book_id,)).fetchone())

    def book_ids(self) -> list[str]:
        """All books, in the order of their ids."""
        return [row[0] for row in self._db.execute("SELECT id FROM book ORDER BY id")]

    def texts(self) -> list[TextId]:
        """The text of each book, in the order of the books' ids."""
        rows = self._db.execute("SELECT id, revision FROM book ORDER BY id")
        return [TextId(*row) for row in rows]

    def books(self, space: str = "") -> list[Book]:
        """All books, oldest first, with their problems: pages that could not be read, and passages
        whose embedding `space` refused."""
        rows = self._db.execute(f"{_BOOKS} ORDER BY added_at, id").fetchall()
        return [self._book(row, space) for row in rows]

    def book(self, book_id: str, space: str = "") -> Book | None:
        """One book, None when it is not in the library."""
        row = self._db.execute(f"{_BOOKS} WHERE id = ?", (book_id,)).fetchone()
        return self._book(row, space) if row else None

    def namesakes(self, book_ids: Iterable[str]) -> list[Book]:
        """The books whose title or file name is that of one of these, which are among them; their
        problems are left out."""
        rows = self._db.execute(
            f"""WITH asked AS (SELECT title, file FROM book JOIN json_each(?) AS wanted
                               ON book.id = wanted.value)
                {_BOOKS} WHERE title IN (SELECT title FROM asked)
                OR file IN (SELECT file FROM asked) ORDER BY added_at, id""",  # noqa: S608
            (json.dumps(list(book_ids)),),
        )
        return [Book(*row) for row in rows]

    def _book(self, row: tuple[str, str, str, int, int, str], space: str) -> Book:
        return Book(*row, problems=problems_of(self._db, row[0], space))

    # Pages and passages

    def page_problems(self, book_id: str) -> list[tuple[int, str]]:
        """The pages of a book that have a problem, and which."""
        return page_problems(self._db, book_id)

    def count_pages_with(self, problems: Iterable[str]) -> dict[str, int]:
        """How many pages of each book have one of these problems; books that have some."""
        rows = self._db.execute(
            """SELECT book_id, count(*) FROM page
               WHERE problem <> '' AND problem IN (SELECT value FROM json_each(?))
               GROUP BY book_id""",
            (json.dumps([*problems]),),
        )
        return dict(rows)

    def find_page(self, book_id: str, number: int) -> Page | None:
        """One page, None when its book is not (or no longer) in the library."""
        asked = (book_id, number)
        row = self._db.execute(f"{_PAGES} WHERE book_id = ? AND number = ?", asked).fetchone()
        return to_page(row) if row else None

    def find_pages(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], FoundPage]:
        """Those pages, by book id and number, that are in the library."""
        rows = self._db.execute(
            """SELECT book_id, revision, title, file,
                      number, label, chapter, headings, problem, text
               FROM json_each(?) AS key CROSS JOIN page CROSS JOIN book
               ON book_id = json_extract(key.value, '$[0]')
               AND number = json_extract(key.value, '$[1]') AND book.id = book_id""",
            (json.dumps(list(places)),),
        )
        return {(row[0], row[4]): to_found_page(row) for row in rows}

    def pages(self, book_id: str) -> list[Page]:
        """All pages of a book, in order."""
        rows = self._db.execute(f"{_PAGES} WHERE book_id = ? ORDER BY number", (book_id,))
        return [to_page(row) for row in rows]

    def pages_with(self, book_id: str, spellings: Sequence[str]) -> list[tuple[int, str]]:
        """The numbers and texts of a book's pages that have one of these strings."""
        return self._db.execute(
            """SELECT number, text FROM page WHERE book_id = ?
               AND EXISTS (SELECT 1 FROM json_each(?) WHERE instr(text, value)) ORDER BY number""",
            (book_id, json.dumps(list(spellings))),
        ).fetchall()

    def find_passage(self, book_id: str, ordinal: int) -> StoredPassage | None:
        """One passage, None when its book is not (or not yet, or no longer) in the library."""
        return next(iter(self.find_passages([(book_id, ordinal)])), None)

    def find_passages(self, keys: Iterable[tuple[str, int]]) -> list[StoredPassage]:
        """Those passages, by book id and ordinal, that are in the library; in no order."""
        rows = self._db.execute(
            """SELECT book_id, ordinal, digest, spans FROM json_each(?) AS key CROSS JOIN passage
               ON book_id = json_extract(key.value, '$[0]')
               AND ordinal = json_extract(key.value, '$[1]')""",
            (json.dumps(list(keys)),),
        )
        return to_passages(rows)

    def passages(self, book_id: str) -> list[StoredPassage]:
        """All passages of a book, in order."""
        rows = self._db.execute(
            """SELECT book_id, ordinal, digest, spans
               FROM passage WHERE book_id = ? ORDER BY ordinal""",
            (book_id,),
        )
        return to_passages(rows)

    def digests(self, book_id: str, page: int) -> list[str]:
        """What the passages that are on a page of a book are embedded under."""
        return [passage.digest for passage in self.passages(book_id) if passage.is_on(page)]

    # The keyword index in use

    def index_commit(self) -> str | None:
        """The name of the keyword index that belongs to the books of now."""
        return read_commit(self._db)

    def set_index_commit(self, commit: str | None) -> None:
        """Search this keyword index from now on; the one of before where there is no other."""
        _set_commit(self._db, commit)

    # Embedding

    def embedded_passages(self, space: str) -> int:
        """How many passages have a vector in `space`."""
        row = self._db.execute(
            """SELECT (SELECT count(*) FROM passage JOIN embedded USING (book_id) WHERE space = ?)
                    - (SELECT count(*) FROM refused WHERE space = ?)""",
            (space, space),
        ).fetchone()
        return int(row[0])

    def unembedded_books(self, space: str) -> list[str]:
        """The books with passages that are not embedded in `space`, by id."""
        rows = self._db.execute(
            """SELECT id FROM book WHERE EXISTS (SELECT 1 FROM passage WHERE book_id = id)
               AND id NOT IN (SELECT book_id FROM embedded WHERE space = ?) ORDER BY id""",
            (space,),
        )
        return [row[0] for row in rows]

    def is_embedded(self, book_id: str, space: str) -> bool:
        return bool(
            self._db.execute(
                "SELECT 1 FROM embedded WHERE book_id = ? AND space = ?", (book_id, space)
            ).fetchone()
        )

    def embedded_spaces(self) -> set[str]:
        """Every space in which some book is embedded."""
        return {row[0] for row in self._db.execute("SELECT DISTINCT space FROM embedded")}

    def set_embedded(self, book_id: str, space: str, refused: Mapping[int, str]) -> None:
        """Note that a book is embedded in `space`, but for the passages refused (and why)."""
        with transaction(self._db) as db:
            _set_embedded(db, book_id, space, refused)
            seal_rest(db, [book_id])
            count_change(db)

    def forget_embedded(self, space: str, book_ids: Sequence[str]) -> None:
        """Note that these books are not embedded in a space (any more): vectors of it are gone."""
        rows = [(book_id, space) for book_id in book_ids]
        with transaction(self._db) as db:
            db.executemany("DELETE FROM embedded WHERE book_id = ? AND space = ?", rows)
            db.executemany("DELETE FROM refused WHERE book_id = ? AND space = ?", rows)
            seal_rest(db, book_ids)
            count_change(db)

    def refused(self) -> dict[str, dict[str, dict[int, str]]]:
        """The passages that a space refused, and why: reasons by ordinal, by space, by book."""
        found: dict[str, dict[str, dict[int, str]]] = {}
        for book_id, space, ordinal, reason in self._db.execute(
            "SELECT book_id, space, ordinal, reason FROM refused ORDER BY space, ordinal"
        ):
            found.setdefault(book_id, {}).setdefault(space, {})[ordinal] = reason
        return found

    # Jobs

    def queue(self, paths: Iterable[Path], kind: str = "add", priority: int = 0) -> None:
        """Ask for something to be done with files, the higher the `priority` the sooner; what is
        asked for already is not asked for twice."""
        with transaction(self._db) as db:
            asked = {row[0] for row in db.execute("SELECT path FROM job WHERE kind = ?", (kind,))}
            wanted = dict.fromkeys(str(path) for path in paths)
            db.executemany(
                "INSERT INTO job (path, waiting, kind, priority) VALUES (?, '', ?, ?)",
                ((path, kind, priority) for path in wanted if path not in asked),
            )

    def jobs(self, kind: str = "add") -> list[Job]:
        """The jobs of this kind, in the order in which they are worked on: of the same priority,
        first come first."""
        rows = self._db.execute(
            """SELECT id, path, waiting, step, done, total, attempts, kind, priority FROM job
               WHERE kind = ? ORDER BY priority DESC, id""",
            (kind,),
        )
        return [Job(job, path, of_row(waiting), *rest) for job, path, waiting, *rest in rows]

    def note_progress(self, job: int, step: str, done: int, total: int) -> None:
        """Note how far a job is, for whoever looks."""
        self._db.execute(
            "UPDATE job SET step = ?, done = ?, total = ? WHERE id = ?", (step, done, total, job)
        )

    def count_attempt(self, job: int) -> None:
        """Note that the work on a job begins."""
        self._db.execute("UPDATE job SET attempts = attempts + 1 WHERE id = ?", (job,))

    def forget_attempts(self, jobs: Iterable[int]) -> None:
        """Note that the work on these jobs was left in order, as if it had not begun."""
        with transaction(self._db) as db:
            db.executemany(
                "UPDATE job SET attempts = attempts - 1 WHERE id = ?", ((job,) for job in jobs)
            )

    def set_waiting(self, reason: str, kind: str = "add") -> None:
        """Note why the jobs of this kind cannot go on just now; "" when they can."""
        self._db.execute("UPDATE job SET waiting = ? WHERE kind = ?", (as_row(reason), kind))

    def end_job(self, job: int) -> None:
        self._db.execute("DELETE FROM job WHERE id = ?", (job,))

    def end_all_jobs(self, kind: str = "") -> None:
        """End the jobs of this kind, or all."""
        self._db.execute("DELETE FROM job WHERE ? IN (kind, '')", (kind,))


def read_stamp(db: sqlite3.Connection) -> Stamp | None:
    """The stamp of an open catalog, as it is; None where it has none: it is empty, or of old.

    Raises sqlite3.DatabaseError when it is no database, or damaged.
    """
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"setting", "book"} <= tables:
        return None
    values = dict(db.execute("SELECT name, value FROM setting"))
    (books,) = db.execute("SELECT count(*) FROM book").fetchone()
    if not values.keys() >= {"library", "changes"} or not values["changes"].isdecimal():
        return None
    return Stamp(values["library"], int(values["changes"]), books)


def read_commit(db: sqlite3.Connection) -> str | None:
    """The name of the keyword index that an open catalog says is to be searched."""
    row = db.execute("SELECT value FROM setting WHERE name = 'generation'").fetchone()
    return row[0] if row and type(row[0]) is str else None


def note_revisions(db: sqlite3.Connection) -> None:
    """Say of each book that came without it which text it has: that of its seal."""
    rows = db.execute(
        "SELECT pages, book_id FROM seal JOIN book ON id = book_id WHERE revision = ''"
    ).fetchall()
    db.executemany(
        "UPDATE book SET revision = ? WHERE id = ?", ((text_revision(s), i) for s, i in rows)
    )


def count_change(db: sqlite3.Connection) -> None:
    """One more change of the books, in the transaction that makes it."""
    db.execute("UPDATE setting SET value = CAST(value AS INTEGER) + 1 WHERE name = 'changes'")


def _write_text(db: sqlite3.Connection, new: NewBook, commit: str | None) -> None:
    """Write all rows of a book's text, and what names them, in the caller's transaction."""
    book_id = new.book.id
    db.executemany(
        "INSERT INTO page VALUES (?, ?, ?, ?, ?, ?, ?)",
        (page_row(book_id, page) for page in new.pages),
    )
    db.executemany(
        "INSERT INTO passage VALUES (?, ?, ?, ?)",
        ((book_id, p.ordinal, p.digest, spans_json(p.spans)) for p in new.passages),
    )
    if new.space:
        _set_embedded(db, book_id, new.space, new.refused)
    db.execute("UPDATE book SET revision = ? WHERE id = ?", (new.text.revision, book_id))
    _set_commit(db, commit)
    seal_book(db, book_id)
    count_change(db)


def _set_commit(db: sqlite3.Connection, commit: str | None) -> None:
    if commit:
        db.execute("REPLACE INTO setting VALUES ('generation', ?)", (commit,))


def _set_embedded(
    db: sqlite3.Connection, book_id: str, space: str, refused: Mapping[int, str]
) -> None:
    db.execute("REPLACE INTO embedded VALUES (?, ?)", (book_id, space))
    set_refused(db, book_id, space, refused)


def set_refused(
    db: sqlite3.Connection, book_id: str, space: str, refused: Mapping[int, str]
) -> None:
    """Say which passages of a book `space` refused, and why, in the caller's transaction."""
    db.execute("DELETE FROM refused WHERE book_id = ? AND space = ?", (book_id, space))
    db.executemany(
        "INSERT INTO refused VALUES (?, ?, ?, ?)",
        ((book_id, space, ordinal, reason) for ordinal, reason in refused.items()),
    )


# Problems


def problems_of(db: sqlite3.Connection, book_id: str, space: str) -> tuple[str, ...]:
    """Those of a book of the catalog: pages, and passages whose embedding `space` refused."""
    refused: dict[str, list[int]] = {}
    for reason, spans in db.execute(
        """SELECT reason, spans FROM refused LEFT JOIN passage USING (book_id, ordinal)
           WHERE book_id = ? AND space = ? ORDER BY ordinal""",
        (book_id, space),
    ):
        refused.setdefault(reason, []).append(parse_spans(spans)[0].page if spans else 0)
    return (
        *problems_of_pages(page_problems(db, book_id)),
        *(
            fill(
                "{pages}: a passage is found by keyword only, its embedding was refused ({reason})",
                pages=_pages(numbers),
                reason=of_row(reason),
            )
            for reason, numbers in refused.items()
        ),
    )


def page_problems(db: sqlite3.Connection, book_id: str) -> list[tuple[int, str]]:
    """The pages of a book that have a problem, and which, in order."""
    rows = db.execute(
        "SELECT number, problem FROM page WHERE book_id = ? AND problem <> '' ORDER BY number",
        (book_id,),
    )
    return list(rows)


def problems_of_pages(problems: Iterable[tuple[int, str]]) -> list[Filled]:
    """A message for each problem, with the numbers of its pages."""
    pages: dict[str, list[int]] = {}
    for number, problem in problems:
        pages.setdefault(problem, []).append(number)
    return [
        fill("{pages}: {problem}", pages=_pages(numbers), problem=message_of(problem))
        for problem, numbers in pages.items()
    ]


def _pages(numbers: Sequence[int]) -> Filled:
    """'page 3', 'pages 1-4, 9'."""
    runs: list[list[int]] = []
    for number in dict.fromkeys(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    listed = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    if len(runs) == 1 and runs[0][0] == runs[0][1]:
        return fill("page {number}", number=listed)
    return fill("pages {numbers}", numbers=listed)
