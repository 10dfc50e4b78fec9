"""What all commands share: help, errors, the library they open, being ended."""

import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from gettext import gettext
from inspect import cleandoc
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from unicodedata import east_asian_width

import click

from bookbrain import __version__
from bookbrain.cli.terminal import fitting, say, shown
from bookbrain.errors import BookBrainError
from bookbrain.library import Library, Sources, open_sources
from bookbrain.log import is_journal
from bookbrain.messages import fill, message_of, set_language
from bookbrain.paths import Layout, is_upgrading
from bookbrain.privileges import THIS_MACHINE, become_service, works_for_service
from bookbrain.settings import SETTINGS, Setting
from bookbrain.store.folder import storage_error

_FILLER = "\u2060"  # click wraps by characters: beside it a wide one counts for two
_Of = TypeVar("_Of", click.Command, click.Parameter)


class _Formatter(click.HelpFormatter):
    def write(self, string: str) -> None:
        super().write(fitting(string.replace(_FILLER, "")))  # click's own words, too

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, _wide(gettext("Usage:")) + " ")

    def write_text(self, text: str) -> None:
        super().write_text(_wide(text))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        super().write_dl([(name, _wide(text)) for name, text in rows], col_max, col_spacing)


class HelpContext(click.Context):
    """A context whose help is wrapped by width."""

    formatter_class = _Formatter


class Command(click.Command):
    """A command whose help is translated."""

    context_class = HelpContext

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Command.format_help(translated_help(self), ctx, formatter)

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence of the help; click's, where it is not translated."""
        summary = " ".join(cleandoc(self.help or "").partition("\n\n")[0].split())
        korean = shown(summary)
        if korean == summary:
            return super().get_short_help_str(limit)
        return korean.partition(". ")[0].rstrip(".") + "."


def list_settings(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """What each setting means, and what it is where nobody sets it, in place of a command."""
    if wanted:
        formatter = context.make_formatter()
        formatter.write_dl([(setting.name, shown(_meaning(setting))) for setting in SETTINGS])
        click.echo(formatter.getvalue(), nl=False)
        context.exit()


def _meaning(setting: Setting) -> str:
    if not setting.default_text:
        return setting.meaning
    meaning = message_of(setting.meaning)
    return fill("{help}  [default: {default}]", help=meaning, default=setting.default_text)


def version_option(program: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--version`; click's own is worded when the module is imported."""

    def show(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            say("{program}, version {version}", program=program, version=__version__)
            ctx.exit()

    return click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=show,
                        help="Show the version and exit.")  # fmt: skip


def translated_help(command: _Of) -> _Of:
    """The same with its help, and that of its options, in the language of the person."""
    made = copy(command)
    if text := getattr(command, "help", None):
        made.help = "\n\n".join(map(_paragraph, cleandoc(text).split("\n\n")))
    if isinstance(made, click.Command):
        made.params = [translated_help(param) for param in made.params]
        made._help_option = None  # click keeps one, in the language of the first time
    return made


def _paragraph(text: str) -> str:
    """A paragraph after click's mark \\b keeps its lines."""
    if text.startswith("\b"):
        return "\n".join(["\b", *map(shown, text.splitlines()[1:])])
    return shown(" ".join(text.split()))


def _wide(text: str) -> str:
    return "".join(c + _FILLER if east_asian_width(c) in "WF" else c for c in fitting(text))


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

    def get_short_help_str(self, limit: int = 45) -> str:
        """That of a group within a group is said of it, and is whole."""
        return shown(self.short_help) if self.short_help else super().get_short_help_str(limit)

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
        say("Error: {message}", message=error.message, fg="red", err=True)
        if error.hint:
            say("Next:  {hint}", hint=error.hint, err=True)
    raise click.exceptions.Exit(error.exit_code)


class _EndedError(BaseException):
    """SIGTERM came."""


@contextmanager
def ending_in_order() -> Iterator[None]:
    """When SIGTERM comes, the block is left as by Ctrl-C, and then the process ends by it.

    So whatever it was at is not taken for what ended it.
    """

    def leave(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first one is enough
        raise _EndedError

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except _EndedError:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def sources_of_root(
    paths: Iterable[str | Path], layout: Layout = THIS_MACHINE
) -> Iterator[Sources | None]:
    """The books at the paths, open, where only root may be able to read them; else None."""
    if not works_for_service(os.environ, layout):
        yield None
        return
    with open_sources(paths) as sources:
        yield sources


@contextmanager
def open_library(*, tell: bool = True, layout: Layout = THIS_MACHINE) -> Iterator[Library]:
    """The library of the settings, open until the block ends; `tell` of what waits to be added."""
    settings = become_service(layout)
    with Library(settings) as library:
        if tell and not is_upgrading(settings.home):
            _tell_what_waits(library)
        yield library


def _tell_what_waits(library: Library) -> None:
    """In one line; the work is that of `add`, of the inbox and of `serve`, of nobody else."""
    waiting, reason = library.waiting()
    if waiting:
        say(
            "Waiting to be added: {books}. {reason} `bookbrain add` without a path goes on.",
            books=waiting,
            reason=message_of(reason),
            err=True,
        )
    elif count := library.unfinished():
        say(
            "Interrupted before they were added: {books}. `bookbrain add` without a path goes on.",
            books=count,
            err=True,
        )


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON array.")
mode_option = click.option(
    "--mode",
    type=click.Choice(["hybrid", "keyword", "vector"]),
    default="hybrid",
    show_default=True,
    help="Both legs, or one of them.",
)
