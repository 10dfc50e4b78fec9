"""The life of a query: two legs, one ranking, the exact page."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bookbrain.errors import BookBrainError
from bookbrain.index import analyzer, fusion
from bookbrain.index.keywords import KeywordIndex, Mask, Scores
from bookbrain.index.query import Query, parse_query, phrase_finder
from bookbrain.index.rows import StoredPassage
from bookbrain.index.snippet import find_marks, make_snippet
from bookbrain.library.reranking import considered, reranked
from bookbrain.library.stores import Stores
from bookbrain.model import Hit, LegHit, Mode, SearchResult, Why

_DEPTH = 100

Allowed = Mask | None  # over the documents; None for all


@dataclass(frozen=True, slots=True)
class _Leg:
    """One leg's best documents in order, with its scores; why it is silent, if it is."""

    scores: Mapping[int, float]
    complaint: str | None = None

    def why(self) -> dict[int, LegHit]:
        return {d: LegHit(n, s) for n, (d, s) in enumerate(self.scores.items(), start=1)}


@dataclass(frozen=True, slots=True)
class Asked:
    """One query over one state of the index: its terms, every document's keyword score, which
    documents are allowed, how many each leg should bring, and how much the vector leg counts.

    `like` are digests of passages whose vectors are asked for in place of the query's own.
    """

    stores: Stores
    index: KeywordIndex
    query: Query
    terms: Sequence[str]
    scores: Scores
    allowed: Allowed
    books: Sequence[str] | None
    depth: int
    weight: float
    like: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Where the fusion put a document."""

    rank: int
    score: float
    why: Why


def search(
    stores: Stores, typed: str, *, k: int, mode: Mode, books: Sequence[str] | None,
    weight: float | None = None,
) -> SearchResult:  # fmt: skip
    """Answer `typed` with at most `k` pages; `books` limits it to these ids.

    `weight` is what the vector leg counts, 0 to 1; None for what the settings say. A leg that
    cannot take part is named in `degraded`; the other one answers. Raises InputError for a query
    that says nothing.
    """
    started = time.perf_counter()
    query = parse_query(typed)
    index = stores.keywords()
    hits: tuple[Hit, ...] = ()
    degraded = None
    if index is not None and index.documents:
        terms = analyzer.terms(query.text)
        allowed = allowed_documents(stores, index, query, books)
        asked = Asked(
            stores, index, query, terms, index.scores(terms), allowed, books,
            depth_for(k), stores.settings.vector_weight if weight is None else weight,
        )  # fmt: skip
        if mode == "hybrid":
            hits, degraded = answer(asked, mode, considered(stores, k))
            hits = reranked(stores, query.text, hits, k)
        else:
            hits, degraded = answer(asked, mode, k)
    took = (time.perf_counter() - started) * 1000
    return SearchResult(typed, mode, degraded, round(took, 1), hits)


def depth_for(k: int) -> int:
    """How many pages each leg brings to the fusion for the best `k`."""
    return max(_DEPTH, 3 * k)


def answer(asked: Asked, mode: Mode, k: int) -> tuple[tuple[Hit, ...], str | None]:
    """The best `k` pages, and why a leg did not take part, if one did not."""
    vector = _Leg({}) if mode == "keyword" else _vector_leg(asked)
    keyword = _keyword_leg(asked) if mode != "vector" or vector.complaint else _Leg({})
    fused = _fused(asked, keyword, vector)
    best = sorted(fused, key=lambda document: (-fused[document], document))[:k]
    by_keyword, by_vector = keyword.why(), vector.why()
    weights = mark_weights(asked.index, asked.terms)
    hits = []
    for rank, document in enumerate(best, start=1):
        ranked = _Ranked(
            rank, fused[document], Why(by_keyword.get(document), by_vector.get(document))
        )
        hits.append(_hit(asked, weights, asked.index.place(document), ranked))
    return tuple(hit for hit in hits if hit), vector.complaint


def allowed_documents(
    stores: Stores, index: KeywordIndex, query: Query, books: Sequence[str] | None
) -> Allowed:
    """The documents that the book filter, the phrases and the exclusions leave."""
    if books is None and not (query.phrases or query.excluded_words or query.excluded_phrases):
        return None
    mask = np.ones(index.documents, np.bool_) if books is None else index.of_books(books)
    for phrase in query.phrases:
        mask &= _having_phrase(stores, index, phrase, mask)
    for phrase in query.excluded_phrases:
        mask &= ~_having_phrase(stores, index, phrase, mask)
    for word in query.excluded_words:
        excluded = np.zeros_like(mask)
        if words := analyzer.literal_terms(word) or analyzer.terms(word):
            excluded[index.having_all(words)] = True
        mask &= ~excluded
    return mask


def _having_phrase(stores: Stores, index: KeywordIndex, phrase: str, within: Mask) -> Mask:
    """The documents in `within` whose text has the phrase to the letter."""
    found = np.zeros_like(within)
    has_phrase = phrase_finder(phrase)
    for document in index.having_all(analyzer.literal_terms(phrase)):
        if within[document]:
            page = stores.catalog.find_page(*index.place(int(document)))
            found[document] = page is not None and has_phrase(page.text)
    return found


def _keyword_leg(asked: Asked) -> _Leg:
    ranked = asked.index.best(asked.terms, asked.scores, asked.depth, asked.allowed)
    return _Leg({int(document): float(asked.scores[document]) for document in ranked})


def _vector_leg(asked: Asked) -> _Leg:
    """The pages of the nearest passages; silent, and saying why, when a service is not there."""
    settings = asked.stores.settings.embedding
    if not settings.enabled:
        return _Leg({}, "Search by meaning is off: no OPENAI_API_KEY or OPENAI_BASE_URL is set.")
    space = asked.stores.space()
    if space is None:
        return _Leg({}, f"No book is embedded with {settings.model} yet; run `bookbrain embed`.")
    semantics = asked.stores.semantics()
    try:
        complaint = semantics.lacking(space)
        nearest = semantics.nearest(
            space, semantics.mean_vector(space, asked.like) if asked.like
            else semantics.query_vector(space, asked.query.text), asked.depth, asked.books,
        )  # fmt: skip
    except BookBrainError as error:
        return _Leg({}, str(error))
    found: dict[int, float] = {}
    for passage, cosine in nearest:
        document = _best_page(asked, passage)
        if document is not None and document not in found:
            found[document] = cosine
    return _Leg(found, complaint)


def _best_page(asked: Asked, passage: StoredPassage) -> int | None:
    """The page of a passage with the best keyword score, else the one with most of its text."""
    pages = [
        (document, span.end - span.start)
        for span in passage.spans
        if (document := asked.index.document(passage.book_id, span.page)) is not None
        and (asked.allowed is None or asked.allowed[document])
    ]
    if not pages:
        return None
    return max(pages, key=lambda page: (float(asked.scores[page[0]]), page[1]))[0]


def _fused(asked: Asked, keyword: _Leg, vector: _Leg) -> dict[int, float]:
    if not vector.scores:
        return dict(keyword.scores)
    if not keyword.scores:
        return dict(vector.scores)
    if asked.stores.settings.fusion == "rrf":
        return fusion.reciprocal_rank(list(keyword.scores), list(vector.scores), asked.weight)
    return fusion.convex(keyword.scores, vector.scores, asked.weight)


def mark_weights(index: KeywordIndex, terms: Sequence[str]) -> dict[str, float]:
    """The terms worth marking, the rarer the heavier; function words only where nothing else is."""
    content = [term for term in terms if term not in analyzer.FUNCTION_WORDS] or terms
    return {term: 1 - float(np.log(index.share(term) + 1e-6)) for term in content}


def _hit(
    asked: Asked, weights: Mapping[str, float], place: tuple[str, int], ranked: _Ranked
) -> Hit | None:
    """The page of the match as a hit; None when its book was removed meanwhile."""
    book_id, number = place
    page = asked.stores.catalog.find_page(book_id, number)
    name = asked.stores.catalog.book_name(book_id)
    if page is None or name is None:
        return None
    snippet = make_snippet(page.text, find_marks(page.text, weights, asked.query.phrases))
    return Hit(
        rank=ranked.rank,
        score=ranked.score,
        book_id=book_id,
        title=name[0],
        file=name[1],
        page=number,
        page_label=page.label,
        chapter=page.chapter_at(snippet.start),
        snippet=snippet.html,
        text=page.text,
        why=ranked.why,
    )
