"""The life of a query: two legs, one ranking, the exact page."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import unescape
from itertools import chain, islice
from typing import TYPE_CHECKING

from bookbrain.errors import BookBrainError, InputError
from bookbrain.index.bm25 import best_pages, page_scores
from bookbrain.listed import copied
from bookbrain.messages import fill
from bookbrain.model import Duplicate, Hit, LegHit, Mode, SearchResult, Why, told_apart
from bookbrain.search import fusion
from bookbrain.search.duplicates import fold_duplicates, fold_translations, may_translate
from bookbrain.search.exam import UNKNOWN, Marks
from bookbrain.search.query import CompiledQuery, compile_page, compile_query
from bookbrain.search.snippet import make_snippet
from bookbrain.search.syntax import parse_query
from bookbrain.store.database import suppress_damage
from bookbrain.store.folder import Stores
from bookbrain.store.rows import FoundPage, StoredPassage

if TYPE_CHECKING:
    from bookbrain.models import ChatModel, Reranker
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

    @cached_property
    def chat(self) -> "ChatModel | None":
        """The model that answers questions, where one is set up."""
        if not self.settings.chat.model:
            return None
        from bookbrain.models.chat_api import chat_endpoint  # noqa: PLC0415

        connected = self.settings.chat.connected(self.settings.embedding)
        return chat_endpoint(connected, self.settings.home)


def reranked(stores: ConnectedStores, query: str, hits: Sequence[Hit], k: int) -> tuple[Hit, ...]:
    """The best `k` of `hits`: the first twenty ordered by the reranker, all else as it was."""
    reranker = stores.reranker
    if reranker and query and len(hits) > 1:
        read = hits[:_READ]
        order = reranker.order(query, [passage_of(hit) for hit in read]) or range(len(read))
        hits = [*(read[index] for index in order), *hits[_READ:]]
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits[:k], start=1))


def passage_of(hit: Hit, length: int = _BEFORE + _AFTER) -> str:
    """So many characters that stand on the page around its snippet."""
    words = unescape(re.sub("</?mark>", "", hit.snippet)).strip("… ").split()
    found = re.search(r"\s+".join(map(re.escape, words[:8])), hit.text)
    start = max(found.start() - length // 5, 0) if found else 0
    return hit.text[start : start + length]


_DEPTH = 100  # pages that each leg brings to the fusion, where no more are asked for
_FOLDED = 3  # times k documents are looked at for duplicates


@dataclass(frozen=True, slots=True)
class _Leg:
    """One leg's best documents in order, with its scores; why it is silent, if it is."""

    scores: Mapping[int, float] = field(default_factory=dict)
    complaint: str | None = None

    def why(self) -> dict[int, LegHit]:
        return {d: LegHit(n, s) for n, (d, s) in enumerate(self.scores.items(), start=1)}


def search(
    stores: ConnectedStores, typed: str, *, k: int, mode: Mode, books: Sequence[str] | None,
    weight: float | None = None,
) -> SearchResult:  # fmt: skip
    """Answer `typed` with at most `k` pages; `books` limits it to these ids.

    `weight` is what the vector leg counts, 0 to 1; None for what the settings say, or else the exam
    of the model. A leg that cannot take part is named in `degraded`; the other one answers. Where
    the commands of a query leave nothing, its plain words are looked for. Raises InputError for a
    query that says nothing.
    """
    started = time.perf_counter()
    parsed, index = parse_query(typed), stores.keywords()
    if index is None or not index.documents:
        return _result(typed, mode, None, started, ())
    read = max(k, _READ) if mode == "hybrid" and stores.settings.rerank.url else k
    query = compile_query(parsed, index, stores.catalog, books)
    hits, degraded = _answer(stores, query, mode, read, weight)
    if not hits and query.is_commanded:
        plain = compile_query(parsed, index, stores.catalog, books, plain=True)
        hits, degraded = _answer(stores, plain, mode, read, weight)
        query = plain if hits else query
    if mode == "hybrid":
        hits = reranked(stores, query.text, hits, k)
    return replace(_result(typed, mode, degraded, started, hits), read_as=query.read_as)


def similar(stores: ConnectedStores, book_id: str, number: int, k: int) -> SearchResult:
    """At most `k` pages like page `number` of a book, but for the page and its two neighbours.

    Asks no embedding endpoint. Where vectors cannot be had the keyword index answers, and
    `degraded` says why. Raises InputError when there is no such page.
    """
    started = time.perf_counter()
    page, index = stores.catalog.find_page(book_id, number), stores.keywords()
    if page is None or index is None:
        raise InputError("There is no such page.", "Search for it again.")
    query = compile_page(page, book_id, index, stores.catalog)
    hits, degraded = _answer(stores, query, "vector", k) if query else ((), None)
    return _result("", "vector", degraded, started, hits)


