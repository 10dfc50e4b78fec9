"""How texts, hits, books and progress look. Nothing here asks or decides."""

import codecs
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from html import unescape

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from bookbrain.messages import fill, language, message_of, translated
from bookbrain.model import (
    Book,
    Hit,
    Outcome,
    Progress,
    ReadAs,
    SearchResult,
    Standing,
    Step,
    duration,
    printable,
)

_MARK = re.compile(r"<mark>(.*?)</mark>", re.DOTALL)
_LONE = re.compile("[\ud800-\udfff]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")


def shown(text: str, /, **values: object) -> str:
    """`text`, filled with `values` where there are any, as the person should see it: in the
    language of the locale, and printable."""
    message = fill(text, **values) if values else text
    return printable(translated(message, language(os.environ)))


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


def say(
    text: str, /, *, fg: str | None = None, dim: bool | None = None, err: bool = False,
    **values: object,
) -> None:  # fmt: skip
    """Print `text` as `shown`, in this colour, dimmed, on stderr."""
    click.secho(fitting(shown(text, **values)), fg=fg, dim=dim, err=err)


def note(text: str, /, **values: object) -> None:
    """Say on stderr what is good to know."""
    say(fill(text, **values) if values else text, dim=True, err=True)


def say_refused(path: str, reason: str, hint: str) -> None:
    """Say on stderr why a file was not added, and what to do about it."""
    say(
        "not added  {path}: {reason}. {hint}",
        path=path, reason=message_of(reason), hint=message_of(hint), fg="red", err=True,
    )  # fmt: skip


def note_reading(read_as: ReadAs) -> None:
    """Say on stderr how a query was read, and which query is read the other way."""
    for clause in read_as.clauses:
        note("{read} · the other way: {query}", read=clause.note, query=clause.other)
    if read_as.remark:
        note(read_as.remark)


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
    edition = "" if hit.edition == hit.file else shown(hit.edition)
    detail = " · ".join(filter(None, (hit.chapter, hit.file, edition, shown(hit.doubt))))
    texts = [Text(printable(detail), "dim"), _marked(hit.snippet)]
    if hit.duplicates:
        same = " · ".join(
            ", ".join(filter(None, (other.title, shown(other.edition), shown(other.place))))
            for other in hit.duplicates
        )
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
        lines = map(printable, unescape(piece).split("\n"))
        text.append("\n".join(lines), "bold yellow" if number % 2 else "")
    return text


def print_books(books: list[Book]) -> None:
    """Print the shelf: a line a book, its problems below it."""
    if not books:
        say("No books yet. Add some: bookbrain add ~/Books")
    for book in books:
        say(
            "{id}  {pages:>5} pages {passages:>5} passages  {title}  ({file})",
            id=book.id[:12], pages=book.pages, passages=book.passages, title=book.title,
            file=book.file,
        )  # fmt: skip
        if book.edition not in ("", book.file):
            say("              one of several of this name: {edition}", edition=book.edition)
        if book.scan_note:
            say("              {note}", note=book.scan_note)
        for problem in book.problems:
            say("              ! {problem}", problem=problem, fg="yellow")


OnEnd = Callable[[Outcome], None]
WAITING = "Another bookbrain is writing to the library: waiting for it …"


class Bar(Progress):
    """Says what a person must know; `on_end` hears what became of each file."""

    def __init__(self, on_end: OnEnd) -> None:
        self._on_end = on_end

    def wait(self) -> None:
        say(WAITING, err=True)

    def end(self, outcome: Outcome) -> None:
        self._on_end(outcome)

    def bytes(self, step: str, done: int, total: int) -> None:
        """`done` of `total` bytes of this step are done."""


class _Drawn(Bar):
    """Draws on stderr; what others print stays above the bars."""

    def __init__(self, bars: Bars, on_end: OnEnd) -> None:
        super().__init__(on_end)
        self._bars = bars

    def wait(self) -> None:
        self._bars.console.print(shown(WAITING))


class _OfBooks(_Drawn):
    """A bar for all books, and one for the step of that at hand."""

    def __init__(self, bars: Bars, on_end: OnEnd) -> None:
        super().__init__(bars, on_end)
        self._all = bars.add_task(shown("all books"), total=None, visible=False, step="")
        self._book = bars.add_task("", total=None, visible=False, step="")

    def begin(self, file: str, number: int, of: int) -> None:
        self._bars.update(self._all, total=of, completed=number - 1, visible=of > 1)
        self._bars.reset(self._book, description=_name(file), total=None, visible=True)

    def step(self, step: Step, done: int, total: int) -> None:
        self._bars.update(self._book, completed=done, total=total, step=shown(step))

    def end(self, outcome: Outcome) -> None:
        self._bars.advance(self._all)
        self._bars.update(self._book, visible=False)
        super().end(outcome)


class _OfBytes(_Drawn):
    """A bar for the bytes of a step, and for the books that a restored library makes."""

    def __init__(self, bars: Bars, on_end: OnEnd) -> None:
        super().__init__(bars, on_end)
        self._task = bars.add_task("", total=None, step="")

    def begin(self, file: str, number: int, of: int) -> None:
        self.bytes("indexing", number - 1, of)

    def bytes(self, step: str, done: int, total: int) -> None:
        self._bars.update(self._task, description=escape(shown(step)), completed=done, total=total)


@contextmanager
def _bars(*columns: ProgressColumn) -> Iterator[Bars | None]:
    """Bars with these columns on a terminal; None elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    named = (TextColumn("{task.description}"), BarColumn())
    with Bars(*named, *columns, console=console, transient=True) as bars:
        yield bars


@contextmanager
def _drawn(kind: type[_Drawn], counted: ProgressColumn, on_end: OnEnd) -> Iterator[Bar]:
    step = TextColumn("{task.fields[step]}", style="dim")
    with _bars(counted, step, TimeRemainingColumn()) as bars:
        yield kind(bars, on_end) if bars else Bar(on_end)


def shown_progress(on_end: OnEnd = lambda outcome: None) -> AbstractContextManager[Bar]:
    """Bars on a terminal, few lines elsewhere; `on_end` hears what became of each file."""
    return _drawn(_OfBooks, MofNCompleteColumn(), on_end)


def shown_bytes() -> AbstractContextManager[Bar]:
    """A bar on a terminal, few words elsewhere."""
    return _drawn(_OfBytes, TaskProgressColumn(), lambda outcome: None)


@contextmanager
def shown_pages() -> Iterator[Callable[[Standing], None]]:
    """A bar for the pages that are read, on a terminal; nothing elsewhere."""
    with _bars(MofNCompleteColumn(), TextColumn("{task.fields[left]}", style="dim")) as bars:
        if bars is None:
            yield lambda standing: None
            return
        task = bars.add_task(shown("reading"), total=None, left="")

        def tell(standing: Standing) -> None:
            left = shown("about {time} left", time=duration(standing.seconds))
            bars.update(
                task, description=_name(standing.file), completed=standing.done,
                total=standing.total, left=left,
            )  # fmt: skip

        yield tell


def _name(file: str) -> str:
    name = printable(file)
    return escape(name if len(name) <= 32 else f"{name[:20]}…{name[-11:]}")
