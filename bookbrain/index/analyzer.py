"""Text becomes terms, the same for books and for queries; and other spellings of a term.

- Code identifiers keep their whole form ("=completablefuture.thencompose") beside their parts.
- Hangul gives its content morphemes, and every pair of syllables ("~비동") as a second signal.
- Words of Latin letters lose their accents and are stemmed as English (Snowball); other alphabets
  are case-folded without accents; Chinese and Japanese give pairs of characters.

All are terms of one index, told apart by their first character, so that a field costs a query no
more than a word does. The weights were chosen on tests/golden (tests/bench has the table).
"""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain, pairwise
from math import log
from string import ascii_lowercase

import Stemmer

from bookbrain.index.page_break import cut_words
from bookbrain.korean import HANGUL, MORPHEMES, kiwi
from bookbrain.model import Page

ANALYZER_VERSION = 5
WHOLE = "="  # marks an identifier's whole form
PAIR = "~"  # marks a pair of syllables
_MAX_TERM = 80
_PLAIN = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u2018\u2019\u201b\u02bc", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
}
_TOKEN = re.compile(
    r"""(?:(?<![\w-])--|[\\@$])? [A-Za-z0-9_] (?:[A-Za-z0-9_.\-/:@+\#]*[A-Za-z0-9_+\#])?  # code
      | [가-힣]+
      | [\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+
      | [^\W\d_]+""",
    re.VERBOSE,
)
_BEYOND_ASCII = re.compile("[\u00c0-\u024f\u1e00-\u1eff]")  # Latin letters
_UNDECOMPOSED = {
    "ß": "ss",
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "ı": "i",
}
_HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_PART = re.compile(r"[A-Za-z0-9]+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_HUMP = re.compile(r"[a-z][A-Z]|[A-Z]{2,}[a-z]")
# Kiwi's tags of words that carry meaning: nouns, numerals, verbs, adjectives, adverbs, roots.
_CONTENT_TAGS = frozenset({"NNG", "NNP", "NR", "VV", "VA", "MAG", "XR", "XPN"})
_stemmer = Stemmer.Stemmer("english")
_FUNCTION_WORDS = (
    "a an and any are as at be been but by can could did do does for from get had has have how "
    "i if in into is it its just me my no not of on one or our out over should so some than "
    "that the their them then there these they this to up us use was we were what when where "
    "which while who why will with without would you your"
)
# Searched for like any other word, for a plain stop list hurt English, but not marked in a snippet.
FUNCTION_WORDS = frozenset(_stemmer.stemWords(_FUNCTION_WORDS.split()))


def terms(text: str) -> list[str]:
    """The terms of one text, in the order of its words, with repetitions."""
    return terms_of([text])[0]


def terms_of(texts: Sequence[str]) -> list[list[str]]:
    """The terms of each text; Korean on all cores."""
    folded = [fold(text) for text in texts]
    with_hangul = [index for index, text in enumerate(folded) if HANGUL.search(text)]
    result = [list(_without_morphemes(text)) for text in folded]
    if with_hangul:
        tokens = kiwi().tokenize((folded[index] for index in with_hangul), match_options=MORPHEMES)
        for index, of_text in zip(with_hangul, tokens, strict=True):
            result[index] += [
                token.form
                for token in of_text
                if token.tag.partition("-")[0] in _CONTENT_TAGS and HANGUL.search(token.form)
            ]
    return result


def fold(text: str) -> str:
    """NFKC with plain dashes and quotation marks."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text)
    for variant, plain in _PLAIN.items():  # str.translate takes ten times as long
        text = text.replace(variant, plain)
    return text


def literal_terms(text: str) -> list[str]:
    """Terms that every page with `text` on it has, however the words around it are analysed.

    Whole forms and morphemes depend on what stands beside them; parts and pairs do not.
    """
    return [term for term in _without_morphemes(fold(text)) if not term.startswith(WHOLE)]


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The term that a single word of an alphabet becomes."""
    word = _in_ascii(word)
    return str(_stemmer.stemWord(word.lower())) if word.isascii() else _unaccented(word)


def _without_morphemes(text: str) -> Iterator[str]:
    return chain.from_iterable(map(_token_terms, _TOKEN.findall(_in_ascii(text))))


def _in_ascii(text: str) -> str:
    """The text with Latin letters as ASCII has them, or naïve would be the words na and ve."""
    return _BEYOND_ASCII.sub(lambda letter: _ascii_letter(letter[0]), text)


@cache
def _ascii_letter(letter: str) -> str:
    plain = _UNDECOMPOSED.get(letter.lower()) or unicodedata.normalize("NFKD", letter)[0]
    return plain if plain.isascii() else letter


@lru_cache(maxsize=1 << 16)
def _token_terms(token: str) -> tuple[str, ...]:
    """The terms of one match of `_TOKEN`, whose first character tells its kind."""
    if token[0].isascii():
        return tuple(_code_terms(token))
    pairs = tuple(PAIR + a + b for a, b in pairwise(token))
    if HANGUL.match(token):
        return pairs
    if _HAN.match(token):
        return pairs or (PAIR + token,)
    return (_unaccented(token),)


def _code_terms(token: str) -> Iterator[str]:
    """A plain word gives its stem; anything with more to it also its whole form and parts."""
    parts = _PART.findall(token)
    if parts != [token]:
        yield (WHOLE + token.lower().strip(".:/"))[:_MAX_TERM]
    for part in parts:
        yield stem(part)[:_MAX_TERM]
        if _HUMP.search(part):
            yield from (stem(hump) for hump in _CAMEL.findall(part) if len(hump) > 1)


def _unaccented(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))[:_MAX_TERM]


