"""`bookbrain search`."""

import os
import re
from collections.abc import Sequence

import click

from bookbrain.cli.command import Command, mode_option, open_library
from bookbrain.cli.terminal import (
    fitting,
    note,
    note_reading,
    print_json,
    print_result,
    shown,
    typed,
)
from bookbrain.messages import language
from bookbrain.model import Mode, result_markdown, to_json


def _has_word(given: Sequence[str]) -> bool:
    """Whether what click takes for the option -k is a word, as in -kernel, or stands alone."""
    return "-k" in given[-1:] or any(re.match("-k[^0-9=]", one) for one in given)


class _Search(Command):
    """Says what to do where a part of the query is taken for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = tuple(args)  # click takes from `args` what it has read
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if not isinstance(error, click.NoSuchOption) and not _has_word(given):
                raise
            raise click.UsageError(
                shown(
                    "{reason} Put -- before a query with a minus: `bookbrain search -- lspci -nn`",
                    reason=error.format_message(),
                ),
                ctx,
            ) from error


@click.command(cls=_Search)
@click.argument("query", nargs=-1, required=True, type=typed)
@click.option("-k", "count", type=click.IntRange(1, 1000), default=10, show_default=True,
              help="How many pages at most.")  # fmt: skip
@mode_option
@click.option("--book", "books", multiple=True, metavar="ID", type=typed,
              help="Only in this book (an id, its start, or a file name); repeatable.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--markdown", is_flag=True, help="Citations to paste: quote, title, chapter, page.")
def search(
    query: tuple[str, ...], count: int, mode: Mode, books: tuple[str, ...], as_json: bool,
    markdown: bool,
) -> None:  # fmt: skip
    """Find pages by meaning and by keyword.

    \b
    bookbrain search how do I cancel a future
    bookbrain search '"exact phrase" -without'
    bookbrain search 비동기 처리 --book install.ko.pdf

    A word after a minus is left out, unless the books print it so, as in `tar -xzf`; how a query
    was read is said above the hits. Put -- before a query that begins with a minus.
    """
    if as_json and markdown:
        raise click.UsageError(shown("Choose one of --json and --markdown."))
    with open_library() as library:
        result = library.search(" ".join(query), k=count, mode=mode, books=books or None)
    if as_json:
        print_json(to_json(result))
        return
    note_reading(result.read_as)
    if markdown:
        click.echo(fitting(result_markdown(result, language(os.environ))), nl=False)
    else:
        print_result(result)
    if result.remark:
        note(result.remark)
