"""The life of a query: two legs, one ranking, the exact page."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import unescape
from itertools import chain
from math import log
from typing import TYPE_CHECKING

import numpy as np

from bookbrain.errors import BookBrainError, InputError
from bookbrain.index import analyzer
from bookbrain.index.analyzer import is_word
from bookbrain.index.bm25 import KeywordIndex, Mask
from bookbrain.messages import fill
from bookbrain.model import Duplicate, Hit, LegHit, Mode, Page, SearchResult, Why
from bookbrain.search import ranking
from bookbrain.search.query import Filter, Query, mask_of, parse_query
from bookbrain.search.ranking import asked_for, best_pages, fold_duplicates
from bookbrain.search.snippet import Marker, make_snippet
from bookbrain.store.catalog import FoundPage, StoredPassage
from bookbrain.store.folder import Stores

if TYPE_CHECKING:
    from bookbrain.models.rerank_api import Reranker
    from bookbrain.search.vector_leg import Semantics

_READ = 20  # pages that it orders: what is asked of it must be answered in a second
_BEFORE, _AFTER = 400, 1600  # characters around the start of the snippet: about a passage


class ConnectedStores(Stores):
    """A library's stores, and the services over them. Each is imported and made when it is first
    needed: the clients of Chroma and OpenAI load slowly, and a keyword search needs none of them.
    """

    @cached_property
    def semantics(self) -> "Semantics":
        """The vector side."""
        from bookbrain.search.vector_leg import Semantics  # noqa: PLC0415

        return Semantics(self)

    @cached_property
    def reranker(self) -> "Reranker | None":
        """The reranker, where one is set up."""
        if not self.settings.rerank.url:
            return None
        from bookbrain.models.rerank_api import reranker  # noqa: PLC0415

        return reranker(self.settings.rerank)


def considered(stores: Stores, k: int) -> int:
    """How many pages search must bring for the best `k` of them."""
    return max(k, _READ) if stores.settings.rerank.url else k


def reranked(stores: ConnectedStores, query: str, hits: Sequence[Hit], k: int) -> tuple[Hit, ...]:
    """The best `k` of `hits`: the first twenty ordered by the reranker, all else as it was."""
    reranker = stores.reranker
    if reranker and query and len(hits) > 1:
        read = hits[:_READ]
        order = reranker.order(query, [_passage(hit) for hit in read]) or range(len(read))
        hits = [*(read[index] for index in order), *hits[_READ:]]
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits[:k], start=1))


def _passage(hit: Hit) -> str:
    """What stands on the page around its snippet."""
    words = unescape(re.sub("</?mark>", "", hit.snippet)).strip("… ").split()
    found = re.search(r"\s+".join(map(re.escape, words[:8])), hit.text)
    start = max(found.start() - _BEFORE, 0) if found else 0
    return hit.text[start : start + _BEFORE + _AFTER]


_DEPTH = 100
_FOLDED = 3  # times k documents are looked at for duplicates


@dataclass(frozen=True, slots=True)
class _Leg:
    """One leg's best documents in order, with its scores; why it is silent, if it is.

    `weights` are what the documents count in a convex combination, where not the scores do.
    """

    scores: Mapping[int, float]
    complaint: str | None = None
    weights: Mapping[int, float] = field(default_factory=dict)

    def why(self) -> dict[int, LegHit]:
        return {d: LegHit(n, s) for n, (d, s) in enumerate(self.scores.items(), start=1)}


@dataclass(frozen=True, slots=True)
class Asked:
    """One query over one state of the index: what each term counts, which documents are allowed,
    how many each leg should bring, and how much the vector leg counts.

    `like` are digests of passages whose vectors are asked for in place of the query's own.
    """

    stores: ConnectedStores
    index: KeywordIndex
    query: Query
    terms: Mapping[str, float]
    allowed: Filter
    books: Sequence[str] | None
    depth: int
    weight: float
    like: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Where the fusion put a document, and which pages are like it."""

    rank: int
    score: float
    why: Why
    alike: tuple[Duplicate, ...]


