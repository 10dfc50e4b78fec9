"""`bookbrain rebuild`: every store that follows from the truth is made again.

The keyword index comes first, then every collection of Chroma, book by book; how, is in
`library/maintenance.py`.
"""

import click

from bookbrain.cli.command import Command, open_library
from bookbrain.cli.terminal import say, shown_progress
from bookbrain.messages import fill


@click.command(cls=Command)
def rebuild() -> None:
    """Make the keyword index and the vector index again from what the library keeps.

    Needs no embedding endpoint and costs nothing. Run it where a check or an error says so, such as
    that Chroma lacks passages. The PDFs, the catalog and the embeddings stay as they are.
    A search that begins meanwhile waits for the keyword index. Ended early, it is to be run again.

    \b
    For example:
      bookbrain rebuild
    """
    with open_library() as library:
        with shown_progress() as progress:
            library.rebuild(progress)
        count = len(library.books())
    say(fill("Indexes rebuilt. Books: {count}.", count=count))
