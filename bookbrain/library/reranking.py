"""The best pages in the order of the reranker, where one is set up."""

import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape

from bookbrain.library.stores import Stores
from bookbrain.model import Hit

_READ = 20  # pages that it orders: what is asked of it must be answered in a second
_BEFORE, _AFTER = 400, 1600  # characters around the start of the snippet: about a passage


def considered(stores: Stores, k: int) -> int:
    """How many pages search must bring for the best `k` of them."""
    return max(k, _READ) if stores.settings.rerank.url else k


def reranked(stores: Stores, query: str, hits: Sequence[Hit], k: int) -> tuple[Hit, ...]:
    """The best `k` of `hits`: the first twenty ordered by the reranker, all else as it was."""
    reranker = stores.reranker()
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
