"""What a model says that a page reads, as far as tesseract saw the same: a model invents.

Its words take the boxes and the confidence of those that tesseract read at their places. Nothing
comes in that has no counterpart there, whatever the picture or the model says, and no other number
in the same word: tesseract takes digits for letters, but hardly ever for other digits. How alike
words and lines have to be was measured: tests/bench/README.md.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from unicodedata import normalize

from bookbrain.ocr.engine import Word, mean_confidence, widths_of

VERSION = 1  # counts the ways in which both were compared
ALIKE = 0.65  # of the letters of words that are the same words
LEAST_OF_LINE = 0.6  # of a line's letters in such words: below, it is another line
LEAST_OF_PAGE = 0.2  # of a page's
_LINKED = 0.5  # of the letters of the shorter of two words
_LONGEST, _MORE = 2, 2000  # times the letters of a page, and so many more: no page says that
_LARGEST = 1_000_000  # pairs of letters that are compared at once: seconds, at the very worst
_MARKUP = "*`"
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Pair:
    """Words at one place: those that tesseract read from `start` to `stop`, and what is `said`."""

    start: int
    stop: int
    said: tuple[str, ...]


def agreed_words(read: Sequence[Word], said: str) -> tuple[Word, ...] | None:
    """The words of a page as the model says them where both agree, and else as tesseract read them.

    `read` is in reading order. None where they hardly agree: then the answer is of no page.
    """
    pairs = [pair for pair in _pairs(read, _tokens(read, said)) if _is_alike(read, pair)]
    alike = {place for pair in pairs for place in range(pair.start, pair.stop)}
    if _share(read, range(len(read)), alike) < LEAST_OF_PAGE:
        return None
    lines = {
        line
        for line, places in groupby(range(len(read)), lambda place: read[place].line)
        if _share(read, list(places), alike) >= LEAST_OF_LINE
    }
    if not lines:
        return None
    made: list[Word] = []
    place = 0
    for pair in pairs:
        own = read[pair.start : pair.stop]
        fits = own[0].line == own[-1].line and own[0].line in lines
        if fits and not _is_other_number(own, pair.said):
            made += [*read[place : pair.start], *_placed(own, pair.said)]
            place = pair.stop
    return (*made, *read[place:])


def _tokens(read: Sequence[Word], said: str) -> list[str]:
    """The words that are said; none where they are far too many."""
    if len(said) > _LONGEST * sum(len(word.text) + 1 for word in read) + _MORE:
        return []
    words = ("".join(filter(str.isprintable, word)) for word in normalize("NFC", said).split())
    return [word for word in words if word]


def _share(read: Sequence[Word], places: Sequence[int], alike: set[int]) -> float:
    """The share of the letters at these places that are in words that are alike."""
    size = sum(len(read[place].text) for place in places)
    return sum(len(read[place].text) for place in places if place in alike) / max(size, 1)


# Which words stand at one place


def _pairs(read: Sequence[Word], tokens: Sequence[str]) -> Iterator[_Pair]:
    texts, others = (list(map(_letters, words)) for words in ([w.text for w in read], tokens))
    steps = SequenceMatcher(None, texts, others, autojunk=False).get_opcodes()
    for step, start, stop, first, last in steps:
        if step == "equal":
            yield from (
                _Pair(start + n, start + n + 1, (tokens[first + n],)) for n in range(stop - start)
            )
        elif step == "replace":
            for own, said in _near(texts[start:stop], others[first:last]):
                words = (tokens[first + place] for place in said)
                yield _Pair(start + own[0], start + own[-1] + 1, tuple(words))


def _near(texts: Sequence[str], tokens: Sequence[str]) -> Iterator[tuple[list[int], list[int]]]:
    """Words that have letters in common, by their places in both; those that are parted otherwise
    are together. What only one of both has between these is no part of it."""
    written, told = "".join(texts), "".join(tokens)
    if len(written) * len(told) > _LARGEST:
        return
    own, other = (
        [place for place, word in enumerate(words) for _ in word] for words in (texts, tokens)
    )
    blocks = SequenceMatcher(None, written, told, autojunk=False).get_matching_blocks()
    common = Counter(
        (own[a + step], other[b + step]) for a, b, size in blocks for step in range(size)
    )
    links = [
        link
        for link, count in sorted(common.items())
        if count >= _LINKED * min(len(texts[link[0]]), len(tokens[link[1]]))
    ]
    groups: list[list[tuple[int, int]]] = []
    for link in links:
        if groups and (groups[-1][-1][0] == link[0] or groups[-1][-1][1] == link[1]):
            groups[-1].append(link)
        else:
            groups.append([link])
    for group in groups:
        here, there = (sorted(set(places)) for places in zip(*group, strict=True))
        if len(here) == here[-1] - here[0] + 1:
            yield here, there


def _is_alike(read: Sequence[Word], pair: _Pair) -> bool:
    written = _letters("".join(word.text for word in read[pair.start : pair.stop]))
    told = _letters("".join(pair.said))
    return written == told or SequenceMatcher(None, written, told, autojunk=False).ratio() >= ALIKE


def _letters(text: str) -> str:
    """Its letters; a syllable of Hangul has two or three, of which recognition takes one for
    another."""
    return normalize("NFD", text)


def _is_other_number(own: Sequence[Word], said: Sequence[str]) -> bool:
    """Whether both are the same but for the numbers in them, and signs."""
    written, told = (
        "".join(filter(str.isalnum, "".join(words))) for words in ([w.text for w in own], said)
    )
    return written != told and _NUMBER.sub("#", written) == _NUMBER.sub("#", told)


# Where what is said stands


def _placed(own: Sequence[Word], said: Sequence[str]) -> list[Word]:
    """What is said in the boxes of what was read: one in each, or all divided by their letters."""
    said = _without_markup(said, "".join(word.text for word in own))
    if len(said) == len(own):
        return [replace(word, text=text) for word, text in zip(own, said, strict=True)]
    lefts, tops, rights, bottoms = zip(*(word.box for word in own), strict=True)
    left, wide = min(lefts), max(rights) - min(lefts)
    widths = [sum(widths_of(text)) for text in said]
    ends = [sum(widths[:n]) / sum(widths) for n in range(len(said) + 1)]
    sides = [left + round(wide * end) for end in ends]
    confidence = round(mean_confidence([(word.text, word.confidence) for word in own]), 1)
    return [
        Word(
            text, (side, min(tops), max(next_side, side + 1), max(bottoms)), confidence, own[0].line
        )
        for text, (side, next_side) in zip(said, pairwise(sides), strict=True)
    ]


def _without_markup(said: Sequence[str], written: str) -> list[str]:
    """What is said without the signs of Markdown around it that are not on the page."""
    signs = "".join(sign for sign in _MARKUP if sign not in written)
    return [text.strip(signs) or text for text in said]
