"""Progress of what is measured in bytes: one bar, whose words change."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bookbrain.cli.progress import WAITING
from bookbrain.cli.show import say, shown
from bookbrain.library import Silent


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
