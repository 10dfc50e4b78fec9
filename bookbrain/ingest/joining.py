"""Lines of a page become text again: words that a break cut are joined, code stays as it is."""

import re
from collections.abc import Container, Sequence
from itertools import pairwise
from statistics import quantiles

from bookbrain import korean

_CODE_START = re.compile(
    r"""\s*(?:[$\#%>]\s|>>>|\.\.\.\s|//|/\*|\\[a-z]+[\[{]|@\w+|<[/\w][^>]*>\s*$
      | (?:import|from|def|class|return|public|private|static|SELECT|INSERT|sudo|apt)\s\S)""",
    re.VERBOSE,
)
_CODE = re.compile(
    r"""[{};]\s*$            # ends as code does
      | \w\(.*\)\s*[;{:]?$ | [=!<>]=|=>|->|&&|\|\||::|:=|\+\+ | \w=\S""",
    re.VERBOSE,
)
_CODE_SIGN = re.compile("[{};(=>&|:+]")  # without one `_CODE` finds nothing, and takes longer
_ITEM = re.compile(r"^\s*(?:[•◦▪‣∙·*–—-]\s|\(?\d{1,2}[.)]\s|\d+(?:\.\d+)+\.?\s|제\s*\d+\s*[장절])")
_SENTENCE_END = re.compile(r"[.!?。:;]['\"”’)\]]*$")
_WIDE = re.compile("[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff01-\uff60]")
_HANGUL_END = re.compile(r"(?:\S+ )?\S*[가-힣]$")
_HANGUL_START = re.compile(r"[가-힣]\S*(?: \S+)?")


def join_lines(pages: Sequence[str]) -> list[str]:
    """Undo the line breaks inside paragraphs; a Korean word cut in two becomes one again."""
    split = [page.split("\n") for page in pages]
    wrapped = [_wrapped(lines) for lines in split]
    breaks = [
        (number, index, before.group(), after.group())
        for number, lines in enumerate(split)
        for index in sorted(wrapped[number])
        if korean.HANGUL.match(lines[index][-1:])  # which most lines are past by
        and (before := _HANGUL_END.search(lines[index]))
        and (after := _HANGUL_START.match(lines[index + 1]))
    ]
    together = _are_one_word([(before, after) for _, _, before, after in breaks], split)
    glued = {place[:2] for place, joined in zip(breaks, together, strict=True) if joined}
    return [_joined(n, lines, wrapped[n], glued) for n, lines in enumerate(split)]


def _joined(
    number: int, lines: Sequence[str], wrapped: Container[int], glued: Container[tuple[int, int]]
) -> str:
    parts = [lines[0]]
    for index, line in enumerate(lines[1:]):
        parts.append("" if (number, index) in glued else " " if index in wrapped else "\n")
        parts.append(line)
    return "".join(parts)


def is_code(line: str) -> bool:
    """Whether a line looks like code or a command, rather than prose."""
    return bool(_CODE_START.match(line) or (_CODE_SIGN.search(line) and _CODE.search(line)))


def _wrapped(lines: Sequence[str]) -> set[int]:
    """The lines whose break is only the page's margin."""
    widths = [
        len(line) if line.isascii() else len(line) + len(_WIDE.findall(line)) for line in lines
    ]
    used = [width for width in widths if width]
    full = quantiles(used, n=10)[-2] if len(used) > 1 else float("inf")
    stiff = [is_code(line) or not line for line in lines]
    return {
        index
        for index, (line, following) in enumerate(pairwise(lines))
        if not (stiff[index] or stiff[index + 1] or _ITEM.match(following))
        and _reaches_margin(line, widths[index], full)
    }


def _reaches_margin(line: str, width: int, full: float) -> bool:
    return width >= 0.85 * full or (width >= 0.6 * full and not _SENTENCE_END.search(line))


def _are_one_word(pairs: Sequence[tuple[str, str]], pages: Sequence[Sequence[str]]) -> list[bool]:
    """Whether the words at each break are one: by the book's own words if they tell, else Kiwi."""
    if not pairs:
        return []
    inner = (word for lines in pages for line in lines for word in line.split()[1:-1])
    words = {word for word in inner if korean.HANGUL.search(word)}
    answers: dict[tuple[str, str], bool] = {}
    for before, after in pairs:
        first, second = before.split()[-1], after.split()[0]
        joined, apart = first + second in words, first in words and second in words
        if joined != apart:
            answers[before, after] = joined
    unsure = [pair for pair in dict.fromkeys(pairs) if pair not in answers]
    answers.update(zip(unsure, korean.belong_together(unsure), strict=True))
    return [answers[pair] for pair in pairs]
