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
    fold,
    is_word,
    literal_terms,
    other_spellings,
    query_weights,
)
from bookbrain.index.bm25 import KeywordIndex, Mask, TermScorer
from bookbrain.index.page_break import joints
from bookbrain.model import Page, ReadAs
from bookbrain.search.interpretation import interpret, plain_words
from bookbrain.search.paste import find_pieces
from bookbrain.search.signs import find_signs, sign_pattern
from bookbrain.search.snippet import Marker
from bookbrain.search.syntax import Instruction, ParsedQuery, option_pattern, phrase_pattern
from bookbrain.store.catalog import Catalog

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
        book_id, number = self.index.place(document)
        page = self.catalog.find_page(book_id, number)
        if page is None:
            return False
        text = fold(page.text)
        if any(phrase.search(text) for phrase in self.unwanted):
            return False
        missing = [phrase for phrase in self.wanted if not phrase.search(text)]
        following = self.catalog.find_page(book_id, number + 1) if missing else None
        if following is None:
            return not missing
        around = list(joints(text, fold(following.text)))
        return all(_begins_before(phrase, around) for phrase in missing)


def _begins_before(phrase: re.Pattern[str], joints: Iterable[tuple[str, int]]) -> bool:
    """Whether the phrase runs over the page's break."""
    return any(
        match.start() < at < match.end() for text, at in joints for match in phrase.finditer(text)
    )


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """A query over one state of the index; both legs, the snippets and the marks only use it.

    `text` is asked for by meaning; where it is empty, the vectors of the passages in `like`, by
    digest, or nothing, for the query has signs only: its pages are `found` by these. `words` were
    typed, and say something. `terms` are all that pages are found by, other spellings among them.
    `books` limits the vector leg as `allowed` does all. A page on which all of it stands as it was
    typed, or a part of it, comes before others: `typed` has what finds these, with their worth, and
    `pieces`, of a pasted text, the documents.
    """

    index: KeywordIndex
    text: str
    words: Sequence[str]
    terms: Sequence[TermScorer]
    allowed: Filter
    marker: Marker
    books: Sequence[str] | None = None
    like: Sequence[str] = ()
    typed: Sequence[tuple[re.Pattern[str], float]] = ()
    pieces: Mapping[int, float] = field(default_factory=dict)
    found: Mapping[int, float] = field(default_factory=dict)
    read_as: ReadAs = field(default_factory=ReadAs)

    @property
    def is_commanded(self) -> bool:
        """Whether it obeys a command, so that the plain words may find more."""
        obeyed = any(clause.kind in ("without", "exactly") for clause in self.read_as.clauses)
        return obeyed and not self.read_as.plain

    def likeness(self, text: str) -> float:
        """How much of the query stands in the text of a page as it was typed, 0 to 1."""
        folded = fold(text)
        return max((worth for pattern, worth in self.typed if pattern.search(folded)), default=0.0)


_MOST_OF_MEANING = 2_000  # characters; a model says less of a longer text, or refuses it


def compile_query(
    parsed: ParsedQuery, index: KeywordIndex, catalog: Catalog, books: Sequence[str] | None,
    *, plain: bool = False,
) -> CompiledQuery:  # fmt: skip
    """Compile a query for these books, by id, or for all; `plain`: no command in it is obeyed.

    Raises InputError where nothing is left to look for.
    """
    meant = interpret(parsed, index, catalog)
    obeyed = () if plain else meant.obeyed
    text = _asked(parsed, obeyed)
    terms = bounded(index, analyzer.terms(text))
    there = catalog.book_ids() if books is None and catalog.removed() else books
    found, whole = ({}, True) if terms else find_signs(text, index, catalog, there)
    weights = term_weights(index, text, terms)
    typed = _typed(text, meant.options, terms)
    phrases = [phrase_pattern(one.words) for one in obeyed if one.kind == "exactly"]
    return CompiledQuery(
        index,
        text[:_MOST_OF_MEANING] if terms else "",
        plain_words(terms),
        index.look_up(weights),
        _filter(catalog, index, obeyed, there),
        _marker(index, weights, [*phrases, *(pattern for pattern, _ in typed)]),
        books,
        typed=typed,
        pieces=find_pieces(parsed.pasted, index),
        found=found,
        read_as=ReadAs(meant.clauses, plain, not whole),
    )


def _asked(parsed: ParsedQuery, obeyed: Sequence[Instruction]) -> str:
    """What is looked for; raises InputError where the query only says what is not."""
    text = parsed.text(obeyed)
    if not text.replace('"', "").strip():
        raise InputError(
            "The query only says what to leave out.", "Give at least one word to look for."
        )
    return text


