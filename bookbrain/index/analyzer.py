"""Text becomes terms: the one function for books and for queries.

- Code identifiers keep their whole form ("=completablefuture.thencompose") beside their parts.
- Hangul gives its content morphemes, and every pair of syllables ("~비동") as a second signal.
- English is stemmed (Snowball); other alphabets are case-folded without accents; Chinese and
  Japanese give pairs of characters.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

import Stemmer

from bookbrain import korean

ANALYZER_VERSION = 2

WHOLE = "="  # marks an identifier's whole form
PAIR = "~"  # marks a pair of syllables
_MAX_TERM = 80

_PLAIN = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u2018\u2019\u201b\u02bc", "'"),
}
_TOKEN = re.compile(
    r"""(?:(?<![\w-])--|[\\@$])? [A-Za-z0-9_] (?:[A-Za-z0-9_.\-/:@+\#]*[A-Za-z0-9_+\#])?  # code
      | [가-힣]+
      | [\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+
      | [^\W\d_]+""",
    re.VERBOSE,
)
_HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_PART = re.compile(r"[A-Za-z0-9]+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_HUMP = re.compile(r"[a-z][A-Z]|[A-Z]{2,}[a-z]")

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
    with_hangul = [index for index, text in enumerate(folded) if korean.HANGUL.search(text)]
    result = [list(_without_morphemes(text)) for text in folded]
    if with_hangul:
        morphemes = korean.content_morphemes(folded[index] for index in with_hangul)
        for index, found in zip(with_hangul, morphemes, strict=True):
            result[index] += found
    return result


def fold(text: str) -> str:
    """NFKC with plain dashes and apostrophes."""
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
    return str(_stemmer.stemWord(word.lower())) if word.isascii() else _unaccented(word)


def _without_morphemes(text: str) -> Iterator[str]:
    return chain.from_iterable(map(_token_terms, _TOKEN.findall(text)))


@lru_cache(maxsize=1 << 16)
def _token_terms(token: str) -> tuple[str, ...]:
    """The terms of one match of `_TOKEN`, whose first character tells its kind."""
    if token[0].isascii():
        return tuple(_code_terms(token))
    pairs = tuple(PAIR + pair for pair in korean.bigrams(token))
    if korean.HANGUL.match(token):
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
