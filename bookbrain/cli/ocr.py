"""`bookbrain ocr`: what a person runs, and the unit of a server, and `bookbrain serve`."""

import os
from collections.abc import Sequence

import click

from bookbrain.cli.command import Command, ending_in_order, fail, open_library
from bookbrain.cli.terminal import print_json, say, shown, shown_pages
from bookbrain.errors import BusyError, ConfigError, UnavailableError
from bookbrain.library import sample_id
from bookbrain.log import log_work
from bookbrain.model import RecognitionPlan, RecognitionReport, duration, to_json
from bookbrain.processes import die_with_parent

_MOST_PAGES = 1_000_000


class _Pages(click.ParamType[frozenset[int]]):
    """Numbers of pages: `7`, `3-9`, `1-15,40`."""

    name = "pages"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[int]:
        pages: set[int] = set()
        for part in value.split(","):
            first, _, last = part.partition("-")
            if not (first.isdecimal() and (last or first).isdecimal()):
                self.fail(shown("Name pages as in 3-9 or 1-15,40."), param, ctx)
            begin, end = int(first), int(last or first)
            if not 0 < begin <= end <= _MOST_PAGES:
                self.fail(shown("Name pages as in 3-9 or 1-15,40."), param, ctx)
            pages.update(range(begin, end + 1))
        return frozenset(pages)


@click.command(cls=Command)
@click.option("--redo", metavar="ID", help="Read this book's scans again.")
@click.option("--pages", type=_Pages(), metavar="PAGES",
              help="Only these pages, as in 3-9 or 1-15,40.")  # fmt: skip
@click.option("--sample", is_flag=True, help="Only the page of BookBrain's own handbook.")
@click.option("--dry-run", is_flag=True, help="Only say what would be read, why, and how long.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, or an array of plans.")
def ocr(
    redo: str | None, pages: frozenset[int] | None, sample: bool, dry_run: bool, as_json: bool
) -> None:
    """Read scanned pages from their pictures (OCR), so that they are found.

    Contents pages come first, then small books. Interrupted, by anything, the same command goes on
    at the page where it stopped. It leaves the processor to others: adding and searching go on.
    `bookbrain serve` and a server do the same by themselves.

    Nothing is embedded by it: `bookbrain embed` says what that costs, and asks.
    """
    book = sample_id() if sample else ""
    with ending_in_order(), open_library(tell=False) as library:
        if dry_run:
            plans = library.plan_recognition(redo=redo or "", pages=pages or (), book=book)
        else:
            with shown_pages() as bar:
                report = library.recognise(bar, redo=redo or "", pages=pages or (), book=book)
            embedding = library.settings.embedding.enabled and library.unembedded()
    if dry_run:
        _show_plans(plans, as_json)
        return
    _show_report(report, as_json)
    if embedding and report.books and not as_json:
        say("Books that are not embedded as they are now: {books}. Run: bookbrain embed",
            books=embedding)  # fmt: skip
    if report.stopped:
        fail(report.stopped)


def _show_plans(plans: Sequence[RecognitionPlan], as_json: bool) -> None:
    if as_json:
        print_json(to_json(plans))
        return
    for plan in plans:
        say(
            "would be read  {file}: {pages} pages, about {time}",
            file=plan.file, pages=plan.pages, time=duration(plan.seconds),
        )  # fmt: skip
        for reason in plan.reasons:
            say("           ! {problem}", problem=reason, fg="yellow")
    pages, seconds = sum(plan.pages for plan in plans), sum(plan.seconds for plan in plans)
    if not plans:
        say("No page has to be read from its picture.")
        return
    say(
        "In all {pages} pages, about {time}. Nothing was changed.",
        pages=pages, time=duration(seconds),
    )  # fmt: skip


def _show_report(report: RecognitionReport, as_json: bool) -> None:
    if as_json:
        print_json(to_json({"pages": report.pages, "unread": report.unread, "books": report.books}))
    elif not report.pages:
        say("No page has to be read from its picture.")
    else:
        say("Pages read: {pages}. Books that have more text now: {books}.",
            pages=report.pages, books=report.books)  # fmt: skip
        if report.unread:
            say("Not read: {pages}. `bookbrain books` says why.", pages=report.unread)


@click.command("read-scans", cls=Command, hidden=True)
def read_scans() -> None:
    """Do what `bookbrain ocr` does, for the unit of a server and for `bookbrain serve`.

    Nobody waits for it: an engine that is switched off, or not here, is no failure.
    """
    if "INVOCATION_ID" not in os.environ:  # no unit of systemd's
        die_with_parent()
    log_work()
    with ending_in_order(), open_library(tell=False) as library:
        if not library.plan_recognition():
            return
        try:
            report = library.recognise(patient=True)
        except (ConfigError, UnavailableError, BusyError):
            return
    if report.stopped:
        fail(report.stopped)
