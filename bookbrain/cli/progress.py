"""Progress on a terminal: one bar for the book, one for all of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bookbrain.citation import printable
from bookbrain.cli.show import say, shown
from bookbrain.library import Outcome, Silent
from bookbrain.library.reports import Step

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
