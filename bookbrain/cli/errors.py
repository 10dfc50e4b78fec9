"""The command line's edge: errors become two lines and an exit code."""

import logging
import os
import sqlite3
import sys
from io import TextIOWrapper
from typing import Any, NoReturn

import click

from bookbrain.cli.help import Command, HelpContext, translated_help
from bookbrain.cli.show import say, shown
from bookbrain.errors import BookBrainError
from bookbrain.library.storage import storage_error
from bookbrain.logs import is_journal
from bookbrain.translation import set_language
from bookbrain.wording import fill

INTERRUPTED = 130

_log = logging.getLogger(__name__)


class Commands(click.Group):
    """A group whose commands may raise BookBrainError."""

    context_class = HelpContext
    command_class = Command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # not every character is in every encoding
                stream.reconfigure(errors="replace")
        set_language(os.environ)
        return super().main(*args, **kwargs)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Group.format_help(translated_help(self), ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            for argument in args:
                os.fsencode(argument)
        except UnicodeEncodeError:  # some encodings read more than they can write: EUC-KR
            raise click.UsageError(
                shown("An argument is not in the encoding of the locale. Try LC_ALL=C.UTF-8."), ctx
            ) from None
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BookBrainError as error:
            fail(error)
        except sqlite3.Error as error:  # of the library: everything else of a disk has its words
            fail(storage_error(error))
        except KeyboardInterrupt:
            click.echo(err=True)
            say("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)


def fail(error: BookBrainError) -> NoReturn:
    """Print the error and its next step on stderr, or log it; and end with its code."""
    if is_journal(os.environ):
        _log.error("%s", error.for_log)
    else:
        say(fill("Error: {message}", message=error.message), fg="red", err=True)
        if error.hint:
            say(fill("Next:  {hint}", hint=error.hint), err=True)
    raise click.exceptions.Exit(error.exit_code)
