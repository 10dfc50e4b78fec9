"""`bookbrain rebuild`: every book is read again, and every store that follows is made anew.

The keyword index comes first, then every collection of Chroma, book by book; how, is in
`library/maintenance.py`.
"""

import click

from bookbrain.cli.command import Command, open_library
from bookbrain.cli.terminal import say, shown_progress


@click.command(cls=Command)
def rebuild() -> None:
    """Read every book again, and make the keyword index and the vector index anew.

    Needs no embedding endpoint and costs nothing. Run it where a check or an error says so, such as
    that Chroma lacks passages. The PDFs and the embeddings stay as they are; a book gets another
    text only where all that could be read of it before still can.
    A search that begins meanwhile waits for the keyword index. Ended early, it is to be run again.

    \b
    For example:
      bookbrain rebuild
    """
    with open_library() as library:
        with shown_progress() as progress:
            library.rebuild(progress)
        count = len(library.books())
    say("Indexes rebuilt. Books: {count}.", count=count)
