"""`bookbrain embed`."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import click

from bookbrain.cli.command import Command, open_library
from bookbrain.cli.terminal import note, say, shown, shown_bytes, shown_progress
from bookbrain.errors import UnavailableError
from bookbrain.library import Library, TakenExam
from bookbrain.model import Outcome, Plan, Progress, bill, duration
from bookbrain.search.exam import Marks
from bookbrain.settings import EmbeddingSettings, Settings

_BYTES_A_SECOND = 2_500_000  # of a network, to say about how long it takes


@click.command(cls=Command)
@click.option("--yes", is_flag=True, help="Do not ask before spending.")
@click.option("--dry-run", is_flag=True, help="Only say what it would take, and cost.")
@click.option(
    "--local/--no-local",
    default=None,
    help="By a model on this machine, which needs no key; or by the service of the settings again.",
)
@click.option("--model", help="Which local model, by its name.")
@click.option(
    "--from",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder that has the local model: nothing is fetched.",
)
@click.option("--digest", multiple=True, help="A SHA-256 that one of its files must have.")
def embed(
    yes: bool, dry_run: bool, local: bool | None, model: str | None, folder: Path | None,
    digest: tuple[str, ...],
) -> None:  # fmt: skip
    """Embed the books that the configured model has not embedded yet; the cost is shown first.

    For books that were added without a key, and after a change of BOOKBRAIN_EMBEDDING_MODEL or
    BOOKBRAIN_EMBEDDING_DIMENSIONS. Vectors of different models are never mixed.

    With --local a model on this machine embeds books and queries from now on, without a key. It is
    fetched once. Vectors that were paid for are kept, for when --no-local goes back to them.
    """
    if not local and (model or folder or digest):
        raise click.UsageError(shown("--model, --from and --digest go with --local."))
    with open_library() as library:
        if local is None:
            _embed(library, yes=yes, dry_run=dry_run)
        elif not local:
            library.keep_local_model(None)
            say("The service that the settings name embeds from now on: run `bookbrain embed`.")
        elif settings := _installed(library, model, folder, digest, yes=yes, dry_run=dry_run):
            with Library(settings) as with_model:
                _embed(with_model, yes=yes, dry_run=dry_run, choose=True)


def _installed(
    library: Library, model: str | None, folder: Path | None, digests: tuple[str, ...],
    *, yes: bool, dry_run: bool,
) -> Settings | None:  # fmt: skip
    """The settings with the model, which is in the library by then; None for one that is only
    looked at."""
    plan = library.plan_local_model(model, folder, digests)
    if plan.fetched:
        say(
            "To fetch {model}: {size:.0f} MB from {where}, about {time}.",
            model=plan.model.name, size=plan.fetched / 1e6, where=plan.where,
            time=duration(plan.fetched / _BYTES_A_SECOND),
        )  # fmt: skip
        if not yes and not dry_run:
            click.confirm(shown("Fetch it?"), abort=True)
    if dry_run and not plan.there:
        return None
    with shown_bytes() as bar:
        return library.install_local_model(
            plan, lambda done, total: bar.bytes("fetching", done, total)
        )


def _embed(library: Library, *, yes: bool, dry_run: bool, choose: bool = False) -> None:
    """`choose`: the library is to be asked by the local model of its settings from now on."""
    plans, exam = library.plan_embedding(), library.exam_tokens()
    settings = library.settings.embedding
    if not plans and not exam:
        if choose and not dry_run:
            _keep(library)
        say("All books are embedded with {model}.", model=settings.model)
        _say_marks(library.marks(), settings.model)
        return
    if plans:
        _show_plans(library, plans)
    say_exam(exam, settings)
    if dry_run:
        return
    if not yes:
        click.confirm(
            shown("Embed them?") if plans else shown("Have it take the exam?"), abort=True
        )
    if choose:
        _keep(library)
    with shown_progress() as progress:
        taken = _exam(library, progress, needed=not plans) if exam else None
        begun = monotonic()
        outcomes = library.embed(progress)
        seconds = monotonic() - begun
    _say_exam_taken(taken, settings)
    _say_marks(library.marks(), settings.model)
    if plans:
        _say_embedded(outcomes, seconds, settings)


def _exam(library: Library, progress: Progress, *, needed: bool) -> TakenExam | None:
    """None where the endpoint gave no vector, and books are `needed` no less: they tell."""
    try:
        return library.take_exam(progress)
    except UnavailableError:
        if needed:
            raise
        return None


def say_exam(tokens: int, settings: EmbeddingSettings) -> None:
    """What the exam of the model will take; nothing where it is done."""
    if tokens and settings.is_local:
        say("Once, with that, an exam of {model}, which tells how far to trust it.",
            model=settings.model)  # fmt: skip
    elif tokens:
        say(
            "Once, with that, an exam of {model}, which tells how far to trust it: {tokens}.",
            model=settings.model,
            tokens=bill(tokens, settings.dollars_per_million_tokens, about=True),
        )


def _say_exam_taken(taken: TakenExam | None, settings: EmbeddingSettings) -> None:
    if not taken:
        return
    if settings.is_local:
        say("Exam of {model}: {seconds:.1f} s.", model=settings.model, seconds=taken.seconds)
        return
    cost = bill(taken.tokens, settings.dollars_per_million_tokens)
    say("Exam of {model}: {bill}, {seconds:.1f} s.", model=settings.model, bill=cost,
        seconds=taken.seconds)  # fmt: skip


def _say_embedded(outcomes: Sequence[Outcome], seconds: float, settings: EmbeddingSettings) -> None:
    if settings.is_local:
        say(
            "Books embedded: {books}, at no cost, in {seconds:.0f} s.",
            books=len(outcomes), seconds=seconds,
        )  # fmt: skip
        return
    cost = bill(sum(outcome.tokens for outcome in outcomes), settings.dollars_per_million_tokens)
    say("Books embedded: {books} ({bill}).", books=len(outcomes), bill=cost)


def _say_marks(marks: Marks | None, model: str) -> None:
    if marks:
        say(marks.note(model))


def _show_plans(library: Library, plans: Sequence[Plan]) -> None:
    settings = library.settings.embedding
    passages = sum(plan.passages for plan in plans)
    if settings.is_local:
        found = library.local_model()
        say(
            "To embed with {model} on this machine, at no cost: books {books}, passages "
            "{passages}, about {time}.",
            model=settings.model, books=len(plans), passages=passages,
            time=duration(found.seconds * sum(plan.passages for plan in plans if plan.tokens)),
        )  # fmt: skip
        say(
            "It reads the first {tokens} tokens of each passage; keywords find the rest.",
            tokens=found.model.longest,
        )
        return
    tokens = sum(plan.tokens for plan in plans)
    say(
        "To embed with {model}: books {books}, passages {passages}, {tokens}.",
        model=settings.model,
        books=len(plans),
        passages=passages,
        tokens=bill(tokens, settings.dollars_per_million_tokens, about=True),
    )


def _keep(library: Library) -> None:
    if library.keep_local_model(library.settings.embedding.model):
        note("The app takes it when it starts again; on a server: sudo systemctl restart bookbrain")