_SIGN = re.compile(r"[^\w\s.,?!'\"-]|(?<!\S)-|\"")  # what prose has not
_LONGEST_TYPED = 300  # characters
_PART = 0.5


def _typed(
    text: str, options: Sequence[str], terms: Sequence[str]
) -> list[tuple[re.Pattern[str], float]]:
    """What finds a command or a message as it was typed, and its options; none for prose."""
    if len(text) > _LONGEST_TYPED or not _SIGN.search(text):
        return []
    whole = phrase_pattern(text) if terms else sign_pattern(text)
    return [(whole, 1.0), *((option_pattern(option), _PART) for option in options)]


_MOST_TERMS = 64


def bounded(index: KeywordIndex, terms: Sequence[str]) -> Sequence[str]:
    """The terms of a query; of a long text only the rarest that pages have, each once."""
    if len(terms) <= _MOST_TERMS:
        return terms
    shares = index.shares(dict.fromkeys(terms))
    known = [term for term, share in shares.items() if share]
    rarest = set(sorted(known, key=lambda term: shares[term])[:_MOST_TERMS])
    return [term for term in known if term in rarest]


_IDENTIFIER = 10.0


def term_weights(index: KeywordIndex, text: str, terms: Sequence[str]) -> dict[str, float]:
    """Every term that a query of these terms finds a page by, with what it counts.

    Where nothing but an identifier is asked for, pages that have all of it come before those that
    have its parts, however often.
    """
    weights = query_weights(terms)
    if len(terms) > 1 and " " not in text and not terms[0].startswith(PAIR):
        weights[terms[0]] *= _IDENTIFIER
    for other, share in other_spellings(text[:_LONGEST_TYPED], terms, index.shares).items():
        for term, weight in query_weights([other]).items():
            weights[term] = weights.get(term, 0) + share * weight
    return weights


def _marker(
    index: KeywordIndex, terms: Iterable[str], phrases: Sequence[re.Pattern[str]] = ()
) -> Marker:
    """Marks the terms worth it, the rarer the heavier."""
    words = [term for term in terms if is_word(term)]
    content = [term for term in words if term not in FUNCTION_WORDS] or words
    weights = {term: 1 - log(share + 1e-6) for term, share in index.shares(content).items()}
    return Marker(weights, phrases)


_AS_TYPED = re.compile(r"[ .+#]")


def _filter(
    catalog: Catalog, index: KeywordIndex, obeyed: Sequence[Instruction],
    books: Sequence[str] | None,
) -> Filter:  # fmt: skip
    """What the commands leave of the books. A phrase without terms, as ".", is none.

    To leave out C++ is not to leave out C: a word with signs is looked for as it is typed.
    """
    wanted = [one.words for one in obeyed if one.kind == "exactly" and literal_terms(one.words)]
    without = [one.words for one in obeyed if one.kind == "without"]
    unwanted = [words for words in without if _AS_TYPED.search(words)]
    mask = index.of_books(books) if books is not None else np.ones(index.documents, np.bool_)
    for phrase in wanted:
        mask &= _having(index, literal_terms(phrase), over_break=True)
    for word in (words for words in without if words not in unwanted):
        terms = literal_terms(word) or analyzer.terms(word)
        mask &= ~_having(index, terms) if terms else True
    return Filter(
        catalog,
        index,
        None if books is None and not obeyed else mask,
        [*map(phrase_pattern, wanted)],
        [*map(phrase_pattern, unwanted)],
    )


def _having(index: KeywordIndex, terms: Sequence[str], *, over_break: bool = False) -> Mask:
    """The documents that have all the terms, or together with their next page."""
    having = np.ones(index.documents, np.bool_)
    for term in terms:
        mask = np.zeros(index.documents, np.bool_)
        mask[index.having_all([term])] = True
        having &= index.with_pages_before(mask) if over_break else mask
    return having


_TELLING = 25  # terms


def compile_page(
    page: Page, book_id: str, index: KeywordIndex, catalog: Catalog
) -> CompiledQuery | None:
    """What finds pages like this one, but for it and its two neighbours; None without words."""
    words = _telling_terms(index, page)
    if not words:
        return None
    return CompiledQuery(
        index,
        "",
        words,
        index.look_up(dict.fromkeys(words, 1.0)),
        Filter(catalog, index, _without(index, book_id, page.number)),
        _marker(index, words),
        like=catalog.digests(book_id, page.number),
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
