"""Where the text of a page goes on on the next: what is cut there still belongs together."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from bookbrain.korean import HANGUL, belong_together

_HYPHENATED = re.compile(r"(?<!\S)[^\W\d_]{2,}(?=-$)")
_GOES_ON = re.compile(r"[^\W\d_A-Z]{2,}")
_KOREAN_END = re.compile(r"(?:\S+ )?\S*[가-힣]$")
_KOREAN_START = re.compile(r"[가-힣]\S*(?: \S+)?")
_AROUND = 400  # characters on either side
_LONGEST_HEAD = 80  # characters of a line that may be a running head, a foot or a page number


def joints(text: str, following: str) -> Iterator[tuple[str, int]]:
    """The end of one page and the start of the next as one text, and where in it the break is.

    A line or two beside the break may be the page's number and running head: there is a joint with
    them and one without. A word that is hyphenated at the break is also there in one piece.
    """
    for end, start in _sides(text, following):
        yield f"{end}\n{start}", len(end)
        if end.endswith("-"):
            yield end[:-1] + start, len(end) - 1


def _sides(text: str, following: str) -> Iterator[tuple[str, str]]:
    """What may stand beside the break."""
    for tail in _shorter(text[-_AROUND:].rstrip().split("\n"), 1, last=True):
        for head in _shorter(following[:_AROUND].lstrip().split("\n"), 2, last=False):
            yield tail, head


def _shorter(lines: list[str], most: int, *, last: bool) -> Iterator[str]:
    """The lines; and without up to `most` of the last, or first, as long as these are short."""
    yield "\n".join(lines)
    for count in range(1, min(most, len(lines) - 1) + 1):
        if len(lines[-count if last else count - 1]) > _LONGEST_HEAD:
            return
        yield "\n".join(lines[:-count] if last else lines[count:])


def cut_words(texts: Sequence[str]) -> list[str]:
    """Of each page of a book the word that is cut at its end, in one piece; "" where none is."""
    found = [""] * len(texts)
    korean: list[tuple[int, tuple[str, str]]] = []
    for number, (text, following) in enumerate(pairwise(texts)):
        for before, after in _sides(text, following):
            last = before[-_LONGEST_HEAD:]
            if before.endswith("-"):
                if (end := _HYPHENATED.search(last)) and (start := _GOES_ON.match(after)):
                    found[number] = found[number] or end[0] + start[0]
            elif HANGUL.match(after) and (end := _KOREAN_END.search(last)):
                korean.append((number, (end[0], _KOREAN_START.findall(after)[0])))
    together = belong_together([pair for _, pair in korean])
    for (number, (before, after)), joined in zip(korean, together, strict=True):
        if joined and not found[number]:
            found[number] = before + after
    return found
