"""A query: what was typed, its terms and their weights, and which pages may be found."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bookbrain.errors import InputError
from bookbrain.index import analyzer
from bookbrain.index.analyzer import fold
from bookbrain.index.bm25 import KeywordIndex, Mask
from bookbrain.store.catalog import Catalog

MAX_QUERY = 2_000  # characters; the rest of a longer one is not looked at
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_QUOTES = str.maketrans("“”„‟«»「」『』", '""""""""""')
# Minus and a letter: -1 and --option are words, not exclusions.
_CLAUSE = re.compile(r'(?<!\S)(?P<minus>-)?"(?P<phrase>[^"]+)"|(?<!\S)-(?P<word>[^\W\d_][^\s"]+)')


@dataclass(frozen=True, slots=True)
class Query:
    """`text` is what is asked, for both legs, phrases included but not exclusions."""

    text: str
    phrases: tuple[str, ...] = ()
    excluded_words: tuple[str, ...] = ()
    excluded_phrases: tuple[str, ...] = ()


def parse_query(typed: str) -> Query:
    """Read a query; raises InputError when there is nothing in it to look for."""
    line = " ".join(_CONTROL.sub(" ", typed[:MAX_QUERY]).translate(_QUOTES).split())
    phrases, without_words, without_phrases = [], [], []

    def take(match: re.Match[str]) -> str:
        if match["word"]:
            without_words.append(match["word"])
        elif match["minus"]:
            without_phrases.append(match["phrase"].strip())
        else:
            phrases.append(match["phrase"].strip())
            return f" {match['phrase']} "
        return " "

    text = " ".join(_CLAUSE.sub(take, line).replace('"', " ").split())
    if not text:
        excluded = bool(without_words or without_phrases)
        raise InputError(
            "The query only says what to leave out." if excluded else "The query is empty.",
            "Give at least one word to look for.",
        )
    return Query(
        text,
        tuple(filter(None, phrases)),
        tuple(without_words),
        tuple(filter(None, without_phrases)),
    )


def phrase_finder(phrase: str) -> Callable[[str], bool]:
    """A test whether a page has `phrase`: any case, any white space between words.

    Between Hangul syllables white space may be missing or added: line breaks cut words.
    """
    pattern = phrase_pattern(phrase)
    return lambda text: bool(pattern.search(fold(text)))


def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """The regular expression behind `phrase_finder`, for text that was folded."""
    folded = fold(phrase)
    words = [
        re.sub(r"(?<=[가-힣])(?=[가-힣])", r"\\s?", re.escape(word)) for word in folded.split()
    ]
    return re.compile(
        r"\s*".join(words) if _all_hangul(folded) else r"\s+".join(words), re.IGNORECASE
    )


def _all_hangul(phrase: str) -> bool:
    return all(c.isspace() or "가" <= c <= "힣" for c in phrase)


_MOST = 4_000  # texts that are looked at for the phrases of one query: some tenths of a second


class Filter:
    """What one query leaves of the documents of an index.

    `mask` is what the index knows, None for all: it leaves each page with the words of a phrase.
    Whether they stand there as a phrase only the page's text tells.
    """

    def __init__(
        self, catalog: Catalog, index: KeywordIndex, query: Query, mask: Mask | None
    ) -> None:
        self.mask = mask
        self._catalog, self._index = catalog, index
        self._wanted = [phrase_finder(phrase) for phrase, _ in _telling(query.phrases)]
        self._unwanted = [phrase_finder(phrase) for phrase in query.excluded_phrases]
        self._known: dict[int, bool] = {}

    @property
    def looks_at_texts(self) -> bool:
        return bool(self._wanted or self._unwanted)

    def leaves(self, document: int) -> bool:
        """Whether a document may be found; of one too many for a quick answer, that it may not."""
        if self.mask is not None and not self.mask[document]:
            return False
        if not self.looks_at_texts:
            return True
        if document not in self._known:
            self._known[document] = len(self._known) < _MOST and self._has_phrases(document)
        return self._known[document]

    def best(self, rank: Callable[[int], dict[int, float]], count: int) -> dict[int, float]:
        """The first `count` that are left of what `rank` finds, asked for ever more."""
        for asked in (count, *([10 * count, 40 * count] if self.looks_at_texts else [])):
            found = rank(asked)
            left = [document for document in found if self.leaves(document)][:count]
            if len(left) == count or len(found) < asked:
                break
        return {document: found[document] for document in left}

    def _has_phrases(self, document: int) -> bool:
        page = self._catalog.find_page(*self._index.place(document))
        return (
            page is not None
            and all(has(page.text) for has in self._wanted)
            and not any(has(page.text) for has in self._unwanted)
        )


def mask_of(index: KeywordIndex, query: Query, books: Sequence[str] | None) -> Mask | None:
    """The documents of the books that have the words of the phrases and no excluded word."""
    kept = [_having(index, terms) for _, terms in _telling(query.phrases)]
    excluded = [_terms_of_word(word) for word in query.excluded_words]
    dropped = [_having(index, terms) for terms in excluded if terms]
    if books is None and not kept and not dropped:
        return None
    mask = np.ones(index.documents, np.bool_) if books is None else index.of_books(books)
    for having in kept:
        mask &= having
    for having in dropped:
        mask &= ~having
    return mask


def _telling(phrases: Iterable[str]) -> list[tuple[str, list[str]]]:
    """The phrases that say anything, each with its terms: "." does not."""
    return [(p, terms) for p in phrases if (terms := analyzer.literal_terms(p))]


def _terms_of_word(word: str) -> list[str]:
    return analyzer.literal_terms(word) or analyzer.terms(word)


def _having(index: KeywordIndex, terms: Sequence[str]) -> Mask:
    having = np.zeros(index.documents, np.bool_)
    having[index.having_all(terms)] = True
    return having
