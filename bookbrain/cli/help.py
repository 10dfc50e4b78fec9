"""Help in the language of the person, wrapped by the width that it takes on the screen."""

import re
from collections.abc import Iterable
from inspect import cleandoc
from unicodedata import east_asian_width

import click

from bookbrain.cli.show import fitting, shown
from bookbrain.config import SETTINGS, Setting
from bookbrain.wording import fill

_DEFAULT = re.compile(r"(.*)  \[default: (.*)\]", re.DOTALL)
_FILLER = "\u2060"  # click wraps by characters: beside it a wide one counts for two


class _Formatter(click.HelpFormatter):
    def write(self, string: str) -> None:
        super().write(string.replace(_FILLER, ""))

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, _shown("Usage: ") if prefix is None else prefix)

    def write_heading(self, heading: str) -> None:
        super().write_heading(_shown(heading))

    def write_text(self, text: str) -> None:
        super().write_text("\n\n".join(map(_paragraph, text.split("\n\n"))))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        super().write_dl(
            [(name, _shown(_with_default(text))) for name, text in rows], col_max, col_spacing
        )


class HelpContext(click.Context):
    """A context whose help is translated."""

    formatter_class = _Formatter


class Command(click.Command):
    """A command whose help is translated."""

    context_class = HelpContext

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


def _with_default(help_: str) -> str:
    """The help of an option, to which click adds what it is without it."""
    found = _DEFAULT.fullmatch(help_)
    if not found:
        return help_
    return fill("{help}  [default: {default}]", help=found[1], default=found[2])


def _paragraph(text: str) -> str:
    """A paragraph after click's mark \\b keeps its lines."""
    if text.startswith("\b"):
        return "\n".join(["\b", *map(_shown, text.splitlines()[1:])])
    return _shown(" ".join(text.split()))


def _shown(text: str) -> str:
    return "".join(c + _FILLER if east_asian_width(c) in "WF" else c for c in fitting(shown(text)))
