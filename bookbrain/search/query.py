"""A query, compiled once: its terms and their postings, its marks, and which pages may be found."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log

import numpy as np

from bookbrain.errors import InputError
from bookbrain.index import analyzer
from bookbrain.index.analyzer import (
    FUNCTION_WORDS,
    PAIR,
    WHOLE,
    fold,
    is_word,
    other_spellings,
    query_weights,
)
from bookbrain.index.bm25 import KeywordIndex, Mask, TermScorer
from bookbrain.model import Page
from bookbrain.search.snippet import Marker
from bookbrain.store.catalog import Catalog

MAX_QUERY = 2_000  # characters; the rest of a longer one is not looked at
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_QUOTES = str.maketrans("“”„‟«»「」『』", '""""""""""')
# Minus and a letter: -1 and --option are words, not exclusions.
_CLAUSE = re.compile(r'(?<!\S)(?P<minus>-)?"(?P<phrase>[^"]+)"|(?<!\S)-(?P<word>[^\W\d_][^\s"]+)')


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """`text` is what is asked, for both legs, phrases included but not exclusions."""

    text: str
    phrases: tuple[str, ...] = ()
    excluded_words: tuple[str, ...] = ()
    excluded_phrases: tuple[str, ...] = ()


def parse_query(typed: str) -> ParsedQuery:
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
    return ParsedQuery(
        text,
        tuple(filter(None, phrases)),
        tuple(without_words),
        tuple(filter(None, without_phrases)),
    )


def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """What finds `phrase` in folded text: any case, any white space between words.

    Between Hangul syllables white space may be missing or added: line breaks cut words.
    """
    folded = fold(phrase)
    words = [
        re.sub(r"(?<=[가-힣])(?=[가-힣])", r"\\s?", re.escape(word)) for word in folded.split()
    ]
    all_hangul = all(c.isspace() or "가" <= c <= "힣" for c in folded)
    return re.compile((r"\s*" if all_hangul else r"\s+").join(words), re.IGNORECASE)


