"""`bookbrain`: add books, find pages. Every command is: parse, one call, print."""

import click

from bookbrain.cli import (
    add,
    ask,
    books,
    embed,
    eval,
    ingest_inbox,
    mcp_stdio,
    ocr,
    rebuild,
    recover,
    remove,
    rename,
    search,
    serve,
)
from bookbrain.cli.command import Commands, list_settings, version_option
from bookbrain.log import set_up_logging


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("bookbrain")
@click.option("--settings", is_flag=True, is_eager=True, expose_value=False,
              callback=list_settings, help="List the settings and exit.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr what happens inside.")
def main(verbose: bool) -> None:
    """Search the technical books you own, by meaning and by keyword, down to the printed page.

    \b
    Begin with:
      bookbrain add ~/Books
      bookbrain search "how do I cancel a CompletableFuture"

    The library lives in ~/.local/share/bookbrain, or in $BOOKBRAIN_HOME. Settings are environment
    variables, or lines of bookbrain.env in that folder; --settings lists them. Set OPENAI_API_KEY
    (or OPENAI_BASE_URL of a compatible server) to search by meaning too.
    """
    set_up_logging(verbose)


for command in (
    add.add, books.books, remove.remove, rename.rename, embed.embed, rebuild.rebuild,
    recover.recover, ocr.ocr, ocr.read_scans,
    search.search, ask.ask, eval.evaluate, serve.serve, mcp_stdio.serve_agent,
    ingest_inbox.ingest_inbox,
):  # fmt: skip
    main.add_command(command)
