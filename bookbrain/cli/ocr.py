"""`bookbrain ocr`: what a person runs, and the unit of a server, and `bookbrain serve`."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

import click

from bookbrain.cli.command import Command, ending_in_order, fail, open_library
from bookbrain.cli.terminal import print_json, say, shown, shown_pages
from bookbrain.errors import (
    BusyError,
    ConfigError,
    UnavailableError,
    without_passwords,
    without_query,
)
from bookbrain.library import Library, sample_id
from bookbrain.log import log_work
from bookbrain.model import RecognitionPlan, RecognitionReport, bill_of, duration, to_json
from bookbrain.processes import die_with_parent
from bookbrain.settings import Settings
from bookbrain.store.catalog import problems_of_pages

_log = logging.getLogger(__name__)
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
@click.option("--yes", is_flag=True, help="Do not ask before spending.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Only say what would be read, why, how long it takes and what it costs.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, or an array of plans.")
def ocr(
    redo: str | None, pages: frozenset[int] | None, sample: bool, yes: bool, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Read scanned pages from their pictures (OCR), so that they are found.

    Contents pages come first, then small books. Interrupted, by anything, the same command goes on
    at the page where it stopped. It leaves the processor to others: adding and searching go on.
    `bookbrain serve` and a server do the same by themselves.

    With `BOOKBRAIN_OCR=vision` a model reads them as well, also those that tesseract has read: the
    cost is shown first. BOOKBRAIN_OCR_MODEL is asked where OPENAI_BASE_URL says, with
    OPENAI_API_KEY. Its words count where tesseract saw much the same; a page that it fails on stays
    as tesseract read it.

    Nothing is embedded by it: `bookbrain embed` says what that costs, and asks.
    """
    asked = _Asked(
        redo or "", pages or frozenset(), sample_id() if sample else "", yes, dry_run, as_json
    )
    with ending_in_order(), open_library(tell=False) as library:
        report = _recognise(library, asked)
        embedding = library.settings.embedding.enabled and library.unembedded()
    if report is None:
        return
    if embedding and report.books and not as_json:
        say("Books that are not embedded as they are now: {books}. Run: bookbrain embed",
            books=embedding)  # fmt: skip
    if report.stopped:
        fail(report.stopped)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for: which pages, and in which manner."""

    redo: str
    pages: frozenset[int]
    book: str
    yes: bool
    dry_run: bool
    as_json: bool


def _recognise(library: Library, asked: _Asked) -> RecognitionReport | None:
    """Do it, and say what came of it; None where it was only to be said."""
    redo, pages, book = asked.redo, asked.pages, asked.book
    with library.vision(wanted=not book) as engine:
        plans = library.plan_recognition(redo=redo, pages=pages, book=book, engine=engine)
        most = sum(plan.pages for plan in plans)
        if asked.dry_run:
            _show_plans(plans, asked.as_json)
        if engine and most:
            _show_cost(library.settings, most, asked.as_json)
        if asked.dry_run:
            return None
        if engine and most and not asked.yes:
            click.confirm(shown("Read them?"), abort=True, err=asked.as_json)
        with shown_pages() as bar:
            if engine:
                report = library.recognise_by(engine, most, bar, redo=redo, pages=pages)
            else:
                report = library.recognise(bar, redo=redo, pages=pages, book=book)
    _show_report(report, asked.as_json)
    if engine and most:
        _show_purchase(report, library.settings.vision.model, asked.as_json)
    return report


def _show_cost(settings: Settings, pages: int, as_json: bool) -> None:
    """Say what is to be agreed to; on stderr, where stdout is for a program."""
    model, where = settings.vision.model, without_query(settings.embedding.base_url or "OpenAI")
    tokens, dollars = settings.vision.estimate(pages)
    say("To read with {model}: pages {pages}, {tokens}.", model=model, pages=pages,
        tokens=bill_of(tokens, dollars, about=True), err=as_json)  # fmt: skip
    if dollars is None:
        say("What a token of {model} costs is not known here.", model=model, err=as_json)
    say("Pictures of these pages are sent to {where}.", where=without_passwords(where), err=as_json)


def _show_purchase(report: RecognitionReport, model: str, as_json: bool) -> None:
    """Say what came of what was bought; on stderr, where stdout is for a program."""
    said = bill_of(report.tokens, report.dollars)
    say("Asked {model}: {tokens}.", model=model, tokens=said, err=as_json)
    if not report.substituted:
        return
    say("The model failed on {pages} pages; they are as tesseract read them.",
        pages=len(report.substituted), fg="yellow", err=as_json)  # fmt: skip
    for file in dict.fromkeys(file for file, _, _ in report.substituted):
        pages = sorted((page, why) for other, page, why in report.substituted if other == file)
        for problem in problems_of_pages(pages):
            say("  ! {file}, {problem}", file=file, problem=problem, fg="yellow", err=as_json)


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
    in_unit = "INVOCATION_ID" in os.environ
    if not in_unit:
        die_with_parent()
    log_work()
    with ending_in_order(), open_library(tell=False) as library:
        if not library.plan_recognition():
            return
        try:
            report = library.recognise(patient=True)
        except (ConfigError, UnavailableError, BusyError):
            return
    if in_unit:
        _log.info("read pages=%d unread=%d", report.pages, report.unread)
    if report.stopped:
        fail(report.stopped)
