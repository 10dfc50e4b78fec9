"""The piece of a page that shows why it was found, with the matches marked."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from bookbrain import korean
from bookbrain.index.analyzer import PAIR, WHOLE, fold, stem
from bookbrain.index.query import phrase_pattern

Mark = tuple[int, int]  # start, end of a match in the page's text

_WIDTH = 280
_LEAD = 60  # characters shown before the first match
_WORD = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True, slots=True)
class Snippet:
    """`html` is escaped text with `<mark>`; `start` is where in the page the first match stands."""

    html: str
    start: int


def find_marks(
    text: str, weights: Mapping[str, float], phrases: Iterable[str]
) -> dict[Mark, float]:
    """Where the terms (with their weights) and phrases stand in `text`; weights by place.

    Longer matches win over shorter ones that they overlap.
    """
    folded = fold(text)
    if len(folded) != len(text):  # a ligature or a fraction became several characters
        folded = text
    found: dict[Mark, float] = {}
    for phrase in phrases:
        for match in phrase_pattern(phrase).finditer(folded):
            found[match.span()] = 10.0
    wholes = {term[1:]: weight for term, weight in weights.items() if term.startswith(WHOLE)}
    syllables = {t: w for t, w in weights.items() if korean.HANGUL.fullmatch(t)}
    _find_wholes(folded, wholes, found)
    _find_words(folded, weights, found)
    _find_hangul(folded, syllables, found)
    return _without_overlaps(found)


def _find_wholes(text: str, wholes: Mapping[str, float], found: dict[Mark, float]) -> None:
    lowered = text.lower()
    for whole, weight in wholes.items():
        position = lowered.find(whole) if len(lowered) == len(text) else -1
        while position >= 0:
            found[position, position + len(whole)] = 2 * weight
            position = lowered.find(whole, position + 1)


def _find_words(text: str, weights: Mapping[str, float], found: dict[Mark, float]) -> None:
    known: dict[str, float] = {}
    for match in _WORD.finditer(text):
        word = match.group()
        if word not in known:
            pair = weights.get(PAIR + word, 0.0) if len(word) == 2 else 0.0
            known[word] = weights.get(stem(word)) or pair
        if known[word]:
            found[match.span()] = known[word]


def _find_hangul(text: str, syllables: Mapping[str, float], found: dict[Mark, float]) -> None:
    for form, weight in syllables.items():
        # One syllable is a match only where a word begins: 글 in 글꼴, not in 한글.
        pattern = re.escape(form) if len(form) > 1 else rf"(?<![가-힣]){re.escape(form)}"
        for match in re.finditer(pattern, text):
            found[match.span()] = weight


def _without_overlaps(found: Mapping[Mark, float]) -> dict[Mark, float]:
    kept: dict[Mark, float] = {}
    end = -1
    for mark in sorted(found, key=lambda m: (m[0], -m[1])):
        if mark[0] >= end:
            kept[mark] = found[mark]
            end = mark[1]
    return kept


def make_snippet(text: str, marks: Mapping[Mark, float], fallback: int = 0) -> Snippet:
    """The window of the page with the most different matches; from `fallback` where none is."""
    places = sorted(marks)
    first = _best_start(text, places, marks) if places else fallback
    start = _word_start(text, max(first - _LEAD, 0)) if places else fallback
    end = _word_end(text, min(start + _WIDTH, len(text)))
    parts, position = [], start
    for a, b in places:
        if start <= a and b <= end:
            parts += [escape(text[position:a]), "<mark>", escape(text[a:b]), "</mark>"]
            position = b
    parts.append(escape(text[position:end]))
    body = " ".join("".join(parts).split())
    return Snippet(f"{'… ' if start else ''}{body}{' …' if end < len(text) else ''}", first)


def _best_start(text: str, places: list[Mark], weights: Mapping[Mark, float]) -> int:
    """The match that opens the best window: each different word counts once, repetitions little."""
    best, best_score = places[0][0], -1.0
    for index, (start, _) in enumerate(places):
        seen: dict[str, float] = {}
        score = 0.0
        for mark in places[index:]:
            if mark[1] > start + _WIDTH - _LEAD:
                break
            word = text[mark[0] : mark[1]].lower()
            score += weights[mark] * (0.1 if word in seen else 1)
            seen[word] = 1
        if score > best_score + 1e-9:
            best, best_score = start, score
    return best


def _word_start(text: str, position: int) -> int:
    """The start of the next word, so that a snippet does not begin inside one."""
    if position == 0:
        return 0
    space = text.find(" ", position, position + 25)
    newline = text.find("\n", position, position + 25)
    found = [place for place in (space, newline) if place >= 0]
    return min(found) + 1 if found else position


def _word_end(text: str, position: int) -> int:
    if position >= len(text):
        return len(text)
    space = max(text.rfind(" ", position - 25, position), text.rfind("\n", position - 25, position))
    return space if space > 0 else position
