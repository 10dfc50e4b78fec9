"""One logging set-up: what happened, as fields of the journal and as lines on a terminal.

They say how long and how much, and never what was asked or what a book says.

Into the journal goes no text that could be a book's, a query, a key or a password: of an exception
its type and where it was, and of another library's message only what its code has as a template.
"""

import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from bookbrain.errors import without_passwords
from bookbrain.model import Book, Outcome
from bookbrain.privileges import works_for_service

PREFIX = "BOOKBRAIN_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Goes with a record as `extra={"fields": Event(…)}`. What is None is left out.

    `event` is its kind: search, add, known, reject, rename, remove, embed, ocr, fault, or another.
    `book` is an id, `query_ms` milliseconds, `dollars` US dollars; `query` only where the owner
    wants it kept.
    """

    event: str
    book: str | None = None
    query_ms: float | None = None
    hits: int | None = None
    mode: str | None = None
    degraded: bool | None = None
    tokens: int | None = None
    dollars: float | None = None
    query: str | None = None

    def fields(self) -> dict[str, str]:
        """Names and values as journald takes them."""
        return {
            PREFIX + name.upper(): _text(value)
            for name, value in asdict(self).items()
            if value is not None
        }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


IDENTIFIER = "bookbrain"
Send = Callable[..., object]  # sd_journal_sendv(3): each argument is a field, NAME=value
# syslog(3), and sd-daemon(3): a line that starts with <N> is stored with priority N.
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.DEBUG, 7),
)
_OURS = "bookbrain"
_log = logging.getLogger(__name__)


def set_up_logging(verbose: bool = False) -> None:
    """Log warnings and worse, everything of ours when `verbose`.

    A service logs into the journal, with fields where systemd-python is there. On a terminal it is
    stderr, without the events: the command tells of these itself. Root's commands for a server's
    library write their events into the journal as well.
    """
    send = _sender()
    handlers: list[logging.Handler]
    if is_journal(os.environ):
        handlers = [JournalHandler(send) if send else _PrefixHandler(sys.stderr)]
        _log_what_nobody_catches()
    else:
        handlers = [_TerminalHandler(logging.DEBUG if verbose else logging.WARNING)]
        if send and works_for_service(os.environ):
            handlers.append(JournalHandler(send, only_events=True))
    logging.basicConfig(handlers=handlers, level=logging.WARNING, force=True)
    level = logging.DEBUG if verbose else logging.WARNING
    logging.getLogger(_OURS).setLevel(level if len(handlers) == 1 else min(level, logging.INFO))


def log_work() -> None:
    """From here on log what is done, too: for a command that nobody watches."""
    log = logging.getLogger(_OURS)
    log.setLevel(min(log.level, logging.INFO))
    for handler in logging.getLogger().handlers:
        handler.setLevel(min(handler.level, logging.INFO))


def is_journal(environ: Mapping[str, str]) -> bool:
    """Whether stderr is a stream of journald: systemd.exec(5), $JOURNAL_STREAM."""
    stream = environ.get("JOURNAL_STREAM")
    if not stream:
        return False
    try:
        seen = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # none, or a stand-in
        return False
    return stream == f"{seen.st_dev}:{seen.st_ino}"


class JournalHandler(logging.Handler):
    """Sends a record as one entry of the journal, its traceback included."""

    def __init__(self, send: Send, *, only_events: bool = False) -> None:
        super().__init__(logging.INFO if only_events else logging.NOTSET)
        self._send = send
        self._only_events = only_events

    def emit(self, record: logging.LogRecord) -> None:
        fields = fields_of(record)
        if self._only_events and not fields:
            return
        entry = {
            "MESSAGE": message_of(record),
            "PRIORITY": str(_priority(record)),
            "SYSLOG_IDENTIFIER": IDENTIFIER,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
            **fields,
        }
        lines = (f"{name}={value}" for name, value in entry.items())
        try:
            self._send(*(line.encode(errors="replace").decode() for line in lines))
        except (OSError, ValueError):  # journald is away; stderr may lead further
            print(_prefixed(record), file=sys.stderr)  # noqa: T201


class _PrefixHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """For the journal without systemd-python: every line carries the record's priority."""

    def format(self, record: logging.LogRecord) -> str:
        return _prefixed(record)