def _result(
    typed: str, mode: Mode, degraded: str | None, started: float, hits: tuple[Hit, ...]
) -> SearchResult:
    took = (time.perf_counter() - started) * 1000
    return SearchResult(typed, mode, degraded, round(took, 1), hits)


def _answer(
    stores: ConnectedStores, query: CompiledQuery, mode: Mode, k: int, weight: float | None = None
) -> tuple[tuple[Hit, ...], str | None]:
    """The best `k` pages, and why a leg did not take part, if one did not."""
    depth = max(_DEPTH, 3 * k)
    by_meaning = mode != "keyword" and (query.text or query.like)
    vector = _vector_leg(stores, query, depth) if by_meaning else _Leg()
    instead = not by_meaning or (vector.complaint and not vector.scores)
    keyword = _keyword_leg(stores, query, depth) if mode != "vector" or instead else _Leg()
    fused = _fused(stores, query, keyword, vector, weight)
    ranked = sorted(fused, key=lambda document: -fused[document])  # equal ones as the legs had
    least = _translation(stores) if vector.scores else None
    count = k if least is None else 2 * k
    folded = fold_duplicates(query.index, ranked[: _FOLDED * k], count)
    pages = _pages(stores, query, chain(folded, *folded.values()))
    if least is not None:
        folded = _translations_folded(stores, folded, pages, least)
    by_keyword, by_vector = keyword.why(), vector.why()
    hits: list[Hit] = []
    for document, alike in islice(folded.items(), k):
        if document in pages:
            why = Why(by_keyword.get(document), by_vector.get(document))
            others = [pages[other] for other in alike if other in pages]
            hit = _hit(pages[document], query, len(hits) + 1, fused[document], why, others)
            hits.append(replace(hit, recognised=_confidence(stores, pages[document])))
    return _told_apart(stores, hits), vector.complaint


def _translation(stores: ConnectedStores) -> float | None:
    """From which cosine the model has two pages say the same in two languages; None for never."""
    marks = _marks(stores)
    return marks.translation if marks else None


def _marks(stores: ConnectedStores) -> Marks | None:
    """Those of the model's exam, where it took one."""
    space = stores.space()
    return stores.semantics.marks(space) if space else None


def _translations_folded(
    stores: ConnectedStores, folded: dict[int, list[int]], pages: Mapping[int, FoundPage],
    least: float,
) -> dict[int, list[int]]:  # fmt: skip
    """Each page with its translations."""
    pairs = may_translate({document: pages[document] for document in folded if document in pages})
    space = stores.space()
    if space is None or not pairs:
        return folded
    found = {*pairs, *chain(*pairs.values())}
    places = {
        document: (pages[document].book_id, pages[document].page.number) for document in found
    }
    return fold_translations(folded, pairs, stores.semantics.page_vectors(space, places), least)