HEADING = "#"  # marks a term of a heading that begins on the page
BESIDE = "&"  # marks two words of meaning side by side, in either order; Hangul has its pairs
_FIELDS = (HEADING, BESIDE)
_FUNCTION_WORD, _PAIR, _HEADING, _BESIDE = 0.5, 0.3, 0.15, 0.8


def is_word(term: str) -> bool:
    """Whether a term counts towards the length of its page, as all do that its text gives."""
    return term[:1] not in _FIELDS


def page_terms(pages: Sequence[Page]) -> list[list[str]]:
    """The terms of each page with all its fields; none for one that has a problem and no text.

    A word that is cut at the end of a page is a word of that page, and so is one that is spelled
    out on a line of its own.
    """
    own = [page.text for page in pages]
    texts = [
        " ".join(filter(None, (text, cut, *spelled_words(text))))
        for text, cut in zip(own, cut_words(own), strict=True)
    ]
    headings = [
        ""
        if page.problem and not page.text
        else "\n".join(heading.title for heading in page.headings)
        for page in pages
    ]
    words = terms_of([*texts, *headings])
    return [
        [*of_text, *_beside(of_text), *(HEADING + term for term in dict.fromkeys(of_headings))]
        for of_text, of_headings in zip(words, words[len(texts) :], strict=False)
    ]


_SPELLED = re.compile(
    r"""^[ ]*(?:제[ ]*\d+[ ]*[장절][ ]+|\d+(?:\.\d+)*\.?[ ]+)?
      ((?:[^\W\d_가-힣](?:[ ]+[^\W\d_가-힣]){3,} | [가-힣](?:[ ]+[가-힣]){1,11}))[ ]*$""",
    re.MULTILINE | re.VERBOSE,
)


def spelled_words(text: str) -> list[str]:
    """The words of lines whose letters stand apart, as headings may: S C H E D U L I N G, 목 차.

    More than one space is between two words.
    """
    return [
        "".join(word.split())
        for line in _SPELLED.findall(text)
        for word in re.split("[ ]{2,}", line)
        if len(word) > 2
    ]


def query_weights(terms: Sequence[str]) -> dict[str, float]:
    """What each term of a query counts, in every field; a repeated term counts again."""
    weights: dict[str, float] = {}
    for term in terms:
        weight = _PAIR if term.startswith(PAIR) else 1.0
        if term in FUNCTION_WORDS:
            weight = _FUNCTION_WORD
        weights[term] = weights.get(term, 0) + weight
        weights[HEADING + term] = weights.get(HEADING + term, 0) + weight * _HEADING
    for pair in _beside(terms):
        weights[pair] = weights.get(pair, 0) + _BESIDE
    return weights


def _beside(terms: Sequence[str]) -> Iterator[str]:
    words = filter(_has_neighbours, terms)
    return (f"{BESIDE}{a} {b}" if a < b else f"{BESIDE}{b} {a}" for a, b in pairwise(words))


@lru_cache(maxsize=1 << 16)
def _has_neighbours(term: str) -> bool:
    """Whether it is a word of meaning for which it counts what stands beside it."""
    return not (term.startswith((PAIR, WHOLE)) or term in FUNCTION_WORDS or HANGUL.match(term))


Shares = Callable[[Sequence[str]], Mapping[str, float]]
_LATIN = re.compile(r"(?<![^\W_])[a-z]{4,30}(?![^\W_])")  # of a shorter word all is one slip away
_OTHER_ALPHABET, _CORRECTED = 0.7, 0.8  # what they count beside the word as it was typed


def other_spellings(text: str, terms: Sequence[str], shares: Shares) -> dict[str, float]:
    """Terms that a query means as well, with weights; `shares` tells how many pages have a term.

    쿠버네티스 gives kubernetes, and the other way round. A word that no page has gives the most
    frequent of the words that one slip of a finger away from it are on a page.
    """
    found = {}
    words = {word: stem(word) for word in _LATIN.findall(fold(text).lower())}
    known = shares([*words.values()])
    for word in (word for word, term in words.items() if not known[term]):
        near = shares([*_one_slip_away(word)])
        best = max(near, key=lambda term: near[term])
        if near[best]:
            found[best] = _CORRECTED
    pairs = [*dict.fromkeys(_in_other_alphabet(text, terms))]
    meant = terms_of([other for _, other in pairs])
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
            yield stem(head + tail[1:])
        if len(tail) > 1:
            yield stem(head + tail[1] + tail[0] + tail[2:])
        for letter in ascii_lowercase:
            yield stem(head + letter + tail)
            yield stem(head + letter + tail[1:])


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
    for word in HANGUL.findall(fold(text)):  # with its particles: 쿠버네티스에서
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
    return {stem(word): forms for word, forms in words.items()}, to_latin
