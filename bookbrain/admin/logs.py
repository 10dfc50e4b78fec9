"""`bookbrain-admin logs`, and what the logs timer runs."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

import click
from rich.console import Console

from bookbrain.admin.options import Records, pass_records
from bookbrain.admin.report import count
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import fitting, say, shown
from bookbrain.log import Event, log_work
from bookbrain.model import printable
from bookbrain.reports import keep_use
from bookbrain.server import journal
from bookbrain.server.journal import (
    ERROR,
    Entry,
    JournalReader,
    Wanted,
    archive,
    export,
    priority_of,
    read_moment,
    seconds_of,
    text_of,
)
from bookbrain.settings import load_settings

_MOST_LINES = 200
_MOST = 4_000  # characters of a line


def show_entry(entry: Entry) -> None:
    """Print it, coloured by its priority on a terminal; further lines are indented."""
    priority = priority_of(entry)
    color = "red" if priority <= ERROR else "yellow" if priority <= ERROR + 1 else None
    for line in lines_of(entry):
        click.secho(fitting(line), fg=color, dim=priority > ERROR + 3)


def lines_of(entry: Entry) -> Iterator[str]:
    """Time, sender and message, without what could steer a terminal."""
    moment = datetime.fromtimestamp(seconds_of(entry)).astimezone()
    first, *more = text_of(entry, "MESSAGE").expandtabs(4).split("\n")
    yield f"{moment:%Y-%m-%d %H:%M:%S}  {_cut(_sender(entry))}: {_cut(first)}"
    yield from (f"    {_cut(line)}" for line in more[:_MOST_LINES])
    if len(more) > _MOST_LINES:
        yield "    …"


def _sender(entry: Entry) -> str:
    unit = text_of(entry, "UNIT") or text_of(entry, "_SYSTEMD_UNIT")
    if unit.startswith("bookbrain") or not text_of(entry, "SYSLOG_IDENTIFIER"):
        return unit.removesuffix(".service")
    return text_of(entry, "SYSLOG_IDENTIFIER")


def _cut(line: str) -> str:
    return printable(line if len(line) <= _MOST else f"{line[:_MOST]}…")


_LINES = 50
_DAYS = 31
_log = logging.getLogger(__name__)


@click.command(cls=Command)
@click.option("--errors", is_flag=True, help="Only errors and worse.")
@click.option("--since", metavar="WHEN", help="From then on: 2h, 30 min, yesterday, 2026-03-01.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--unit", metavar="NAME", help="Only of this unit: chroma, caddy.")
@click.option("--book", metavar="ID", help="Only of this book: an id or its start.")
@click.option("--export", "file", type=click.Path(path_type=Path), metavar="FILE",
              help="Write it all to FILE, as JSON lines; packed if FILE ends in .gz.")  # fmt: skip
@click.option("--lines", type=click.IntRange(1), metavar="N",
              help="The newest N; 50, or all with --since or --export.")  # fmt: skip
@pass_records
def logs(  # noqa: PLR0913, PLR0917  (its options)
    records: Records, errors: bool, since: str | None, follow: bool, unit: str | None,
    book: str | None, file: Path | None, lines: int | None,
) -> None:  # fmt: skip
    """Show what BookBrain's services, and root's commands, have logged.

    Neither queries nor texts of books are in it; BOOKBRAIN_LOG_QUERIES=1 adds the queries.
    """
    if file and follow:
        raise click.UsageError(shown("Choose one of --export and --follow."))
    begin = read_moment(since, datetime.now().astimezone()) if since else None
    wanted = Wanted(since=begin, errors=errors, unit=unit or "", book=(book or "").lower())
    with closing(records.open()) as reader:
        found = _found(reader, wanted, lines, everything=bool(since or file))
        if file:
            _export(found, file)
            return
        last = None
        for entry in found:
            show_entry(entry)
            last = entry
        if follow:
            _follow(reader, wanted, last)
    if last is None and not follow:
        say("There are no such entries.", err=True)


@click.command("archive-logs", cls=Command, hidden=True)
@pass_records
def archive_logs(records: Records) -> None:
    """Keep the months that are over, and count the last days; for the logs timer."""
    log_work()
    settings = load_settings()
    now = datetime.now().astimezone()
    for path in archive(records.open, records.layout.logs, settings.log_budget_mb, now):
        size = path.stat().st_size
        _log.info("archived file=%s bytes=%d", path, size, extra={"fields": Event(event="logs")})
    _keep_use(records, now)


def _keep_use(records: Records, now: datetime) -> None:
    """Of the last days, for the system page: the app may not read the journal."""
    days = [now.date() - timedelta(days=ago) for ago in reversed(range(_DAYS))]
    since = datetime.combine(days[0], datetime.min.time()).astimezone()
    with closing(records.open()) as reader:
        found = journal.entries(reader, Wanted(since=since, activity=True))
        keep_use(records.layout.logs, count(found, days)[0])


def _follow(reader: JournalReader, wanted: Wanted, last: Entry | None) -> None:
    with suppress(KeyboardInterrupt):
        for entry in journal.following(reader, wanted, last):
            show_entry(entry)


def _found(
    reader: JournalReader, wanted: Wanted, lines: int | None, *, everything: bool
) -> Iterable[Entry]:
    if everything and lines is None:
        return journal.entries(reader, wanted)
    return journal.newest(reader, wanted, lines or _LINES)


def _export(found: Iterable[Entry], file: Path) -> None:
    console = Console(stderr=True)
    with console.status(shown("Writing …")):
        count = export(found, file)
    say("Entries written to {file}: {count:,}.", file=file, count=count)
