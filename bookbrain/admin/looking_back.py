"""The commands `logs` and `report`, and what the logs timer runs."""

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import click
from rich.console import Console

from bookbrain.admin import journal
from bookbrain.admin.archives import archive, archive_file, export, read_archive
from bookbrain.admin.entries import show_entry
from bookbrain.admin.journal import Entry, Reader, Wanted, open_journal
from bookbrain.admin.moments import Month, month_of, read_moment, read_month
from bookbrain.admin.report import Report, count, report_of
from bookbrain.admin.report_table import table_of
from bookbrain.cli.help import Command
from bookbrain.cli.show import fitting, say, shown
from bookbrain.config import load_settings
from bookbrain.events import Event
from bookbrain.logs import log_work
from bookbrain.server import Layout
from bookbrain.use import keep_use
from bookbrain.wording import fill

_LINES = 50
_DAYS = 31

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Records:
    """The journal of this machine and what is kept of it."""

    open: Callable[[], Reader] = open_journal
    layout: Layout = field(default_factory=Layout)


_pass_records = click.make_pass_decorator(Records, ensure=True)


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
@_pass_records
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


@click.command(cls=Command)
@click.option("--month", metavar="YYYY-MM", help="Of which month; of this one without it.")
@_pass_records
def report(records: Records, month: str | None) -> None:
    """Count a month of searches, latencies, books, spending and errors."""
    seen = _report(records, read_month(month) if month else month_of(datetime.now().astimezone()))
    for line in table_of(seen):
        click.echo(fitting(line))


@click.command("archive-logs", cls=Command, hidden=True)
@_pass_records
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


def _follow(reader: Reader, wanted: Wanted, last: Entry | None) -> None:
    with suppress(KeyboardInterrupt):
        for entry in journal.following(reader, wanted, last):
            show_entry(entry)


def _found(
    reader: Reader, wanted: Wanted, lines: int | None, *, everything: bool
) -> Iterable[Entry]:
    if everything and lines is None:
        return journal.entries(reader, wanted)
    return journal.newest(reader, wanted, lines or _LINES)


def _export(found: Iterable[Entry], file: Path) -> None:
    console = Console(stderr=True)
    with console.status(shown("Writing …")):
        count = export(found, file)
    say(fill("Entries written to {file}: {count:,}.", file=file, count=count))


def _report(records: Records, month: Month) -> Report:
    """From the archive of the month, where it is kept, else from the journal."""
    kept = archive_file(records.layout.logs, month)
    if os.path.lexists(kept):
        return report_of(read_archive(kept), month)
    wanted = Wanted(since=month.begin, until=month.end, activity=True)
    with closing(records.open()) as reader:
        return report_of(journal.entries(reader, wanted), month)
