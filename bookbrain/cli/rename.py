"""`bookbrain rename`."""

import click

from bookbrain.cli.command import Command, open_library
from bookbrain.cli.terminal import print_json, say, typed
from bookbrain.model import to_json


@click.command(cls=Command)
@click.argument("book", metavar="ID", type=typed)
@click.argument("title", type=typed)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rename(book: str, title: str, as_json: bool) -> None:
    """Give a book another title. The book is an id, the start of one, or a file name.

    Searches, citations and backups show the title; the file and its name stay as they are. Nothing
    is read or embedded again, and a book that is being added is not waited for.

    \b
    For example:
      bookbrain rename effective-java.pdf "Effective Java, 3rd edition"
      bookbrain rename 3f9a2c "Effective Java"
    """
    with open_library() as library:
        renamed = library.rename(book, title)
    if as_json:
        print_json(to_json(renamed))
        return
    say("The title of {file} is now: {title}", file=renamed.file, title=renamed.title)
