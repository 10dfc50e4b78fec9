"""`bookbrain embed`."""

import click

from bookbrain.cli.command import Command, open_library
from bookbrain.cli.terminal import say, shown, shown_progress
from bookbrain.model import bill


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
            say("All books are embedded with {model}.", model=settings.model)
            return
        tokens = sum(plan.tokens for plan in plans)
        say(
            "To embed with {model}: books {books}, passages {passages}, {tokens}.",
            model=settings.model,
            books=len(plans),
            passages=sum(plan.passages for plan in plans),
            tokens=bill(tokens, settings.dollars_per_million_tokens, about=True),
        )
        if dry_run:
            return
        if not yes:
            click.confirm(shown("Embed them?"), abort=True)
        with shown_progress() as progress:
            outcomes = library.embed(progress)
    billed = sum(outcome.tokens for outcome in outcomes)
    cost = bill(billed, settings.dollars_per_million_tokens)
    say("Books embedded: {books} ({bill}).", books=len(outcomes), bill=cost)
