"""Opening the library's SQLite files: WAL, numbered migrations, one clear error."""

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path

from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.files import has_room, is_disk_full, remove
from bookbrain.messages import fill

Migration = Callable[[sqlite3.Connection], None]
_BUSY_SECONDS = 60.0
_STEP = 256  # pages that are copied at a time
_PAUSE = 0.002  # seconds after each step, which leave the disk to searches
_ROOM = 1 << 20  # bytes; with less SQLite's files could not be made, or be cut off in use
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)  # the latter: no room for a -shm file
_DAMAGED = (
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_ERROR,  # of our own statements, which a sound file understands
)  # fmt: skip
DAMAGE = (sqlite3.Error, UnicodeDecodeError)  # the latter where SQLite quotes what is damaged
_UNTRUSTED = ("trusted_schema=OFF", "cell_size_check=ON", "query_only=ON", "mmap_size=0")
_MOST_BYTES_OF_A_ROW = 1 << 26  # no page that was read has so much text
MEND = (
    "Mend it: `bookbrain-admin check --repair`; or bring all back from a backup: `bookbrain-admin "
    "restore FILE`; or make the catalog again from the files of the books: `bookbrain recover`. "
    "On a server each with sudo."
)


class Database(sqlite3.Connection):
    """An open database. One that is not `writable` was opened where nothing can be written."""

    writable = True


def open_database(
    path: Path,
    migrations: Sequence[Migration],
    check: Callable[[sqlite3.Connection], None] = lambda connection: None,
    *,
    or_read: bool = False,
) -> Database:
    """Open or make the database at `path` and bring its schema up to date.

    `check` sees what is there before anything is written, and refuses by raising. Raises
    ConfigError when a newer BookBrain made it, BookBrainError when it is damaged, OSError or
    sqlite3.Error when it is only not to be had now (a full disk, a lock). With `or_read` one that
    cannot be written is opened as it is, to be read.
    """
    if or_read and path.exists() and not has_room(path.parent, _ROOM):
        with suppress(OSError, sqlite3.Error):
            return _open_to_read(path, migrations, check)
    try:
        return _open_to_write(path, migrations, check)
    except (OSError, sqlite3.Error) as refused:
        if not or_read or not path.exists():
            raise
        try:
            return _open_to_read(path, migrations, check)
        except (OSError, sqlite3.Error):
            raise refused from None


def _open_to_write(
    path: Path, migrations: Sequence[Migration], check: Callable[[sqlite3.Connection], None]
) -> Database:
    connection = sqlite3.connect(
        path.absolute().as_uri(),  # then other databases can be attached by theirs
        uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False,
        factory=Database,
    )  # fmt: skip
    with ExitStack() as failed:
        failed.callback(connection.close)
        try:
            check(connection)
            path.chmod(0o600)  # before SQLite makes files beside it: they get its mode
            _use_wal(connection)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            # Else, as in Debian, a removal writes zeros over all of a book, into the WAL first.
            connection.execute("PRAGMA secure_delete=FAST")
            _migrate(connection, path, migrations)
        except DAMAGE as error:
            if not is_damage(error):
                raise
            raise BookBrainError(
                fill("{path} is damaged: {error}.", path=path, error=error), MEND
            ) from error
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


def _open_to_read(
    path: Path, migrations: Sequence[Migration], check: Callable[[sqlite3.Connection], None]
) -> Database:
    """Raises sqlite3.Error where it cannot be read, or is not of this release's schema."""
    with ExitStack() as failed:
        connection = failed.enter_context(closing(_connect_to_read(path)))
        check(connection)
        if schema_version(connection) != len(migrations):
            raise sqlite3.OperationalError("it must be brought up to date first")
        failed.pop_all()
    return connection


def is_damage(error: Exception) -> bool:
    """Whether the file is to blame for one of `DAMAGE`, and not the disk's room or a lock."""
    if isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode"):
        return True  # Python's own: a text that is not UTF-8
    return (
        isinstance(error, UnicodeDecodeError)
        or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
    )  # the primary code


@contextmanager
def suppress_damage() -> Iterator[None]:
    """Go on where the file is to blame, and not the disk's room or a lock."""
    try:
        yield
    except DAMAGE as error:
        if not is_damage(error):
            raise


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


def remove_database(path: Path) -> None:
    """Remove a database, with what is beside it; none there is fine."""
    for end in ("-wal", "-shm", "-journal", ""):
        remove(Path(f"{path}{end}"))


