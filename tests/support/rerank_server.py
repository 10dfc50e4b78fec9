"""A stand-in for a reranker: a real HTTP server on loopback that can be slow, broken or wrong.

It gives each document the number of words of the query in it.
"""

import json
from typing import Any

from support.stand_in import StandIn


class RerankServer(StandIn):
    """`wrong` is sent in place of the right answer, with `status`; `url` is what
    BOOKBRAIN_RERANK_URL is set to."""

    def __init__(self) -> None:
        self.wrong: bytes | None = None
        self.status = 200
        super().__init__(
            lambda _: (self.status, _answer(self.json()) if self.wrong is None else self.wrong)
        )
        self.url += "/v1/rerank"

    @property
    def asked(self) -> list[dict[str, Any]]:
        return [self.json(number) for number in range(len(self.calls))]


def _answer(asked: dict[str, Any]) -> bytes:
    words = asked["query"].lower().split()
    scores = [sum(text.lower().count(w) for w in words) for text in asked["documents"]]
    ranked = sorted(range(len(scores)), key=lambda n: -scores[n])[: asked["top_n"]]
    results = [{"index": n, "relevance_score": float(scores[n])} for n in ranked]
    return json.dumps({"id": "x", "model": asked.get("model"), "results": results}).encode()
