"""How hits, books and reports look as text. Nothing here asks or decides."""

import re
import shutil
import textwrap
import unicodedata
from html import unescape

import click

from bookbrain.model import Book, Hit, SearchResult

_MARK = re.compile(r"<mark>(.*?)</mark>", re.DOTALL)
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~$])")
_ON, _OFF = "⟦", "⟧"  # stand for the colours while lines are wrapped


def printable(text: str) -> str:
    """`text` without what could steer a terminal: names of files may hold anything."""
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else "?" for c in text)


def result_text(result: SearchResult) -> str:
    """The hits for a terminal, matches highlighted."""
    if not result.hits:
        return (
            "No page has that. Try fewer or other words; `bookbrain books` lists what is there.\n"
        )
    width = min(shutil.get_terminal_size((88, 24)).columns, 100)
    return "\n".join(_hit_text(hit, width) for hit in result.hits)


def _hit_text(hit: Hit, width: int) -> str:
    where = f"p. {hit.page_label}"
    if hit.page_label != str(hit.page):
        where += f" (page {hit.page} of the file)"
    head = click.style(printable(hit.title), bold=True)
    lines = [f"{hit.rank:>2}. {head}  {click.style(printable(where), fg='cyan')}"]
    detail = " · ".join(filter(None, (hit.chapter, hit.file)))
    lines.append(click.style(f"    {printable(detail)}", dim=True))
    plain = printable(unescape(_MARK.sub(rf"{_ON}\1{_OFF}", hit.snippet)).replace("\n", " "))
    wrapped = textwrap.wrap(plain, max(width - 4, 20), break_on_hyphens=False)
    text = "\n".join(f"    {line}" for line in wrapped)
    lines.append(text.replace(_ON, "\x1b[1;33m").replace(_OFF, "\x1b[0m"))
    return "\n".join(lines) + "\n"


def result_markdown(result: SearchResult) -> str:
    """Citations to paste: quote, title, chapter, printed page."""
    return "\n".join(_citation(hit) for hit in result.hits)


def _citation(hit: Hit) -> str:
    quote = _escaped(unescape(_MARK.sub(r"\1", hit.snippet)))
    chapter = f", “{_escaped(hit.chapter)}”" if hit.chapter else ""
    return f"> {quote}\n>\n> — *{_escaped(hit.title)}*{chapter}, p. {_escaped(hit.page_label)}\n"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(printable(text).split()))


def books_text(books: list[Book]) -> str:
    """The shelf for a terminal: a line a book, its problems below it."""
    if not books:
        return "No books yet. Add some: bookbrain add ~/Books\n"
    lines = []
    for book in books:
        counts = f"{book.pages:>5} pages {book.passages:>5} passages"
        lines.append(f"{book.id[:12]}  {counts}  {printable(book.title)}  ({printable(book.file)})")
        lines += [
            click.style(f"              ! {printable(p)}", fg="yellow") for p in book.problems
        ]
    return "\n".join(lines) + "\n"


def dollars(tokens: int, per_million: float | None) -> str:
    """What tokens cost, "" where the price is not known."""
    if per_million is None:
        return ""
    cost = tokens / 1_000_000 * per_million
    return f"${cost:.4f}" if cost < 1 else f"${cost:.2f}"
