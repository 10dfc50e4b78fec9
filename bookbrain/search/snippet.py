"""The piece of a page that shows why it was found, with the matches marked."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain, islice, repeat

from bookbrain import korean
from bookbrain.index.analyzer import PAIR, WHOLE, fold, stem
from bookbrain.listed import LISTED, is_listed

Mark = tuple[int, int]  # start, end of a match in the page's text
WeightedMark = tuple[Mark, float]
_Kind = tuple[re.Pattern[str], Callable[[str], bool]]  # of words; and of the characters in them
_WIDTH = 280
_LEAD = 60  # characters shown before the first match
_LETTERS = re.compile(r"[^\W\d_]+"), str.isalpha
_DIGITS = re.compile(r"\d+"), str.isdecimal
_BOTH = re.compile(r"[^\W_]+"), str.isalnum
_ACCENTED = re.compile("[\u00c0-\u1fff]")  # letters of alphabets that have accents
_ACCENTED_WORD = re.compile(rf"[A-Za-z]*{_ACCENTED.pattern}[^\W\d_]*")


@dataclass(frozen=True, slots=True)
class Snippet:
    """`html` is escaped text with `<mark>`; `start` is where in the page the first match stands."""

    html: str
    start: int


class Marker:
    """Finds where a query's terms (with their weights) and phrases stand on one page after another.

    Longer matches win over shorter ones that they overlap.
    """

    def __init__(self, weights: Mapping[str, float], phrases: Sequence[re.Pattern[str]]) -> None:
        self._phrases = phrases
        self._wholes = {t[1:]: 2 * w for t, w in weights.items() if t.startswith(WHOLE)}
        self._pairs = {t[1:]: w for t, w in weights.items() if t.startswith(PAIR)}
        self._hangul = {t: w for t, w in weights.items() if korean.HANGUL.fullmatch(t)}
        words = weights.keys() - self._hangul.keys()
        self._words = {t: weights[t] for t in words if not t.startswith((WHOLE, PAIR))}

    def find(self, text: str) -> dict[Mark, float]:
        """The marks of one page with their weights, in the order of their places."""
        text = _by_character(fold, text)
        found = chain(self._literal_marks(text), self._hangul_marks(text), self._word_marks(text))
        return _without_overlaps(dict(found))

    def _literal_marks(self, text: str) -> Iterator[WeightedMark]:
        for phrase in self._phrases:
            for match in phrase.finditer(text):
                yield match.span(), 10.0
        if self._wholes:
            lowered = _by_character(str.lower, text)
            for whole, weight in self._wholes.items():
                yield from zip(_places(whole, lowered), repeat(weight))

    def _hangul_marks(self, text: str) -> Iterator[WeightedMark]:
        for form, weight in self._hangul.items():
            # One syllable is a match only where a word begins: 글 in 글꼴, not in 한글.
            for start, end in _places(form, text):
                if len(form) > 1 or not korean.HANGUL.match(text[start - 1 : start]):
                    yield (start, end), weight
        for pair, weight in self._pairs.items():
            for start, end in _words_at(pair, _LETTERS, text):
                if end == start + len(pair):
                    yield (start, end), weight

    def _word_marks(self, text: str) -> Iterator[WeightedMark]:
        lowered = _by_character(str.lower, text)
        for term, weight in self._words.items():
            # A stem is what its words begin with, but for its last letter: happi of happy.
            beginning = term if term.isdecimal() else term[: max(len(term) - 1, 2)]
            for start, end in _words_at(beginning, _kind(term), lowered):
                if stem(text[start:end]) == term:
                    yield (start, end), weight
        if self._words and _ACCENTED.search(text):
            for match in _ACCENTED_WORD.finditer(text):
                if weight := self._words.get(stem(match.group()), 0.0):
                    yield match.span(), weight


def _by_character(change: Callable[[str], str], text: str) -> str:
    """The text changed, its places as they are: a character that would become several stays."""
    changed = change(text)
    if len(changed) == len(text):
        return changed
    return "".join(one if len(one := change(character)) == 1 else character for character in text)


def _places(part: str, text: str) -> Iterator[Mark]:
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        yield start, end
        start = text.find(part, end)


def _kind(term: str) -> _Kind:
    """What words like it are made of: letters, digits, or as amd64 both."""
    return _LETTERS if term.isalpha() else _DIGITS if term.isdecimal() else _BOTH


def _words_at(beginning: str, kind: _Kind, text: str) -> Iterator[Mark]:
    """The words of a kind that begin so."""
    words, goes_on = kind
    for start, _ in _places(beginning, text):
        if not goes_on(text[start - 1 : start]) and (word := words.match(text, start)):
            yield word.span()


def _without_overlaps(found: Mapping[Mark, float]) -> dict[Mark, float]:
    kept: dict[Mark, float] = {}
    end = -1
    for mark in sorted(found, key=lambda m: (m[0], -m[1])):
        if mark[0] >= end:
            kept[mark] = found[mark]
            end = mark[1]
    return kept


def make_snippet(text: str, marks: Mapping[Mark, float], fallback: int = 0) -> Snippet:
    """The window of the page with the most different matches; from `fallback` where none is.

    It is one line; but where a listing is in it, that has its lines, a newline before and after.
    """
    places = sorted(marks)
    first = _best_start(text, places, marks) if places else fallback
    start = _word_start(text, max(first - _LEAD, 0)) if places else fallback
    end = _word_end(text, min(start + _WIDTH, len(text)))
    listing = None
    if is_listed(text) or f"{LISTED}\n" in text:
        start, listing, end = _around_listing(text, start, first, end)
    if listing is None:
        body = " ".join(_html(text, start, end, places).split())
        return Snippet(f"{'… ' if start else ''}{body}{' …' if end < len(text) else ''}", first)
    parts = ((start, listing[0]), listing, (listing[1], end))
    before, code, after = (_html(text, *part, places) for part in parts)
    before = " ".join([*(["…"] if start else []), *before.split()])
    after = " ".join([*after.split(), *(["…"] if end < len(text) else [])])
    code = "\n".join(line.rstrip() for line in code.rstrip("\n").split("\n"))
    return Snippet(f"{before}\n{code}\n{after}", first)


def _html(text: str, start: int, end: int, places: Iterable[Mark]) -> str:
    """A part of the text, escaped, with the marks that are in it."""
    parts, position = [], start
    for a, b in places:
        if start <= a and b <= end:
            parts += [escape(text[position:a]), "<mark>", escape(text[a:b]), "</mark>"]
            position = b
    return "".join([*parts, escape(text[position:end])])


_LISTING = re.compile(rf"(?:^[^\n]*{LISTED}(?:\n|\Z))+", re.MULTILINE)
_LONGEST_LISTING = 1_800  # characters; of a longer one only the lines of the window are shown


def _around_listing(
    text: str, start: int, first: int, end: int
) -> tuple[int, tuple[int, int] | None, int]:
    """The window with one whole listing, if it has any, and where that is: the one of the first
    match, or the first one. No other is in the window."""
    listings = [match.span() for match in _LISTING.finditer(text)]
    inside = [(a, b) for a, b in listings if a < end and start < b]
    if not inside:
        return start, None, end
    a, b = shown = next(((a, b) for a, b in inside if a <= first < b), inside[0])
    if b - a > _LONGEST_LISTING:
        a = max(text.rfind("\n", a, max(start, a)) + 1, a)
        line_end = text.find("\n", min(end, b), b)
        b = line_end + 1 if line_end >= 0 else b
    clear = max((y for _, y in inside if y <= shown[0]), default=start)
    until = min((x for x, _ in inside if x >= shown[1]), default=end)
    return min(max(start, clear), a), (a, b), max(min(end, until), b)


def _best_start(text: str, places: list[Mark], weights: Mapping[Mark, float]) -> int:
    """The match that opens the best window: each different word counts once, repetitions little."""
    marked = [(mark[1], text[mark[0] : mark[1]].lower(), weights[mark]) for mark in places]
    best, best_score = places[0][0], -1.0
    for index, (start, _) in enumerate(places):
        seen: set[str] = set()
        score = 0.0
        for end, word, weight in islice(marked, index, None):
            if end > start + _WIDTH - _LEAD:
                break
            score += weight * (0.1 if word in seen else 1)
            seen.add(word)
        if score > best_score + 1e-9:
            best, best_score = start, score
    return best


def _word_start(text: str, position: int) -> int:
    """The start of the next word, so that a snippet does not begin inside one."""
    space = re.compile(r"[ \n]").search(text, position, position + 25) if position else None
    return space.end() if space else position


def _word_end(text: str, position: int) -> int:
    if position >= len(text):
        return len(text)
    space = max(text.rfind(" ", position - 25, position), text.rfind("\n", position - 25, position))
    return space if space > 0 else position