class _TerminalHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Leaves out the events while only warnings are wanted."""

    def __init__(self, level: int) -> None:
        super().__init__(sys.stderr)
        self.setLevel(level)
        self.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))

    def format(self, record: logging.LogRecord) -> str:
        return without_passwords(super().format(record))

    def filter(self, record: logging.LogRecord) -> bool:
        told = self.level > logging.INFO and fields_of(record)
        return not told and bool(super().filter(record))


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """The fields of the record's event; none where it has no event."""
    event = getattr(record, "fields", None)
    return event.fields() if isinstance(event, Event) else {}


def message_of(record: logging.LogRecord) -> str:
    """What may be kept of a record."""
    if record.name.split(".")[0] == _OURS:
        text = record.getMessage()
    elif record.args:
        text = str(record.msg)
    else:  # it may have been put together from anything
        text = f"{record.levelname} of {record.name}, line {record.lineno} of {record.pathname}"
    error = record.exc_info[1] if record.exc_info else None
    return without_passwords(f"{text}\n{trace_of(error)}" if error else text)


def trace_of(error: BaseException) -> str:
    """Where it was raised, and its causes, as types; their messages could quote a text."""
    pieces: list[str] = []
    chain: set[int] = set()
    link: BaseException | None = error
    while link and id(link) not in chain:
        chain.add(id(link))
        frames = "".join(traceback.format_tb(link.__traceback__))
        pieces.append(f"{frames}{type(link).__module__}.{type(link).__qualname__}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\nand then:\n".join(reversed(pieces))


def _prefixed(record: logging.LogRecord) -> str:
    text = f"{record.name}: {message_of(record)}"
    return "\n".join(f"<{_priority(record)}>{line}" for line in text.splitlines())


def _priority(record: logging.LogRecord) -> int:
    return next((p for level, p in _PRIORITIES if record.levelno >= level), 7)


def _sender() -> Send | None:
    try:
        from systemd.journal import sendv  # noqa: PLC0415  (only installed on servers)
    except ImportError:
        return None
    return sendv  # type: ignore[no-any-return]


def _log_what_nobody_catches() -> None:
    """Python would write it to stderr, a line an entry, with its message."""

    def log_error(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if not issubclass(kind, KeyboardInterrupt | SystemExit):
            _log.error("BookBrain failed", exc_info=(kind, error, trace))

    def log_error_of_thread(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value:
            log_error(failed.exc_type, failed.exc_value, failed.exc_traceback)

    sys.excepthook = log_error
    threading.excepthook = log_error_of_thread


def record_outcome(outcome: Outcome, name: str = "") -> None:
    """Log what became of a file; `name` where it is known by another one than its own.

    Neither its title nor its problems: these are its own words, or may quote some.
    """
    name = name or Path(outcome.path).name
    book = outcome.book
    if outcome.status == "failed":
        _record(
            logging.WARNING, Event(event="reject"),
            "rejected file=%r reason=%r hint=%r", name, outcome.reason, outcome.hint,
        )  # fmt: skip
    elif book and outcome.status == "added":
        _record(
            logging.INFO, Event(event="add", book=book.id),
            "added file=%r book=%s pages=%d passages=%d tokens=%d problems=%d",
            name, book.id, book.pages, book.passages, outcome.tokens, len(book.problems),
        )  # fmt: skip
    elif book and outcome.status == "mended":
        _record(logging.WARNING, Event(event="mend", book=book.id),
                "mended file=%r book=%s", name, book.id)  # fmt: skip
    elif book:
        _record(logging.INFO, Event(event="known", book=book.id),
                "known file=%r book=%s", name, book.id)  # fmt: skip


def record_renaming(book: Book) -> None:
    """Log that a book has another title."""
    _record(logging.INFO, Event(event="rename", book=book.id),
            "renamed file=%r book=%s", book.file, book.id)  # fmt: skip


def record_removal(book: Book) -> None:
    """Log that a book is gone."""
    _record(logging.INFO, Event(event="remove", book=book.id),
            "removed file=%r book=%s", book.file, book.id)  # fmt: skip


def _record(level: int, event: Event, text: str, *values: object) -> None:
    _log.log(level, text, *values, extra={"fields": event}, stacklevel=2)
