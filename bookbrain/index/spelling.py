"""Other spellings of what a query asks for: words in the other alphabet, and typing slips."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from math import log
from string import ascii_lowercase

from bookbrain import korean
from bookbrain.index import analyzer

Shares = Callable[[Sequence[str]], Mapping[str, float]]

_LATIN = re.compile(r"(?<![^\W_])[a-z]{4,30}(?![^\W_])")  # of a shorter word all is one slip away
_OTHER_ALPHABET, _CORRECTED = 0.7, 0.8  # what they count beside the word as it was typed


def other_spellings(text: str, terms: Sequence[str], shares: Shares) -> dict[str, float]:
    """Terms that a query means as well, with weights; `shares` tells how many pages have a term.

    쿠버네티스 gives kubernetes, and the other way round. A word that no page has gives the most
    frequent of the words that one slip of a finger away from it are on a page.
    """
    found = {}
    words = {word: analyzer.stem(word) for word in _LATIN.findall(analyzer.fold(text).lower())}
    known = shares([*words.values()])
    for word in (word for word, term in words.items() if not known[term]):
        near = shares([*_one_slip_away(word)])
        best = max(near, key=lambda term: near[term])
        if near[best]:
            found[best] = _CORRECTED
    pairs = [*dict.fromkeys(_in_other_alphabet(text, terms))]
    meant = analyzer.terms_of([other for _, other in pairs])
    known = shares([typed for typed, _ in pairs] + [other for others in meant for other in others])
    for (typed, _), others in zip(pairs, meant, strict=True):
        for other in others:
            weight = _OTHER_ALPHABET * _likeness(known[typed], known[other])
            found[other] = weight / len(others)
    return {term: weight for term, weight in found.items() if term not in terms}


def _one_slip_away(word: str) -> Iterator[str]:
    """The stems of all words with one letter left out, added, wrong, or two of them swapped."""
    for place in range(len(word) + 1):
        head, tail = word[:place], word[place:]
        if tail:
            yield analyzer.stem(head + tail[1:])
        if len(tail) > 1:
            yield analyzer.stem(head + tail[1] + tail[0] + tail[2:])
        for letter in ascii_lowercase:
            yield analyzer.stem(head + letter + tail)
            yield analyzer.stem(head + letter + tail[1:])


def _likeness(typed: float, other: float) -> float:
    """What a rare spelling of a frequent word counts: no more than the word as it was typed.

    In an English library a Korean page would else be the best for any English word.
    """
    return log(typed) / log(other) if other < typed < 1 and other > 0 else 1.0


def _in_other_alphabet(text: str, terms: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Words of the query with their other spelling."""
    to_hangul, to_latin = _loanwords()
    for term in terms:
        for form in to_hangul.get(term, ()):
            yield term, form
        if term in to_latin and len(term) > 1:  # 풀 may be of 풀다
            yield term, to_latin[term]
    for word in korean.HANGUL.findall(analyzer.fold(text)):  # with its particles: 쿠버네티스에서
        ends = (len(word), *range(len(word) - 1, 1, -1))
        known = (word[:end] for end in ends if word[:end] in to_latin)
        if longest := next(known, None):
            yield longest, to_latin[longest]


@cache
def _loanwords() -> tuple[dict[str, list[str]], dict[str, str]]:
    """By stem the Hangul spellings; by Hangul spelling the English word."""
    text = (files("bookbrain.index") / "loanwords.toml").read_text(encoding="utf-8")
    words: dict[str, list[str]] = tomllib.loads(text)
    to_latin = {form: word for word, forms in words.items() for form in forms}
    return {analyzer.stem(word): forms for word, forms in words.items()}, to_latin
