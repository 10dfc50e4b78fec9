"""`bookbrain add`."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from bookbrain.cli.command import (
    Command,
    ending_in_order,
    fail,
    json_option,
    open_library,
    sources_of_root,
)
from bookbrain.cli.embed import say_exam
from bookbrain.cli.terminal import print_json, say, say_refused, shown, shown_progress
from bookbrain.errors import InputError
from bookbrain.library import add_sources, plan_sources, sample_book
from bookbrain.log import record_outcome
from bookbrain.messages import fill, message_of
from bookbrain.model import AddReport, Outcome, Plan, bill, edition_of, to_json
from bookbrain.settings import Settings

_OUTCOMES = {
    "added": "added      {file}: {title} ({pages} pages, {passages} passages)",
    "known": "known      {file}: {title} ({pages} pages, {passages} passages)",
    "mended": "mended     {file}: {title} ({pages} pages, {passages} passages)",
}


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--dry-run", is_flag=True, help="Only say what it would take, and cost.")
@click.option("--sample", is_flag=True, help="Add BookBrain's own handbook.")
@json_option
def add(paths: tuple[str, ...], dry_run: bool, sample: bool, as_json: bool) -> None:
    """Add PDFs, and all PDFs in folders; books that are there already are skipped.

    A book can be found as soon as it is whole. Interrupted, by anything, the same command goes on
    where it stopped; without a PATH it finishes what waits. Nothing is embedded twice.
    """
    with ending_in_order(), ExitStack() as block:
        book = [block.enter_context(sample_book())] if sample else []
        wanted: list[str | Path] = [*paths, *book]
        given = block.enter_context(sources_of_root(wanted))
        library = block.enter_context(open_library(tell=False))
        progress = block.enter_context(shown_progress(record_outcome))
        if dry_run:
            plan = partial(plan_sources, library, given) if given else partial(library.plan, wanted)
            plans, exam = plan(progress), library.exam_tokens()
        else:
            take = partial(add_sources, library, given) if given else partial(library.add, wanted)
            report = take(progress)
            recognition = library.recognition()
        settings = library.settings
    if dry_run:
        _show_plans(plans, exam, settings, as_json)
        _exit_as(sum(bool(one.reason) for one in plans), len(plans))
        return
    if not (wanted or report.outcomes or report.stopped):
        raise click.UsageError(shown("Name the files or folders to add."))
    show_report(report, settings, as_json)
    if recognition.note and not as_json:
        say(recognition.note)
    if report.stopped:
        fail(report.stopped)
    _exit_as(report.count("failed"), len(report.outcomes))


def _exit_as(failed: int, of: int) -> None:
    if failed:
        sys.exit(InputError.exit_code if failed == of else 1)


def show_report(report: AddReport, settings: Settings, as_json: bool) -> None:
    if as_json:
        print_json(to_json(report.outcomes))
        return
    for outcome in report.outcomes:
        _show_outcome(outcome)
    added, known = report.count("added"), report.count("known") + report.count("mended")
    failed = report.count("failed")
    counts = fill("{added} added, {known} already there.", added=added, known=known)
    if failed:
        counts = fill(
            "{added} added, {known} already there, {failed} not added.",
            added=added, known=known, failed=failed,
        )  # fmt: skip
    if settings.embedding.enabled:
        billed = bill(report.tokens, settings.embedding.dollars_per_million_tokens)
        say("{counts} Embedding: {bill}.", counts=counts, bill=billed)
        return
    say(counts)
    if added:
        say(
            "They are found by keyword. To search by meaning too, set OPENAI_API_KEY (or "
            "OPENAI_BASE_URL) and run: bookbrain embed. Without a key: bookbrain embed --local"
        )


def _show_outcome(outcome: Outcome) -> None:
    if outcome.status == "failed":
        say_refused(outcome.path, outcome.reason, outcome.hint)
    elif book := outcome.book:
        say(
            _OUTCOMES[outcome.status],
            file=book.file, title=book.title, pages=book.pages, passages=book.passages,
        )  # fmt: skip
        if outcome.status == "mended":
            say("           Its file in the library was damaged or gone: this one took its place.")
        if outcome.namesakes:
            say(
                "           ! another book of this file name is there; this one: {edition}",
                edition=edition_of(book), fg="yellow",
            )  # fmt: skip
        for problem in book.problems:
            say("           ! {problem}", problem=problem, fg="yellow")


def _show_plans(plans: Sequence[Plan], exam: int, settings: Settings, as_json: bool) -> None:
    price = settings.embedding.dollars_per_million_tokens
    if as_json:
        print_json(to_json(plans))
        return
    for plan in plans:
        _show_plan(plan, price)
    new = [plan for plan in plans if not plan.known and not plan.reason]
    total = Plan(
        "", pages=sum(p.pages for p in new), passages=sum(p.passages for p in new),
        tokens=sum(p.tokens for p in new), scans=sum(p.scans for p in new),
        scan_seconds=sum(p.scan_seconds for p in new),
        scan_trouble=next((p.scan_trouble for p in new if p.scan_trouble), ""),
    )  # fmt: skip
    say("In all {sizes}. Nothing was changed.", sizes=_sizes(total, price))
    if total.scan_note and sum(bool(plan.scans) for plan in new) > 1:
        say(total.scan_note)
    if new:
        say_exam(exam, settings.embedding)
    if new and not settings.embedding.enabled:
        say("No embedding endpoint is set: they would be found by keyword, at no cost.")


def _show_plan(plan: Plan, price: float | None) -> None:
    if plan.reason:
        say(
            "cannot be added  {file}: {reason}. {hint}",
            file=plan.file,
            reason=message_of(plan.reason),
            hint=message_of(plan.hint),
            fg="red",
            err=True,
        )
    elif plan.known:
        say("already there    {file}: {title}", file=plan.file, title=plan.title)
    else:
        say(
            "would be added   {file}: {title} ({sizes})",
            file=plan.file,
            title=plan.title,
            sizes=_sizes(plan, price),
        )
        for problem in filter(None, (plan.namesake, *plan.problems)):
            say("           ! {problem}", problem=problem, fg="yellow")
        if plan.scan_note:
            say("           {note}", note=plan.scan_note)


def _sizes(plan: Plan, price: float | None) -> str:
    return fill(
        "{pages} pages, {passages} passages, {tokens}",
        pages=plan.pages,
        passages=plan.passages,
        tokens=bill(plan.tokens, price, about=True),
    )
