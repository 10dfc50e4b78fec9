"""`bookbrain recover`."""

import sys

import click

from bookbrain.cli.add import show_report
from bookbrain.cli.command import Command, fail, json_option
from bookbrain.cli.terminal import print_json, say, shown_progress
from bookbrain.library import Recovered
from bookbrain.library import recover as recover_library
from bookbrain.log import record_outcome
from bookbrain.model import to_json
from bookbrain.privileges import become_service


@click.command(cls=Command)
@json_option
def recover(as_json: bool) -> None:
    """Make the catalog again from the PDFs that lie in the library; costs nothing.

    For a library whose catalog is lost, damaged or older than its books. Each PDF that belongs to
    no book is read again; its title and date come from what is kept beside it, and its embeddings
    are found by its texts. A catalog that cannot be used is kept under another name. A backup
    brings back the same and more, where there is one: `bookbrain-admin restore FILE`
    """
    settings = become_service()
    with shown_progress(record_outcome) as progress:
        recovered = recover_library(settings, progress)
    if as_json:
        print_json(to_json(recovered.report.outcomes))
    else:
        _show(recovered)
        if recovered.report.outcomes:
            show_report(recovered.report, settings, as_json=False)
    if recovered.report.stopped:
        fail(recovered.report.stopped)
    if recovered.lost:
        sys.exit(1)


def _show(recovered: Recovered) -> None:
    for path in recovered.aside:
        say(
            "The catalog that could not be used is kept, and can be deleted: {path}",
            path=path,
            err=True,
        )
    if recovered.gone:
        say(
            "Books that were removed since that catalog was written: {count}.", count=recovered.gone
        )
    if recovered.renamed:
        say("Books that got their newer title back: {count}.", count=recovered.renamed)
    for path in recovered.strange:
        say(
            "As far as is known this was never a book of this library; move it away: {path}",
            path=path,
            err=True,
        )
    if recovered == Recovered():
        say("Nothing is to be recovered: every PDF in the library belongs to a book.")
