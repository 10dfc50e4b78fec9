"""Which chapter a place on a page stands in, by the PDF's outline."""

import re
from collections.abc import Sequence

from bookbrain.ingest.cleaning import clean
from bookbrain.model import Heading

OutlineEntry = tuple[int, str, int]  # level from 0, title, page index from 0

_SPACE = re.compile(r"\s+")
_MOST_TITLES = 200  # that lead to one page: more are no chapters
_SEARCHED = 20_000  # characters of a page, two or three times an honest one


def titles_by_page(outline: Sequence[OutlineEntry]) -> dict[int, list[str]]:
    """The outline's titles under the index of the page that they lead to, in order."""
    titles: dict[int, list[str]] = {}
    for _, title, index in outline:
        here = titles.get(index, [])
        if len(here) < _MOST_TITLES and (name := _SPACE.sub(" ", clean(title)).strip()):
            titles[index] = [*here, name]
    return titles


def headings(titles: Sequence[str], text: str) -> tuple[Heading, ...]:
    """Where on the page each title stands; one that is not found: where the one before it does.

    Only the beginning of a page that is far too long is searched.
    """
    found, position = [], 0
    for title in titles:
        words = r"\s+".join(map(re.escape, title.split()))
        at_line_start = re.compile(rf"^[^\n]{{0,20}}?{words}[ \t]*$", re.MULTILINE | re.IGNORECASE)
        anywhere = re.compile(words)
        match = at_line_start.search(text, position, _SEARCHED) or anywhere.search(
            text, position, _SEARCHED
        )
        if match:
            position = match.start()
        found.append(Heading(position, title))
    return tuple(found)
