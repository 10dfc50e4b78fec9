"""An entry of the journal as a person reads it. What it says may come from anywhere."""

from collections.abc import Iterator
from datetime import datetime

import click

from bookbrain.admin.journal import ERROR, Entry, priority_of, seconds_of, text_of
from bookbrain.citation import printable
from bookbrain.cli.show import fitting

_MOST_LINES = 200
_MOST = 4_000  # characters of a line


def show_entry(entry: Entry) -> None:
    """Print it, coloured by its priority on a terminal; further lines are indented."""
    priority = priority_of(entry)
    color = "red" if priority <= ERROR else "yellow" if priority <= ERROR + 1 else None
    for line in lines_of(entry):
        click.secho(fitting(line), fg=color, dim=priority > ERROR + 3)


def lines_of(entry: Entry) -> Iterator[str]:
    """Time, sender and message, without what could steer a terminal."""
    moment = datetime.fromtimestamp(seconds_of(entry)).astimezone()
    first, *more = text_of(entry, "MESSAGE").expandtabs(4).split("\n")
    yield f"{moment:%Y-%m-%d %H:%M:%S}  {_cut(_sender(entry))}: {_cut(first)}"
    yield from (f"    {_cut(line)}" for line in more[:_MOST_LINES])
    if len(more) > _MOST_LINES:
        yield "    …"


def _sender(entry: Entry) -> str:
    unit = text_of(entry, "UNIT") or text_of(entry, "_SYSTEMD_UNIT")
    if unit.startswith("bookbrain") or not text_of(entry, "SYSLOG_IDENTIFIER"):
        return unit.removesuffix(".service")
    return text_of(entry, "SYSLOG_IDENTIFIER")


def _cut(line: str) -> str:
    return printable(line if len(line) <= _MOST else f"{line[:_MOST]}…")
