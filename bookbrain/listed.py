"""Lines of code in the text of a page: how they are told from prose, and written in Markdown.

A page's text is plain. A line of it whose columns count, as in a listing, ends in two spaces, which
`page_text.clean` leaves to no other; so whoever splits, joins or shows a text knows it, and nobody
who only looks for words has to.
"""

import re
from collections.abc import Sequence

LISTED = "  "
_LISTED_END = re.compile(f"{LISTED}$", re.MULTILINE)
_FENCE = re.compile("`+")


def is_listed(line: str) -> bool:
    """Whether a line of a page's text is one of a listing: its columns and its break count."""
    return line.endswith(LISTED)


def copied(text: str) -> str:
    """The text of a page as a person gets it: nothing tells the lines of listings from others."""
    return _LISTED_END.sub("", text)


def fenced(lines: Sequence[str]) -> list[str]:
    """Lines of code in a fence of Markdown, longer than any run of backticks in them."""
    longest = max((len(run) for line in lines for run in _FENCE.findall(line)), default=0)
    fence = "`" * max(longest + 1, 3)
    return [fence, *lines, fence]
