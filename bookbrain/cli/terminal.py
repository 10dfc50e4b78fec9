"""How texts, hits, books and progress look. Nothing here asks or decides."""

import codecs
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from bookbrain.messages import fill, language, translated
from bookbrain.model import Book, Hit, Outcome, SearchResult, Silent, Step, dollars, printable

_MARK = re.compile(r"<mark>(.*?)</mark>", re.DOTALL)
_LONE = re.compile("[\ud800-\udfff]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")


def shown(text: str) -> str:
    """`text` as the person should see it: in the language of the locale, and printable."""
    return printable(translated(text, language(os.environ)))


def fitting(text: str) -> str:
    """`text` with ? for what the encoding of stdout does not have."""
    encoding = _encoding()
    return text.encode(encoding, "replace").decode(encoding)


def typed(text: str) -> str:
    """What was typed as an argument: in UTF-8 where it is not in the encoding of the locale."""
    return os.fsencode(text).decode(errors="replace") if _LONE.search(text) else text


def print_json(text: str) -> None:
    """Print JSON that stays JSON in every encoding, and whatever names hold."""
    beyond = _LONE if _encoding() == "utf-8" else _BEYOND_ASCII
    click.echo(beyond.sub(lambda found: json.dumps(found[0])[1:-1], text))


def _encoding() -> str:
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name


def say(text: str, **style: Any) -> None:
    """Print `text` as `shown`; `style` is that of click.secho, and `err` for stderr."""
    click.secho(fitting(shown(text)), **style)


def print_result(result: SearchResult) -> None:
    """Print the hits, matches highlighted where stdout is a terminal."""
    if not result.hits:
        say("No page has that. Try fewer or other words; `bookbrain books` lists the books.")
        return
    console = Console(highlight=False, width=min(Console().width, 100))
    for hit in result.hits:
        _print_hit(console, hit)


def _print_hit(console: Console, hit: Hit) -> None:
    head = Text(f"{hit.rank:>2}. ") + Text(printable(hit.title), "bold")
    console.print(head + Text(f"  {shown(hit.place)}", "cyan"))
    detail = " · ".join(filter(None, (hit.chapter, hit.file)))
    texts = [Text(printable(detail), "dim"), _marked(hit.snippet)]
    if hit.duplicates:
        same = " · ".join(f"{other.title}, {shown(other.place)}" for other in hit.duplicates)
        texts.append(Text(f"{shown('Nearly the same')}: {printable(same)}", "dim"))
    for text in texts:
        for line in text.wrap(console, console.width - 4):
            line.rstrip()
            console.print(Text("    ") + line)
    console.print()


def _marked(snippet: str) -> Text:
    """A snippet's HTML as styled text; between two marks every second piece is one."""
    text = Text()
    for number, piece in enumerate(_MARK.split(snippet)):
        text.append(printable(unescape(piece)), "bold yellow" if number % 2 else "")
    return text


def print_books(books: list[Book]) -> None:
    """Print the shelf: a line a book, its problems below it."""
    if not books:
        say("No books yet. Add some: bookbrain add ~/Books")
    for book in books:
        say(
            fill(
                "{id}  {pages:>5} pages {passages:>5} passages  {title}  ({file})",
                id=book.id[:12],
                pages=book.pages,
                passages=book.passages,
                title=book.title,
                file=book.file,
            )
        )
        for problem in book.problems:
            say(fill("              ! {problem}", problem=problem), fg="yellow")


OnEnd = Callable[[Outcome], None]
WAITING = "Another bookbrain is writing to the library: waiting for it …"


class _Bars(Silent):
    """Draws on stderr; a line of text for each finished file stays above the bars."""

    def __init__(self, bars: Progress, on_end: OnEnd) -> None:
        self._bars = bars
        self._on_end = on_end
        self._all = bars.add_task(shown("all books"), total=None, visible=False, step="")
        self._book = bars.add_task("", total=None, visible=False, step="")

    def wait(self) -> None:
        self._bars.console.print(shown(WAITING))

    def begin(self, file: str, number: int, of: int) -> None:
        self._bars.update(self._all, total=of, completed=number - 1, visible=of > 1)
        self._bars.reset(self._book, description=_name(file), total=None, visible=True)

    def step(self, step: Step, done: int, total: int) -> None:
        self._bars.update(self._book, completed=done, total=total, step=shown(step))

    def end(self, outcome: Outcome) -> None:
        self._bars.advance(self._all)
        self._bars.update(self._book, visible=False)
        self._on_end(outcome)


class _Lines(Silent):
    """Where stderr is no terminal: only what a person must know."""

    def __init__(self, on_end: OnEnd) -> None:
        self._on_end = on_end

    def end(self, outcome: Outcome) -> None:
        self._on_end(outcome)

    def wait(self) -> None:
        say(WAITING, err=True)


@contextmanager
def shown_progress(on_end: OnEnd = lambda outcome: None) -> Iterator[Silent]:
    """Bars on a terminal, few lines elsewhere; `on_end` hears what became of each file."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(on_end)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[step]}", style="dim"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield _Bars(bars, on_end)


def _name(file: str) -> str:
    name = printable(file)
    return escape(name if len(name) <= 32 else f"{name[:20]}…{name[-11:]}")


class Bar(Silent):
    """Hears of bytes, and of the books that a restored library makes; shows nothing itself."""

    def bytes(self, step: str, done: int, total: int) -> None:
        """`done` of `total` bytes of this step are done."""

    def wait(self) -> None:
        say(WAITING, err=True)


class _Shown(Bar):
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("", total=None)

    def wait(self) -> None:
        self._bars.console.print(shown(WAITING))

    def begin(self, file: str, number: int, of: int) -> None:
        self._bars.update(
            self._task, description=escape(shown("indexing")), completed=number - 1, total=of
        )

    def bytes(self, step: str, done: int, total: int) -> None:
        self._bars.update(self._task, description=escape(shown(step)), completed=done, total=total)


@contextmanager
def shown_bytes() -> Iterator[Bar]:
    """A bar on a terminal, few words elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Bar()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield _Shown(bars)


def estimate(tokens: int, price: float | None) -> str:
    cost = dollars(tokens, price)
    return (
        fill("about {tokens:,} tokens, {cost}", tokens=tokens, cost=cost)
        if cost
        else fill("about {tokens:,} tokens", tokens=tokens)
    )


def bill_for(tokens: int, price: float | None) -> str:
    cost = dollars(tokens, price)
    return (
        fill("{tokens:,} tokens, {cost}", tokens=tokens, cost=cost)
        if cost
        else fill("{tokens:,} tokens", tokens=tokens)
    )
