"""Help in the language of the person, wrapped by the width that it takes on the screen."""

from collections.abc import Callable, Iterable
from copy import copy
from gettext import gettext
from inspect import cleandoc
from typing import TypeVar
from unicodedata import east_asian_width

import click

from bookbrain import __version__
from bookbrain.cli.show import fitting, say, shown
from bookbrain.config import SETTINGS, Setting
from bookbrain.wording import fill

_FILLER = "\u2060"  # click wraps by characters: beside it a wide one counts for two
_Of = TypeVar("_Of", click.Command, click.Parameter)


class _Formatter(click.HelpFormatter):
    def write(self, string: str) -> None:
        super().write(string.replace(_FILLER, ""))

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
        formatter.write_dl([(setting.name, _meaning(setting)) for setting in SETTINGS])
        click.echo(formatter.getvalue(), nl=False)
        context.exit()


def _meaning(setting: Setting) -> str:
    if not setting.default_text:
        return setting.meaning
    return fill("{help}  [default: {default}]", help=setting.meaning, default=setting.default_text)


def version_option(program: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`--version`; click's own is worded when the module is imported."""

    def show(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            say(fill("{program}, version {version}", program=program, version=__version__))
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
