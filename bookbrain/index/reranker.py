"""The reranker: a model elsewhere that reads a question beside each text, and orders the texts.

It is asked as Cohere, Jina, vLLM, llama.cpp and others are: POST {"model", "query", "documents",
"top_n"}, answered by {"results": [{"index", "relevance_score"}, …]}.
"""

import json
import logging
import math
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

import httpx

from bookbrain.config import RerankSettings

_PATIENT = 3  # failures in a row, after which it is left alone
_PAUSE = 60.0  # for so many seconds
_LARGEST = 1 << 20  # bytes of an answer
_LATE = "it did not answer in time"

_log = logging.getLogger(__name__)

Order = tuple[int, ...]


class Reranker:
    """A connection to the reranker of the settings, kept until `close`. It never raises."""

    def __init__(self, settings: RerankSettings) -> None:
        self._settings = settings
        key = settings.api_key
        self._client = httpx.Client(
            headers={b"Authorization": f"Bearer {key}".encode()} if key else None,
            timeout=settings.seconds,
        )
        self._failures = 0
        self._asked_again_at = 0.0

    def close(self) -> None:
        self._client.close()

    def order(self, query: str, texts: Sequence[str]) -> Order | None:
        """Where the texts stand in `texts`, best first; None without a good answer in time.

        Whatever it does, this returns within the seconds of the settings. After three failures
        in a row it is not asked for a minute.
        """
        if monotonic() < self._asked_again_at:
            return None
        answer: SimpleQueue[Order | str] = SimpleQueue()
        # A thread, for no timeout of httpx is one of all: names are resolved as long as it takes.
        Thread(target=lambda: answer.put(self._try(query, texts)), daemon=True).start()
        try:
            order = answer.get(timeout=self._settings.seconds)
        except Empty:
            order = _LATE
        if not isinstance(order, str):
            self._failures = 0
            return order
        self._failures += 1
        _log.warning("the reranker is of no use: %s", order)
        if self._failures >= _PATIENT:
            self._asked_again_at = monotonic() + _PAUSE
        return None

    def _try(self, query: str, texts: Sequence[str]) -> Order | str:
        """The order, or what is wrong: nothing that quotes the question, a text or an answer."""
        try:
            return _read_order(self._post(query, texts), len(texts))
        except httpx.HTTPStatusError as error:
            return f"it answers with status {error.response.status_code}"
        except httpx.TimeoutException:
            return _LATE
        except (httpx.HTTPError, OSError) as error:
            return f"it cannot be asked ({type(error).__name__})"
        except (httpx.InvalidURL, ValueError, TypeError, KeyError, RuntimeError) as error:
            return f"its answer is no order of what it was asked for ({type(error).__name__})"

    def _post(self, query: str, texts: Sequence[str]) -> bytes:
        question = {"query": query, "documents": list(texts), "top_n": len(texts)}
        if self._settings.model:
            question["model"] = self._settings.model
        deadline = monotonic() + self._settings.seconds
        with self._client.stream("POST", self._settings.url or "", json=question) as answer:
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                if monotonic() > deadline or len(body) > _LARGEST:
                    raise ValueError("too much")
            if not answer.is_success:
                raise httpx.HTTPStatusError("", request=answer.request, response=answer)
            return bytes(body)


def _read_order(body: bytes, count: int) -> Order:
    """Best first, equal ones as they were; ValueError or its like unless each has one score."""
    scores: dict[int, float] = {}
    for result in json.loads(body)["results"]:
        index, score = result["index"], float(result["relevance_score"])
        if type(index) is not int or index in scores or not math.isfinite(score):
            raise ValueError("no score")
        scores[index] = score
    if scores.keys() != set(range(count)):
        raise ValueError("not all of them")
    return tuple(sorted(scores, key=lambda index: (-scores[index], index)))
