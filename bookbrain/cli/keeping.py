"""`bookbrain add`, `books`, `remove`, `embed` and `rebuild`."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from bookbrain.cli.ending import ending_in_order
from bookbrain.cli.errors import fail
from bookbrain.cli.help import Command
from bookbrain.cli.opening import open_library, sources_of_root
from bookbrain.cli.progress import shown_progress
from bookbrain.cli.show import print_books, print_json, say, shown, typed
from bookbrain.config import Settings
from bookbrain.errors import InputError
from bookbrain.library import AddReport, Outcome, Plan, sample_book
from bookbrain.library.arrivals import INBOX, REJECTED, arrivals, rejections
from bookbrain.library.recording import record_outcome
from bookbrain.library.reports import dollars
from bookbrain.library.staging import add_sources, plan_sources
from bookbrain.model import to_json
from bookbrain.wording import fill, message_of

_MOST_NAMED = 5  # files of the inbox
_OUTCOMES = {
    "added": "added      {file}: {title} ({pages} pages, {passages} passages)",
    "known": "known      {file}: {title} ({pages} pages, {passages} passages)",
    "mended": "mended     {file}: {title} ({pages} pages, {passages} passages)",
}

_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON array.")


@click.command(cls=Command)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--dry-run", is_flag=True, help="Only say what it would take, and cost.")
@click.option("--sample", is_flag=True, help="Add BookBrain's own handbook.")
@_json_option
def add(paths: tuple[str, ...], dry_run: bool, sample: bool, as_json: bool) -> None:
    """Add PDFs, and all PDFs in folders; books that are there already are skipped.

    A book can be found as soon as it is whole. Interrupted, by anything, the same command goes on
    where it stopped; without a PATH it finishes what waits. Nothing is embedded twice.
    """
    with ending_in_order(), ExitStack() as block:
        book = [block.enter_context(sample_book())] if sample else []
        wanted: list[str | Path] = [*paths, *book]
        sources = block.enter_context(sources_of_root(wanted))
        library = block.enter_context(open_library(tell=False))
        progress = block.enter_context(shown_progress(record_outcome))
        if dry_run:
            plans = (
                plan_sources(library, sources, progress)
                if sources
                else library.plan(wanted, progress)
            )
        else:
            report = (
                add_sources(library, sources, progress)
                if sources
                else library.add(wanted, progress)
            )
        settings = library.settings
    if dry_run:
        _show_plans(plans, settings, as_json)
        _exit_as(sum(bool(plan.reason) for plan in plans), len(plans))
        return
    if not (wanted or report.outcomes or report.stopped):
        raise click.UsageError(shown("Name the files or folders to add."))
    show_report(report, settings, as_json)
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
    counts = (
        fill(
            "{added} added, {known} already there, {failed} not added.",
            added=added,
            known=known,
            failed=failed,
        )
        if failed
        else fill("{added} added, {known} already there.", added=added, known=known)
    )
    if settings.embedding.enabled:
        bill = _bill(report.tokens, settings.embedding.dollars_per_million_tokens)
        say(fill("{counts} Embedding: {bill}.", counts=counts, bill=bill))
        return
    say(counts)
    if added:
        say(
            "They are found by keyword. To search by meaning too, set OPENAI_API_KEY (or "
            "OPENAI_BASE_URL) and run: bookbrain embed"
        )


def _show_outcome(outcome: Outcome) -> None:
    if outcome.status == "failed":
        say(
            fill(
                "not added  {path}: {reason}. {hint}",
                path=outcome.path,
                reason=message_of(outcome.reason),
                hint=message_of(outcome.hint),
            ),
            fg="red",
            err=True,
        )
        return
    if book := outcome.book:
        say(
            fill(
                _OUTCOMES[outcome.status],
                file=book.file,
                title=book.title,
                pages=book.pages,
                passages=book.passages,
            )
        )
        if outcome.status == "mended":
            say("           Its file in the library was damaged or gone: this one took its place.")
        for problem in book.problems:
            say(fill("           ! {problem}", problem=problem), fg="yellow")


def _show_plans(plans: Sequence[Plan], settings: Settings, as_json: bool) -> None:
    price = settings.embedding.dollars_per_million_tokens
    if as_json:
        print_json(to_json(plans))
        return
    for plan in plans:
        if plan.reason:
            say(
                fill(
                    "cannot be added  {file}: {reason}. {hint}",
                    file=plan.file,
                    reason=message_of(plan.reason),
                    hint=message_of(plan.hint),
                ),
                fg="red",
                err=True,
            )
        elif plan.known:
            say(fill("already there    {file}: {title}", file=plan.file, title=plan.title))
        else:
            say(
                fill(
                    "would be added   {file}: {title} ({sizes})",
                    file=plan.file,
                    title=plan.title,
                    sizes=_sizes(plan, price),
                )
            )
    new = [plan for plan in plans if not plan.known and not plan.reason]
    total = Plan(
        "", pages=sum(p.pages for p in new), passages=sum(p.passages for p in new),
        tokens=sum(p.tokens for p in new),
    )  # fmt: skip
    say(fill("In all {sizes}. Nothing was changed.", sizes=_sizes(total, price)))
    if new and not settings.embedding.enabled:
        say("No embedding endpoint is set: they would be found by keyword, at no cost.")


def _sizes(plan: Plan, price: float | None) -> str:
    return fill(
        "{pages} pages, {passages} passages, {tokens}",
        pages=plan.pages,
        passages=plan.passages,
        tokens=_estimate(plan.tokens, price),
    )


def _estimate(tokens: int, price: float | None) -> str:
    cost = dollars(tokens, price)
    return (
        fill("about {tokens:,} tokens, {cost}", tokens=tokens, cost=cost)
        if cost
        else fill("about {tokens:,} tokens", tokens=tokens)
    )


def _bill(tokens: int, price: float | None) -> str:
    cost = dollars(tokens, price)
    return (
        fill("{tokens:,} tokens, {cost}", tokens=tokens, cost=cost)
        if cost
        else fill("{tokens:,} tokens", tokens=tokens)
    )


@click.command(cls=Command)
@_json_option
def books(as_json: bool) -> None:
    """List the books, with what could not be read of them."""
    with open_library() as library:
        shelf = library.books()
        findings = library.check_files()
        inbox = library.settings.home / INBOX
        last = len(library.doubtful())
        doubtful = library.under_way()[-last:] if last else []
    if as_json:
        print_json(to_json(shelf))
    else:
        print_books(shelf)
    _say_what_waits(inbox)
    for finding in findings:
        say(
            fill(
                "{seen} {remedy}", seen=message_of(finding.seen), remedy=message_of(finding.remedy)
            ),
            fg="yellow",
            err=True,
        )
    for arrival in doubtful:
        say(
            fill("Not added yet: {file}. {reason}", file=arrival.file, reason=arrival.waiting),
            dim=True,
            err=True,
        )


def _say_what_waits(inbox: Path) -> None:
    if waiting := [str(path.relative_to(inbox)) for path in arrivals(inbox)]:
        names = ", ".join([*waiting[:_MOST_NAMED], *(["…"] if waiting[_MOST_NAMED:] else [])])
        say(
            fill("In the inbox, on their way: {count} ({names}).", count=len(waiting), names=names),
            dim=True,
            err=True,
        )
    rejected = rejections(inbox)
    for file in rejected[:_MOST_NAMED]:
        say(
            fill(
                "not added  {file}: {reason}. {hint}",
                file=file.file,
                reason=message_of(file.reason),
                hint=message_of(file.hint),
            ),
            fg="red",
            err=True,
        )
    if rejected:
        where = inbox / REJECTED
        say(
            fill("Not added: {count}. They are in {folder}.", count=len(rejected), folder=where),
            dim=True,
            err=True,
        )


@click.command(cls=Command)
@click.argument("book", metavar="ID", type=typed)
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(book: str, yes: bool) -> None:
    """Remove a book: an id, the start of one, or a file name, as `bookbrain books` shows them.

    What was paid for its embeddings is kept: adding it again costs nothing.
    """
    with open_library() as library:
        found = library.find_book(book)
        if not yes:
            click.confirm(
                shown(fill("Remove {title} ({file})?", title=found.title, file=found.file)),
                abort=True,
            )
        with shown_progress() as progress:
            library.remove(found.id, progress)
    say(fill("Removed {title}.", title=found.title))


@click.command(cls=Command)
@click.argument("book", metavar="ID", type=typed)
@click.argument("title", type=typed)
def rename(book: str, title: str) -> None:
    """Give a book another title. The book is an id, the start of one, or a file name.

    Its file stays as it is.
    """
    with open_library() as library:
        renamed = library.rename(book, title)
    say(fill("The title of {file} is now: {title}", file=renamed.file, title=renamed.title))


@click.command(cls=Command)
@click.option("--yes", is_flag=True, help="Do not ask before spending.")
@click.option("--dry-run", is_flag=True, help="Only say what it would take, and cost.")
def embed(yes: bool, dry_run: bool) -> None:
    """Embed the books that the configured model has not embedded yet; the cost is shown first.

    For books that were added without a key, and after a change of BOOKBRAIN_EMBEDDING_MODEL or
    BOOKBRAIN_EMBEDDING_DIMENSIONS. Vectors of different models are never mixed.
    """
    with open_library() as library:
        plans = library.plan_embedding()
        settings = library.settings.embedding
        if not plans:
            say(fill("All books are embedded with {model}.", model=settings.model))
            return
        tokens = sum(plan.tokens for plan in plans)
        say(
            fill(
                "To embed with {model}: books {books}, passages {passages}, {tokens}.",
                model=settings.model,
                books=len(plans),
                passages=sum(plan.passages for plan in plans),
                tokens=_estimate(tokens, settings.dollars_per_million_tokens),
            )
        )
        if dry_run:
            return
        if not yes:
            click.confirm(shown("Embed them?"), abort=True)
        with shown_progress() as progress:
            outcomes = library.embed(progress)
    billed = sum(outcome.tokens for outcome in outcomes)
    bill = _bill(billed, settings.dollars_per_million_tokens)
    say(fill("Books embedded: {books} ({bill}).", books=len(outcomes), bill=bill))


@click.command(cls=Command)
def rebuild() -> None:
    """Make the keyword index and the vector index again from what the library keeps.

    Needs no embedding endpoint and costs nothing.
    """
    with open_library() as library:
        with shown_progress() as progress:
            library.rebuild(progress)
        count = len(library.books())
    say(fill("Indexes rebuilt. Books: {count}.", count=count))