def _told_apart(stores: Stores, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """The hits with the editions of their books."""
    ids = {hit.book_id for hit in hits} | {o.book_id for hit in hits for o in hit.duplicates}
    editions = {book.id: book.edition for book in told_apart(stores.catalog.namesakes(ids))}
    if not any(editions.values()):
        return tuple(hits)
    return tuple(
        replace(
            hit,
            edition=editions.get(hit.book_id, ""),
            duplicates=tuple(
                replace(one, edition=editions.get(one.book_id, "")) for one in hit.duplicates
            ),
        )
        for hit in hits
    )


def _pages(stores: Stores, query: CompiledQuery, documents: Iterable[int]) -> dict[int, FoundPage]:
    """The pages of the documents, but for those whose book was removed meanwhile, or has another
    text."""
    places = {document: query.index.place(document) for document in documents}
    found = stores.catalog.find_pages(places.values())
    return {
        document: found[place]
        for document, place in places.items()
        if place in found and found[place].text in query.index.texts
    }


def _confidence(stores: Stores, found: FoundPage) -> float | None:
    """How sure text recognition was of the page, whose text is its own; None where it is not."""
    with suppress_damage():
        if not found.page.problem:
            return stores.embeddings.recognised.confidence(found.book_id, found.page.number)
    return None


def _keyword_leg(stores: Stores, query: CompiledQuery, depth: int) -> _Leg:
    """The best pages that are allowed; where their texts decide that, more are asked for."""
    if query.found:
        allowed = (d for d in query.found if query.allowed.allows(d))
        return _Leg({document: query.found[document] for document in islice(allowed, depth)})
    for asked in (depth, *([10 * depth, 40 * depth] if query.allowed.looks_at_texts else [])):
        found = best_pages(query.index, query.terms, asked, query.allowed.mask)
        left = [document for document in found if query.allowed.allows(document)][:depth]
        if len(left) == depth or len(found) < asked:
            break
    scores = {document: found[document] for document in left}
    others = [d for d in query.pieces if d not in scores and query.allowed.allows(d)]
    scores |= zip(others, query.index.scores(query.terms, others).tolist(), strict=True)
    return _Leg(_as_typed_first(stores, query, scores))


def _as_typed_first(
    stores: Stores, query: CompiledQuery, scores: Mapping[int, float]
) -> Mapping[int, float]:
    """The scores, raised by up to the best of them where the query stands as it was typed."""
    likeness = dict(query.pieces)
    if query.typed:
        places = {document: query.index.place(document) for document in scores}
        pages = stores.catalog.find_pages(places.values())
        for document, place in places.items():
            if place in pages and (found := query.likeness(pages[place].page.text)):
                likeness[document] = max(found, likeness.get(document, 0.0))
    best = max(scores.values(), default=0.0)
    raised = {d: score + best * likeness.get(d, 0.0) for d, score in scores.items()}
    return dict(sorted(raised.items(), key=lambda found: -found[1]))


def _vector_leg(stores: ConnectedStores, query: CompiledQuery, depth: int) -> _Leg:
    """The pages of the nearest passages; silent, and saying why, when a service is not there."""
    settings = stores.settings.embedding
    if not settings.enabled:
        why = (
            "Search by meaning is off: no OPENAI_API_KEY or OPENAI_BASE_URL is set. "
            "`bookbrain embed --local` needs none."
        )
        return _Leg(complaint=fill(why))
    space = stores.space()
    if space is None:
        why = "No book is embedded with {model} yet; run `bookbrain embed`."
        return _Leg(complaint=fill(why, model=settings.model))
    try:
        nearest, complaint = stores.semantics.answer(space, query, depth)
    except BookBrainError as error:
        return _Leg(complaint=error.whole)
    found: dict[int, float] = {}
    pages = _pages_of(query, [passage for passage, _ in nearest])
    for document, (_, cosine) in zip(pages, nearest, strict=True):
        if document is not None:
            found.setdefault(document, cosine)
    return _Leg(found, complaint)


def _pages_of(query: CompiledQuery, passages: Sequence[StoredPassage]) -> list[int | None]:
    """Of each passage the page with the best keyword score, else the one with most of its text."""
    pages = [_allowed_pages(query, passage) for passage in passages]
    documents = sorted({document for of_one in pages for document in of_one})
    scores = query.index.scores(query.terms, documents)
    known = dict(zip(documents, scores.tolist(), strict=True))
    return [
        max(of_one, key=lambda document: (known[document], of_one[document]), default=None)
        for of_one in pages
    ]


def _allowed_pages(query: CompiledQuery, passage: StoredPassage) -> dict[int, int]:
    """The pages of a passage that may be found, and how much of its text is on each."""
    return {
        document: span.end - span.start
        for span in passage.spans
        if (document := query.index.document(passage.book_id, span.page)) is not None
        and query.allowed.allows(document)
    }


def _fused(
    stores: ConnectedStores, query: CompiledQuery, keyword: _Leg, vector: _Leg,
    weight: float | None,
) -> Mapping[int, float]:  # fmt: skip
    """One ranking; a leg that counts nothing is heard where the other one finds nothing."""
    if not keyword.scores or not vector.scores:
        return keyword.scores or vector.scores
    weight = _weight_of_meaning(stores, query.text) if weight is None else weight
    if weight in (0, 1):
        return vector.scores if weight else keyword.scores
    if stores.settings.fusion == "rrf":
        return fusion.reciprocal_rank(list(keyword.scores), list(vector.scores), weight)
    others = [document for document in vector.scores if document not in keyword.scores]
    known = {**keyword.scores, **page_scores(query.index, query.terms, others)}
    return fusion.convex(known, vector.scores, weight, _covered(query, keyword))


def _weight_of_meaning(stores: ConnectedStores, text: str) -> float:
    """What the owner says, else what the exam does; little while there are no marks."""
    if stores.settings.vector_weight is not None:
        return stores.settings.vector_weight
    marks = _marks(stores)
    return marks.weight(text) if marks else UNKNOWN


_BEST = 10  # pages


def _covered(query: CompiledQuery, keyword: _Leg) -> float:
    """How much of what the terms of the query can give the best page by keyword has, 0 to 1."""
    most = sum(term.most for term in query.terms)
    best = max(query.index.scores(query.terms, [*islice(keyword.scores, _BEST)]), default=0.0)
    return min(float(best) / most, 1.0) if most else 1.0


def _hit(
    found: FoundPage, query: CompiledQuery, rank: int, score: float, why: Why,
    others: Sequence[FoundPage],
) -> Hit:  # fmt: skip
    page = found.page
    snippet = make_snippet(page.text, query.marker.find(page.text))
    return Hit(
        rank=rank,
        score=score,
        book_id=found.book_id,
        title=found.title,
        file=found.file,
        page=page.number,
        page_label=page.label,
        chapter=page.chapter_at(snippet.start),
        snippet=snippet.html,
        text=copied(page.text),
        why=why,
        duplicates=tuple(
            Duplicate(o.book_id, o.title, o.file, o.page.number, o.page.label) for o in others
        ),
    )