def reading_database(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    """The database at `path` as it is, of whatever kind: nothing is made or brought up to date."""
    return closing(_connect_to_read(path))


def open_existing(path: Path) -> sqlite3.Connection:
    """Open a database as it is, of whatever version; sqlite3.Error where there is none."""
    _refuse_pipe(path)
    address = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _connect_to_read(path: Path) -> Database:
    """Reads also where nothing can be written: sqlite3.Error when it cannot tell what is in it.

    A WAL is read without shared memory when that cannot be made (`readonly_shm`: then the index of
    the WAL is in our own memory, and writers do not check it in meanwhile). That needs both files
    to be there. Where there is no WAL, nobody has the database open, and none can be made: then it
    is read as a file that stays as it is (`immutable`).
    """
    _refuse_pipe(path)
    wal, shm = Path(f"{path}-wal"), Path(f"{path}-shm")
    usual = ["mode=ro"] if has_room(path.parent, _ROOM) else []
    for query in (*usual, "mode=ro&readonly_shm=1", "mode=ro&immutable=1"):
        if "readonly_shm" in query and wal.exists():
            with suppress(OSError):
                os.mknod(shm, 0o600 | stat.S_IFREG)
        if "immutable" in query and (_size(wal) or not os.access(path, os.R_OK)):
            break
        if "immutable" in query and shm.exists() and not os.access(shm, os.R_OK):
            break
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{query}",
            uri=True, timeout=1.0, isolation_level=None, check_same_thread=False, factory=Database,
        )  # fmt: skip
        connection.writable = False
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            connection.close()
            refused = error
        else:
            return connection
    raise refused


def _refuse_pipe(path: Path) -> None:
    """SQLite would wait until somebody writes to one."""
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise sqlite3.OperationalError(f"{path} is no file")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def lacks_room(error: BaseException) -> bool:
    """Whether an error of the disk or of SQLite says that there is no room."""
    return is_disk_full(error) or getattr(error, "sqlite_errorcode", None) in _FULL


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


def refuse_newer(
    path: Path, connection: sqlite3.Connection, migrations: Sequence[Migration]
) -> None:
    """Raise ConfigError where a newer BookBrain made the database.

    Every migration changes the schema: with the schema of today and a higher number the number is
    damaged, and with few of our tables it is another kind of database.
    """
    if schema_version(connection) <= len(migrations):
        return
    ours, found = fresh_schema(migrations), schema_of(connection)
    tables = {name for kind, name, *_ in ours if kind == "table"}
    if found != ours and 2 * len(tables & {name for _, name, *_ in found}) > len(tables):
        raise ConfigError(
            fill("{path} was made by a newer BookBrain.", path=path), "Upgrade BookBrain."
        )


def columns_of(connection: sqlite3.Connection, table: str, database: str = "main") -> list[str]:
    """The columns that a table has, in order; none where there is no such table."""
    return [row[1] for row in connection.execute(f"PRAGMA {database}.table_info({table})")]


Schema = list[tuple[str, str, str, str | None]]


def schema_of(connection: sqlite3.Connection) -> Schema:
    """Everything that a database has: type, name, its table and its definition."""
    return list(
        connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2")
    )


def fresh_schema(migrations: Sequence[Migration]) -> Schema:
    """The schema of an empty database after all migrations."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for migrate in migrations:
            migrate(connection)
        return schema_of(connection)


def copy_database(
    source: Path, target: Path, on_pages: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Write what the database at `source` holds at this moment to a new file, `target`.

    Readers and writers of `source` go on meanwhile; `on_pages` hears how many pages are copied.
    """

    def progress(status: int, remaining: int, total: int) -> None:
        on_pages(total - remaining, total)
        time.sleep(_PAUSE)

    with (
        closing(sqlite3.connect(source, timeout=_BUSY_SECONDS, isolation_level=None)) as original,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        copy.execute("PRAGMA synchronous=OFF")  # whoever needs it to last syncs the file
        original.execute("BEGIN")  # of one state: without it a writer makes the copy begin again
        original.execute("SELECT count(*) FROM sqlite_master").fetchone()
        original.backup(copy, pages=_STEP, progress=progress)
        original.execute("ROLLBACK")


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
    refuse_newer(path, connection, migrations)
    if version > len(migrations):
        raise sqlite3.DatabaseError(f"there is no version {version} of it")
    if version == len(migrations):
        return
    with transaction(connection):
        version = schema_version(connection)
        for number, migrate in enumerate(migrations[version:], start=version + 1):
            migrate(connection)
            connection.execute(f"PRAGMA user_version={number}")
