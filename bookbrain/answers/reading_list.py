"""Which pages a question is answered from: found by several queries, of several books, cut to fit
into what the model can read at once."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bookbrain.answers.conversation import Inquiry
from bookbrain.answers.gate import SourcePage, script_of
from bookbrain.answers.prompt import (
    MOST_QUERIES,
    OVERHEAD,
    answer_tokens,
    earlier_tokens,
    queries_prompt,
    tokens_of,
)
from bookbrain.answers.reply import read_queries
from bookbrain.errors import InputError
from bookbrain.model import Hit
from bookbrain.models import Bill, ChatModel
from bookbrain.search.fusion import RRF_K
from bookbrain.search.retrieval import ConnectedStores, passage_of, search

_DEPTH = 16  # pages of each query
_MOST = 12  # pages that are read
_OF_A_BOOK = 4  # before pages of others
_BEST = 3  # pages that are given more of
_LOOKED_AT = 2000  # characters of a page, to tell its script
_FEWEST_TOKENS = 250  # of a page; less of it would say nothing
_PARTS = re.compile(
    r"[?？].*\w.*[?？]|[,;]\s|\b(?:and|or|versus|vs|compared?|differences?|between)\b|"
    r"차이|비교|그리고|또는|각각|\w(?:와|과|랑|하고)\s",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ReadingList:
    """The pages, best first, the queries that found them, and why not all could be asked."""

    pages: tuple[SourcePage, ...]
    queries: tuple[str, ...]
    degraded: str | None


def choose_pages(
    stores: ConnectedStores, chat: ChatModel, asked: Inquiry, books: Sequence[str] | None,
    bill: Bill,
) -> ReadingList:  # fmt: skip
    """By the question, and by queries of the model's own where it follows on another, has parts, is
    of another language than what it finds, or finds little. Raises what `ChatModel.answer` does."""
    question = asked.question
    result = search(stores, question, k=_DEPTH, mode="hybrid", books=books)
    rankings: list[Sequence[Hit]] = [result.hits]
    queries = [question]
    if stores.catalog.texts() and (asked.earlier or _needs_queries(question, result.hits)):
        reply = "".join(chat.answer(queries_prompt(asked, chat.window), bill))
        for query in read_queries(reply, MOST_QUERIES) or _with_the_last(asked):
            if hits := _found(stores, query, books):
                rankings.append(hits)
                queries.append(query)
    chosen = _fitting(asked, _of_several_books(_fused(rankings)), chat.window)
    found = stores.catalog.find_pages((hit.book_id, hit.page) for hit, _ in chosen)
    pages = [
        SourcePage(f"p{number}", found[hit.book_id, hit.page], shown)
        for number, (hit, shown) in enumerate(chosen, start=1)
        if (hit.book_id, hit.page) in found
    ]
    return ReadingList(tuple(pages), tuple(queries), result.degraded)


def _with_the_last(asked: Inquiry) -> list[str]:
    """What a question leaves to the one before it, that one has."""
    return [f"{turn.question} {asked.question}" for turn in asked.earlier[-1:]]


def _found(stores: ConnectedStores, query: str, books: Sequence[str] | None) -> Sequence[Hit]:
    try:
        return search(stores, query, k=_DEPTH, mode="hybrid", books=books).hits
    except InputError:  # of signs only
        return ()


def _needs_queries(question: str, hits: Sequence[Hit]) -> bool:
    script = script_of(question)
    alike = sum(script_of(hit.text[:_LOOKED_AT]) == script for hit in hits) if script else len(hits)
    return len(hits) < 3 or 2 * alike < len(hits) or bool(_PARTS.search(question))


def _fused(rankings: Iterable[Sequence[Hit]]) -> list[Hit]:
    """One ranking, by the ranks of each page in all."""
    scores: defaultdict[tuple[str, int], float] = defaultdict(float)
    hits: dict[tuple[str, int], Hit] = {}
    for ranking in rankings:
        for hit in ranking:
            place = hit.book_id, hit.page
            hits.setdefault(place, hit)
            scores[place] += 1 / (RRF_K + hit.rank)
    return [hits[place] for place in sorted(hits, key=lambda place: -scores[place])]


def _of_several_books(hits: Sequence[Hit]) -> list[Hit]:
    """At most four of each book, and then the others."""
    seen: Counter[str] = Counter()
    first: list[Hit] = []
    later: list[Hit] = []
    for hit in hits:
        seen[hit.book_id] += 1
        (first if seen[hit.book_id] <= _OF_A_BOOK else later).append(hit)
    return [*first, *later][:_MOST]


def _fitting(asked: Inquiry, hits: Sequence[Hit], window: int) -> list[tuple[Hit, str]]:
    """So many as fit, each with all of its text, or with what stands around its match; the best
    ones have three times the room of the others."""
    room = window - answer_tokens(window) - OVERHEAD - tokens_of(asked.question)
    room -= earlier_tokens(asked, window)
    room = max(room, _FEWEST_TOKENS)  # what the window does not have the endpoint refuses
    kept: list[tuple[Hit, str]] = []
    fitting = room // _FEWEST_TOKENS
    hits = hits[: max(fitting - 2 * _BEST, min(fitting, _BEST), 1)]
    parts = [3] * _BEST + [1] * len(hits)
    for number, hit in enumerate(hits):
        share = room * parts[number] // sum(parts[number : len(hits)])
        text = hit.text
        if (needed := tokens_of(text)) > share:
            text = passage_of(hit, max(len(text) * share // needed, 0))
        kept.append((hit, text))
        room -= tokens_of(text)
    return kept
