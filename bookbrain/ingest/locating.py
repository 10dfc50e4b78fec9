"""Where the characters of a page's text are among those that its PDF draws."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from unicodedata import category, normalize

_HYPHENS = "-\u2010"  # some end a line, and are none of the text's
_REPLACEMENT = "\ufffd"  # stands for what could not be decoded


def locate(
    text: str, marks: Iterable[tuple[int, int]], drawn: Sequence[str]
) -> list[tuple[int, ...]]:
    """For each mark (start, end in `text`) the indexes of its characters in `drawn`, in order.

    `text` is what `joining` made of these characters: white space, hyphens, ligatures and accents
    may differ. Where anything else does, no mark has an index: it would stand in a wrong place.
    """
    wanted, there = _letters(text), _letters(drawn)
    if [letter for letter, _ in wanted] != [letter for letter, _ in there]:
        return [() for _ in marks]
    indexes = {
        place: [there[n][1] for n, _ in group]
        for place, group in groupby(enumerate(wanted), lambda item: item[1][1])
    }
    return [
        tuple(dict.fromkeys(i for place in range(*mark) for i in indexes.get(place, ())))
        for mark in marks
    ]


def _letters(characters: Iterable[str]) -> list[tuple[str, int]]:
    """What is left of them in every way to write a text, and of which character each was."""
    return [
        (letter, place)
        for place, character in enumerate(characters)
        for letter in _lasting(character)
    ]


@lru_cache(10_000)
def _lasting(character: str) -> str:
    """Its letters, digits and signs: no accents, white space, hyphens, nor what is none (NFKD)."""
    if character >= _REPLACEMENT:  # pdfium draws halves of what is beyond the first plane
        return ""
    parts = normalize("NFKD", character)
    return "".join(part for part in parts if category(part)[0] in "LNPS" and part not in _HYPHENS)