_MOST = 4_000  # texts that are looked at for the phrases of one query: some tenths of a second


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents of an index one query allows.

    `mask` is what the index knows, None for all: it allows each page with the words of a phrase.
    Whether they stand there as a phrase only the page's text tells, which must have all `wanted`
    patterns and no `unwanted` one.
    """

    catalog: Catalog
    index: KeywordIndex
    mask: Mask | None
    wanted: Sequence[re.Pattern[str]] = ()
    unwanted: Sequence[re.Pattern[str]] = ()
    _known: dict[int, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def looks_at_texts(self) -> bool:
        return bool(self.wanted or self.unwanted)

    def allows(self, document: int) -> bool:
        """Whether a document may be found; after too many for a quick answer, none may."""
        if self.mask is not None and not self.mask[document]:
            return False
        if not self.looks_at_texts:
            return True
        if document not in self._known:
            self._known[document] = len(self._known) < _MOST and self._has_phrases(document)
        return self._known[document]

    def _has_phrases(self, document: int) -> bool:
        page = self.catalog.find_page(*self.index.place(document))
        if page is None:
            return False
        text = fold(page.text)
        return all(phrase.search(text) for phrase in self.wanted) and not any(
            phrase.search(text) for phrase in self.unwanted
        )


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """A query over one state of the index; both legs, the snippets and the marks only use it.

    `text` is asked for by meaning; where it is empty, the vectors of the passages in `like`, by
    digest. `words` were typed, and say something. `terms` are all that pages are found by, other
    spellings among them. `books` limits the vector leg as `allowed` does all.
    """

    index: KeywordIndex
    text: str
    words: Sequence[str]
    terms: Sequence[TermScorer]
    allowed: Filter
    marker: Marker
    books: Sequence[str] | None = None
    like: Sequence[str] = ()


def compile_query(
    parsed: ParsedQuery, index: KeywordIndex, catalog: Catalog, books: Sequence[str] | None
) -> CompiledQuery:
    """Compile a query for these books, by id, or for all."""
    terms = analyzer.terms(parsed.text)
    weights = term_weights(index, parsed.text, terms)
    phrases = {p: found for p in parsed.phrases if (found := analyzer.literal_terms(p))}  # not "."
    there = catalog.book_ids() if books is None and catalog.removed() else books
    mask = _mask(index, [*phrases.values()], parsed.excluded_words, there)
    content = _content(terms)
    return CompiledQuery(
        index,
        parsed.text,
        [term for term in content if not term.startswith((PAIR, WHOLE))] or content,
        index.look_up(weights),
        Filter(
            catalog, index, mask,
            [phrase_pattern(phrase) for phrase in phrases],
            [phrase_pattern(phrase) for phrase in parsed.excluded_phrases],
        ),
        _marker(index, weights, parsed.phrases),
        books,
    )  # fmt: skip


_IDENTIFIER = 10.0


def term_weights(index: KeywordIndex, text: str, terms: Sequence[str]) -> dict[str, float]:
    """Every term that a query of these terms finds a page by, with what it counts.

    Where nothing but an identifier is asked for, pages that have all of it come before those that
    have its parts, however often.
    """
    weights = query_weights(terms)
    if len(terms) > 1 and " " not in text and not terms[0].startswith(PAIR):
        weights[terms[0]] *= _IDENTIFIER
    for other, share in other_spellings(text, terms, index.shares).items():
        for term, weight in query_weights([other]).items():
            weights[term] = weights.get(term, 0) + share * weight
    return weights


def _marker(index: KeywordIndex, terms: Iterable[str], phrases: Iterable[str] = ()) -> Marker:
    """Marks the terms worth it, the rarer the heavier."""
    content = _content([term for term in terms if is_word(term)])
    weights = {term: 1 - log(share + 1e-6) for term, share in index.shares(content).items()}
    return Marker(weights, [phrase_pattern(phrase) for phrase in phrases])


def _content(terms: Sequence[str]) -> Sequence[str]:
    """The terms without function words; these only where nothing else is."""
    return [term for term in terms if term not in FUNCTION_WORDS] or terms


def _mask(
    index: KeywordIndex, phrases: Sequence[Sequence[str]], excluded_words: Iterable[str],
    books: Sequence[str] | None,
) -> Mask | None:  # fmt: skip
    """The documents of the books that have the terms of the phrases and no excluded word."""
    excluded = [analyzer.literal_terms(word) or analyzer.terms(word) for word in excluded_words]
    dropped = [_having(index, terms) for terms in excluded if terms]
    if books is None and not phrases and not dropped:
        return None
    mask = np.ones(index.documents, np.bool_) if books is None else index.of_books(books)
    for terms in phrases:
        mask &= _having(index, terms)
    for having in dropped:
        mask &= ~having
    return mask


def _having(index: KeywordIndex, terms: Sequence[str]) -> Mask:
    having = np.zeros(index.documents, np.bool_)
    having[index.having_all(terms)] = True
    return having


_TELLING = 25  # terms


def compile_page(
    page: Page, book_id: str, index: KeywordIndex, catalog: Catalog
) -> CompiledQuery | None:
    """What finds pages like this one, but for it and its two neighbours; None without words."""
    words = _telling_terms(index, page)
    if not words:
        return None
    near = [p for p in catalog.passages(book_id) if any(s.page == page.number for s in p.spans)]
    return CompiledQuery(
        index,
        "",
        words,
        index.look_up(dict.fromkeys(words, 1.0)),
        Filter(catalog, index, _without(index, book_id, page.number)),
        _marker(index, words),
        like=[passage.digest for passage in near],
    )


def _telling_terms(index: KeywordIndex, page: Page) -> list[str]:
    """The terms of the page with the highest tf-idf that are on other pages too."""
    counts: Mapping[str, int] = Counter(analyzer.terms(page.text))
    shares = index.shares(counts)
    weights = {
        term: count * -log(share)
        for term, count in counts.items()
        if term not in FUNCTION_WORDS
        if (share := shares[term]) * index.documents > 1.5
    }
    return sorted(weights, key=lambda term: (-weights[term], term))[:_TELLING]


def _without(index: KeywordIndex, book_id: str, number: int) -> Mask:
    """All documents but the page's own and those beside it in the book."""
    mask = np.ones(index.documents, np.bool_)
    document = index.document(book_id, number)
    if document is not None:
        mask[[document, *index.beside([document])[0]]] = False
    return mask
