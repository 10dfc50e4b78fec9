"""`bookbrain rebuild`."""

import click

from bookbrain.cli.command import Command, open_library
from bookbrain.cli.terminal import say, shown_progress
from bookbrain.messages import fill


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
