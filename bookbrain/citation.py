"""Hits as Markdown to paste: quote, title, chapter, printed page."""

import re
import unicodedata
from html import unescape

from bookbrain.model import Hit, SearchResult
from bookbrain.translation import Language, translated
from bookbrain.wording import fill

_MARK = re.compile(r"<mark>(.*?)</mark>", re.DOTALL)
_MARKDOWN = re.compile(r"^(\d*)([-+.)])|([\\`*_\[\]<>#|~$&])")  # a list's start, or markup


def printable(text: str) -> str:
    """`text` on one line, without what could steer a terminal: names may hold anything."""
    return "".join("?" if unicodedata.category(c)[0] == "C" else c for c in text)


def result_markdown(result: SearchResult, language: Language) -> str:
    """The citations of all hits, a blank line between them."""
    return "\n".join(citation(hit, language) for hit in result.hits)


def citation(hit: Hit, language: Language) -> str:
    """What a book says comes out as text, whatever it is in Markdown."""
    quote = _escaped(unescape(_MARK.sub(r"\1", hit.snippet)))
    chapter = f", “{_escaped(hit.chapter)}”" if hit.chapter else ""
    page = _escaped(printable(translated(fill("p. {label}", label=hit.page_label), language)))
    return f"> {quote}\n>\n> — *{_escaped(hit.title)}*{chapter}, {page}\n"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\1\\\2\3", printable(" ".join(text.split())))
