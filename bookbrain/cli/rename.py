"""`bookbrain rename`."""

import click

from bookbrain.cli.command import Command, open_library
from bookbrain.cli.terminal import say, typed
from bookbrain.messages import fill


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
