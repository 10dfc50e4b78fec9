"""Opening the library's SQLite files: WAL, numbered migrations, one clear error."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from bookbrain.errors import BookBrainError, ConfigError

Migration = Callable[[sqlite3.Connection], None]

_BUSY_SECONDS = 60.0
_STEP = 256  # pages that are copied at a time
_PAUSE = 0.002  # seconds after each step, which leave the disk to searches
_DAMAGED = (
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_ERROR,  # of our own statements, which a sound file understands
)  # fmt: skip
DAMAGE = (sqlite3.Error, UnicodeDecodeError)  # the latter where SQLite quotes what is damaged
_UNTRUSTED = ("trusted_schema=OFF", "cell_size_check=ON", "query_only=ON", "mmap_size=0")
_MOST_BYTES_OF_A_ROW = 1 << 26  # no page that was read has so much text
RESTORE_OR_RECOVER = (
    "Restore it from a backup: `bookbrain-admin restore FILE`; or make the catalog again from the "
    "files of the books: `bookbrain recover`. On a server both with sudo."
)


def open_database(
    path: Path,
    migrations: Sequence[Migration],
    check: Callable[[sqlite3.Connection], None] = lambda connection: None,
) -> sqlite3.Connection:
    """Open or make the database at `path` and bring its schema up to date.

    `check` sees what is there before anything is written, and refuses by raising. Raises
    ConfigError when a newer BookBrain made it, BookBrainError when it is damaged, sqlite3.Error
    when it is only not to be had now (a full disk, a lock).
    """
    connection = sqlite3.connect(
        path.absolute().as_uri(),  # then other databases can be attached by theirs
        uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False,
    )  # fmt: skip
    with ExitStack() as failed:
        failed.callback(connection.close)
        try:
            check(connection)
            path.chmod(0o600)  # before SQLite makes files beside it: they get its mode
            _use_wal(connection)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            _migrate(connection, path, migrations)
        except DAMAGE as error:
            if not is_damage(error):
                raise
            raise BookBrainError(f"{path} is damaged: {error}.", RESTORE_OR_RECOVER) from error
        failed.pop_all()
    return connection


def open_untrusted(path: Path) -> sqlite3.Connection:
    """Open a database that anybody may have made, to read it: nothing in it is run.

    A text that is not UTF-8 comes as bytes. Raises sqlite3.Error.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",  # who reads in WAL mode needs a file beside it
        uri=True, timeout=_BUSY_SECONDS, isolation_level=None,
    )  # fmt: skip
    with ExitStack() as failed:
        failed.callback(connection.close)
        connection.text_factory = _text_or_bytes
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES_OF_A_ROW)
        for setting in _UNTRUSTED:
            connection.execute(f"PRAGMA {setting}")
        failed.pop_all()
    return connection


def is_damage(error: Exception) -> bool:
    """Whether the file is to blame for one of `DAMAGE`, and not the disk's room or a lock."""
    return (
        isinstance(error, UnicodeDecodeError)
        or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
    )  # the primary code


@contextmanager
def locked_database(path: Path, seconds: float) -> Iterator[bool]:
    """No other writer of the database at `path` while this lasts; whether all that was written is
    in the file itself. A damaged one cannot be locked, nor be written to."""
    with closing(sqlite3.connect(path, timeout=seconds, isolation_level=None)) as db:
        settled = True
        try:
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            db.execute("BEGIN IMMEDIATE")
            wal = Path(f"{path}-wal")
            settled = not busy and not (wal.exists() and wal.stat().st_size)
        except DAMAGE as error:
            if not is_damage(error):
                settled = False
        yield settled


@contextmanager
def reading_database(path: Path) -> Iterator[sqlite3.Connection]:
    """The database at `path` as it is, of whatever kind: nothing is made or brought up to date."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of the block's writes or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:  # the block, or its end, failed
            connection.execute("ROLLBACK")


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations a database has had; 0 for an empty one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


Schema = list[tuple[str, str, str, str | None]]


def schema_of(connection: sqlite3.Connection) -> Schema:
    """Everything that a database has: type, name, its table and its definition."""
    return list(
        connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2")
    )


def fresh_schema(migrations: Sequence[Migration]) -> Schema:
    """The schema of an empty database after all migrations."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for migrate in migrations:
            migrate(connection)
        return schema_of(connection)
    finally:
        connection.close()


def copy_database(
    source: Path, target: Path, on_pages: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Write what the database at `source` holds at this moment to a new file, `target`.

    Readers and writers of `source` go on meanwhile; `on_pages` hears how many pages are copied.
    """

    def progress(status: int, remaining: int, total: int) -> None:
        on_pages(total - remaining, total)
        time.sleep(_PAUSE)

    original = sqlite3.connect(source, timeout=_BUSY_SECONDS, isolation_level=None)
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous=OFF")  # whoever needs it to last syncs the file
        original.execute("BEGIN")  # of one state: without it a writer makes the copy begin again
        original.execute("SELECT count(*) FROM sqlite_master").fetchone()
        original.backup(copy, pages=_STEP, progress=progress)
        original.execute("ROLLBACK")
    finally:
        copy.close()
        original.close()


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. When two processes do so at once SQLite refuses one without waiting."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    version = schema_version(connection)
    if version > len(migrations):
        raise ConfigError(f"{path} was made by a newer BookBrain.", "Upgrade BookBrain.")
    if version == len(migrations):
        return
    with transaction(connection):
        version = schema_version(connection)
        for number, migrate in enumerate(migrations[version:], start=version + 1):
            migrate(connection)
            connection.execute(f"PRAGMA user_version={number}")
