"""`bookbrain ask`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from bookbrain.cli.command import Command, open_library
from bookbrain.cli.terminal import fitting, note, print_json, say, shown, typed
from bookbrain.errors import InputError
from bookbrain.messages import language
from bookbrain.model import printable, to_json
from bookbrain.reports import money

if TYPE_CHECKING:
    from bookbrain.answers.answer import Answer, Event
    from bookbrain.answers.conversation import Exchange
    from bookbrain.answers.gate import Statement


@click.command(cls=Command)
@click.argument("question", nargs=-1, required=True, type=typed)
@click.option("--book", "books", multiple=True, metavar="ID", type=typed,
              help="Only in this book (an id, its start, or a file name); repeatable.")  # fmt: skip
@click.option("--continue", "goes_on", is_flag=True,
              help="Go on with your last question, if that was within four hours.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--markdown", is_flag=True,
              help="The answer to paste, with footnotes: quote, title, chapter, page.")  # fmt: skip
def ask(
    question: tuple[str, ...], books: tuple[str, ...], goes_on: bool, as_json: bool, markdown: bool
) -> None:
    """Answer a question out of your books, with the words that say so and their pages.

    \b
    bookbrain ask how does make decide what to rebuild
    bookbrain ask 세마포어와 뮤텍스의 차이는
    bookbrain ask --continue and on Windows

    Each statement appears when its quotations were found on their pages, character by character.
    What a model claims beyond that is left out. It needs a model: BOOKBRAIN_CHAT_MODEL. The
    question, and the pages that are found, are sent to its service. So that you can go on with it,
    a question is kept with its answer, for you alone.
    """
    if as_json and markdown:
        raise click.UsageError(shown("Choose one of --json and --markdown."))
    with open_library() as library:
        from bookbrain.answers.conversation import (  # noqa: PLC0415  (loads slowly)
            conversation_file,
            kept_turns,
        )

        path = conversation_file(os.environ)
        earlier = kept_turns(path) if goes_on else ()
        if goes_on and not earlier:
            raise InputError(
                "There is no conversation of the last four hours to go on with.",
                "Ask a whole question, without --continue.",
            )
        answering = library.ask(" ".join(question), books=books or None, earlier=earlier)
        events = _kept(answering, path, earlier)
        if as_json:
            _print_object(events)
        elif markdown:
            _print_markdown(events)
        else:
            _print_events(events)


def _kept(
    events: Iterator["Event"], path: Path, earlier: tuple["Exchange", ...]
) -> Iterator["Event"]:
    """The events; a question that was answered, or that the books have nothing on, is kept."""
    from bookbrain.answers.answer import Answer  # noqa: PLC0415  (loads slowly)
    from bookbrain.answers.conversation import Exchange, keep_turn  # noqa: PLC0415

    for event in events:
        yield event
        if isinstance(event, Answer) and not event.stopped:
            turn = Exchange(event.question, tuple(one.text for one in event.statements))
            try:
                keep_turn(path, earlier, turn)
            except OSError as error:
                note(
                    "--continue will not know of this: it cannot be kept ({reason}).",
                    reason=error.strerror,
                )


def _print_object(events: Iterator["Event"]) -> None:
    from bookbrain.answers.answer import Answer  # noqa: PLC0415  (loads slowly)

    for event in events:
        if isinstance(event, Answer):
            print_json(to_json(event))


def _print_markdown(events: Iterator["Event"]) -> None:
    from bookbrain.answers.answer import Answer  # noqa: PLC0415  (loads slowly)
    from bookbrain.answers.footnotes import answer_markdown  # noqa: PLC0415

    for event in events:
        if isinstance(event, Answer):
            text = answer_markdown(event, language(os.environ))
            click.echo(fitting(text), nl=False)
            _note_end(event)


def _print_events(events: Iterator["Event"]) -> None:
    from bookbrain.answers.answer import Answer, Reading  # noqa: PLC0415  (loads slowly)
    from bookbrain.answers.gate import Statement  # noqa: PLC0415

    console = Console(highlight=False, width=min(Console().width, 100))
    for event in events:
        match event:
            case Reading():
                note("Reading {pages} pages of {books} books …",
                     pages=event.pages, books=event.books)  # fmt: skip
            case Statement():
                _print_statement(console, event)
            case Answer():
                _print_end(event)


def _print_statement(console: Console, statement: "Statement") -> None:
    _print_text(console, Text(printable(statement.text), "bold"), 0)
    for quotation in statement.quotes:
        _print_text(console, Text(f"“{printable(quotation.quote)}”"), 4)
        _print_text(console, Text(f"— {shown(quotation.source)}", "cyan"), 4)
    console.print()


def _print_text(console: Console, text: Text, indent: int) -> None:
    for line in text.wrap(console, console.width - indent):
        line.rstrip()
        console.print(Text(" " * indent) + line)


def _print_end(answer: "Answer") -> None:
    """What is to be said when nothing more comes; `stopped` is told as the error that it is."""
    if not answer.statements and not answer.stopped:
        say("Your books do not say.")
        if answer.nearest:
            say("The nearest pages:")
        for quotation in answer.nearest:
            say("    {source}", source=quotation.source)
    _note_end(answer)


def _note_end(answer: "Answer") -> None:
    if answer.left_out:
        note("Claims of the model that your books do not support, left out: {count}.",
             count=answer.left_out)  # fmt: skip
    if answer.degraded:
        note("Note: {reason}", reason=answer.degraded)
    if answer.remark:
        note(answer.remark)
    if answer.tokens:
        tokens = f"{answer.tokens:,}"
        if answer.dollars is None:
            note("{tokens} tokens", tokens=tokens)
        else:
            note("{tokens} tokens, {cost}", tokens=tokens, cost=money(answer.dollars))
