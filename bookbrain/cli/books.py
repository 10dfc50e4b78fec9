"""`bookbrain books`."""

from pathlib import Path

import click

from bookbrain.cli.command import Command, json_option, open_library
from bookbrain.cli.terminal import note, print_books, print_json, say, say_refused
from bookbrain.library import arrivals, rejections
from bookbrain.messages import message_of
from bookbrain.model import to_json
from bookbrain.paths import REJECTED, LibraryPaths

_MOST_NAMED = 5  # files of the inbox


@click.command(cls=Command)
@json_option
def books(as_json: bool) -> None:
    """List the books, with what could not be read of them."""
    with open_library() as library:
        shelf = library.books()
        findings = library.check_files()
        inbox = LibraryPaths(library.settings.home).inbox
        last = len(library.doubtful())
        doubtful = library.under_way()[-last:] if last else []
    if as_json:
        print_json(to_json(shelf))
    else:
        print_books(shelf)
    _say_what_waits(inbox)
    for finding in findings:
        say(
            "{seen} {remedy}",
            seen=message_of(finding.seen),
            remedy=message_of(finding.remedy),
            fg="yellow",
            err=True,
        )
    for arrival in doubtful:
        note("Not added yet: {file}. {reason}", file=arrival.file, reason=arrival.waiting)


def _say_what_waits(inbox: Path) -> None:
    if waiting := [str(path.relative_to(inbox)) for path in arrivals(inbox)]:
        names = ", ".join([*waiting[:_MOST_NAMED], *(["…"] if waiting[_MOST_NAMED:] else [])])
        note("In the inbox, on their way: {count} ({names}).", count=len(waiting), names=names)
    rejected = rejections(inbox)
    for file in rejected[:_MOST_NAMED]:
        say_refused(file.file, file.reason, file.hint)
    if rejected:
        where = inbox / REJECTED
        note("Not added: {count}. They are in {folder}.", count=len(rejected), folder=where)
