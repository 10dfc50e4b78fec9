"""`bookbrain remove`."""

import click

from bookbrain.cli.command import Command, open_library
from bookbrain.cli.terminal import say, shown, shown_progress, typed


@click.command(cls=Command)
@click.argument("book", metavar="ID", type=typed)
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(book: str, yes: bool) -> None:
    """Remove a book: an id, the start of one, or a file name, as `bookbrain books` shows them.

    What was paid for its embeddings is kept: adding it again costs nothing.

    \b
    For example:
      bookbrain remove 3f9a2c
    """
    with open_library() as library:
        if not yes:
            found = library.find_book(book)
            click.confirm(
                shown("Remove {title} ({file})?", title=found.title, file=found.file),
                abort=True,
            )
            book = found.id
        with shown_progress() as progress:
            removed = library.remove(book, progress)
    say("Removed {title}.", title=removed.title)