def search(
    stores: ConnectedStores, typed: str, *, k: int, mode: Mode, books: Sequence[str] | None,
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
        terms = asked_for(index, query.text, analyzer.terms(query.text))
        there = stores.catalog.book_ids() if books is None and stores.catalog.removed() else books
        allowed = Filter(stores.catalog, index, query, mask_of(index, query, there))
        asked = Asked(
            stores, index, query, terms, allowed, books,
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
    instead = vector.complaint and not vector.scores
    keyword = _keyword_leg(asked) if mode != "vector" or instead else _Leg({})
    fused = _fused(asked, keyword, vector)
    ranked = sorted(fused, key=lambda document: -fused[document])  # equal ones as the legs had
    by_keyword, by_vector = keyword.why(), vector.why()
    words = [term for term in asked.terms if is_word(term)]
    marker = Marker(mark_weights(asked.index, words), asked.query.phrases)
    folded = fold_duplicates(asked.index, ranked[: _FOLDED * k], k)
    found = _pages(asked, [*folded, *chain.from_iterable(folded.values())])
    hits: list[Hit] = []
    for document, alike in folded.items():
        if document in found:
            why = Why(by_keyword.get(document), by_vector.get(document))
            others = tuple(_duplicate(found[other]) for other in alike if other in found)
            ranked_here = _Ranked(len(hits) + 1, fused[document], why, others)
            hits.append(_hit(found[document], marker, ranked_here))
    return tuple(hits), vector.complaint


def _pages(asked: Asked, documents: Iterable[int]) -> dict[int, FoundPage]:
    """The pages of the documents, but for those whose book was removed meanwhile, or has another
    text."""
    places = {document: asked.index.place(document) for document in documents}
    found = asked.stores.catalog.find_pages(places.values())
    return {
        document: found[place]
        for document, place in places.items()
        if place in found and found[place].text in asked.index.texts
    }


def _keyword_leg(asked: Asked) -> _Leg:
    def rank(count: int) -> dict[int, float]:
        return best_pages(asked.index, asked.terms, count, asked.allowed.mask)

    return _Leg(asked.allowed.best(rank, asked.depth))


def _vector_leg(asked: Asked) -> _Leg:
    """The pages of the nearest passages; silent, and saying why, when a service is not there."""
    settings = asked.stores.settings.embedding
    if not settings.enabled:
        return _Leg(
            {}, fill("Search by meaning is off: no OPENAI_API_KEY or OPENAI_BASE_URL is set.")
        )
    space = asked.stores.space()
    if space is None:
        return _Leg(
            {},
            fill(
                "No book is embedded with {model} yet; run `bookbrain embed`.", model=settings.model
            ),
        )
    semantics = asked.stores.semantics
    try:
        vector = (
            semantics.mean_vector(space, asked.like)
            if asked.like
            else semantics.query_vector(space, asked.query.text)
        )
        complaint = semantics.lacking(space)
        nearest = semantics.nearest(space, vector, asked.depth, asked.books)
    except BookBrainError as error:
        return _Leg({}, error.whole)
    heights = ranking.above_chance([cosine for _, cosine in nearest])
    found: dict[int, float] = {}
    heard: dict[int, float] = {}
    pages = _best_pages(asked, [passage for passage, _ in nearest])
    for document, (_, cosine), height in zip(pages, nearest, heights, strict=True):
        if document is not None and document not in found:
            found[document], heard[document] = cosine, height
    return _Leg(found, complaint, heard)


def _best_pages(asked: Asked, passages: Sequence[StoredPassage]) -> list[int | None]:
    """Of each passage the page with the best keyword score, else the one with most of its text."""
    pages = [_allowed_pages(asked, passage) for passage in passages]
    documents = sorted({document for of_one in pages for document in of_one})
    scores = asked.index.scores(asked.index.look_up(asked.terms), documents)
    known = dict(zip(documents, scores.tolist(), strict=True))
    return [
        max(of_one, key=lambda document: (known[document], of_one[document]), default=None)
        for of_one in pages
    ]


def _allowed_pages(asked: Asked, passage: StoredPassage) -> dict[int, int]:
    """The pages of a passage that may be found, and how much of its text is on each."""
    return {
        document: span.end - span.start
        for span in passage.spans
        if (document := asked.index.document(passage.book_id, span.page)) is not None
        and asked.allowed.leaves(document)
    }


def _fused(asked: Asked, keyword: _Leg, vector: _Leg) -> Mapping[int, float]:
    """One ranking; a page that is near by chance only counts where keywords find nothing."""
    if not keyword.scores or (vector.scores and asked.weight == 1):
        return vector.scores
    heard = {document: height for document, height in vector.weights.items() if height > 0}
    if not heard:
        return keyword.scores
    if asked.stores.settings.fusion == "rrf":
        return ranking.reciprocal_rank(list(keyword.scores), list(heard), asked.weight)
    return ranking.convex(keyword.scores, heard, asked.weight)


def mark_weights(index: KeywordIndex, terms: Sequence[str]) -> dict[str, float]:
    """The terms worth marking, the rarer the heavier; function words only where nothing else is."""
    content = [term for term in terms if term not in analyzer.FUNCTION_WORDS] or terms
    return {term: 1 - log(share + 1e-6) for term, share in index.shares(content).items()}


def _hit(found: FoundPage, marker: Marker, ranked: _Ranked) -> Hit:
    page = found.page
    snippet = make_snippet(page.text, marker.find(page.text))
    return Hit(
        rank=ranked.rank,
        score=ranked.score,
        book_id=found.book_id,
        title=found.title,
        file=found.file,
        page=page.number,
        page_label=page.label,
        chapter=page.chapter_at(snippet.start),
        snippet=snippet.html,
        text=page.text,
        why=ranked.why,
        duplicates=ranked.alike,
    )


def _duplicate(found: FoundPage) -> Duplicate:
    return Duplicate(found.book_id, found.title, found.file, found.page.number, found.page.label)


_TELLING = 25  # terms


def similar(stores: ConnectedStores, book_id: str, number: int, k: int) -> SearchResult:
    """At most `k` pages like page `number` of a book, but for the page and its two neighbours.

    Asks no embedding endpoint. Where vectors cannot be had the keyword index answers, and
    `degraded` says why. Raises InputError when there is no such page.
    """
    started = time.perf_counter()
    page, index = stores.catalog.find_page(book_id, number), stores.keywords()
    if page is None or index is None:
        raise InputError("There is no such page.", "Search for it again.")
    terms = _telling_terms(index, page)
    hits: tuple[Hit, ...] = ()
    degraded = None
    if terms:
        passages = stores.catalog.passages(book_id)
        others = Filter(stores.catalog, index, Query(""), _without(index, book_id, number))
        asked = Asked(
            stores, index, Query(""), dict.fromkeys(terms, 1.0), others, None, depth_for(k),
            stores.settings.vector_weight,
            [p.digest for p in passages if any(span.page == number for span in p.spans)],
        )  # fmt: skip
        hits, degraded = answer(asked, "vector", k)
    took = (time.perf_counter() - started) * 1000
    return SearchResult("", "vector", degraded, round(took, 1), hits)


def _telling_terms(index: KeywordIndex, page: Page) -> list[str]:
    """The terms of the page with the highest tf-idf that are on other pages too."""
    counts = Counter(analyzer.terms(page.text))
    shares = index.shares(counts)
    weights = {
        term: count * -log(share)
        for term, count in counts.items()
        if term not in analyzer.FUNCTION_WORDS
        if (share := shares[term]) * index.documents > 1.5
    }
    return sorted(weights, key=lambda term: (-weights[term], term))[:_TELLING]


def _without(index: KeywordIndex, book_id: str, number: int) -> Mask:
    """All documents but the page's own and those beside it in the book."""
    document = index.document(book_id, number)
    if document is None:
        return np.ones(index.documents, np.bool_)
    beside = np.abs(np.arange(index.documents) - document) <= 1
    return ~(beside & index.of_books([book_id]))
