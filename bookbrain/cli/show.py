"""How texts, hits and books look. Nothing here asks or decides."""

import codecs
import json
import os
import re
import sys
from html import unescape
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from bookbrain.citation import printable
from bookbrain.model import Book, Hit, SearchResult
from bookbrain.translation import language, translated
from bookbrain.wording import fill

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
