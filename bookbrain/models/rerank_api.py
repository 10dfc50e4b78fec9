"""The reranker: a model elsewhere that reads a question beside each text, and orders the texts.

It is asked as Cohere, Jina, vLLM, llama.cpp and others are: POST {"model", "query", "documents",
"top_n"}, answered by {"results": [{"index", "relevance_score"}, …]}.
"""

import json
import logging
import math
from collections.abc import Sequence
from functools import cache

import httpx2

from bookbrain.errors import BookBrainError
from bookbrain.models import Order, Reranker
from bookbrain.remote import AnswerLimits, BoundedClient, Service, run
from bookbrain.settings import RerankSettings

_LARGEST = 1 << 20  # bytes of an answer
_PLACES = 8
_log = logging.getLogger(__name__)


class RerankEndpoint:
    """A reranker: that of the settings, for all threads of the process. It never raises."""

    def __init__(self, settings: RerankSettings) -> None:
        self._settings = settings
        key = settings.api_key
        self._client = BoundedClient(
            headers={b"Authorization": f"Bearer {key}".encode()} if key else None,
            timeout=settings.seconds,
        )
        self._service = Service("The reranker", _PLACES)

    def close(self) -> None:
        run(self._client.aclose)

    def order(self, query: str, texts: Sequence[str]) -> Order | None:
        """Whatever it does, this returns within the seconds of the settings. After three failures
        in a row it is not asked for a minute.
        """
        if self._service.rests:
            return None
        try:
            return self._service.ask(
                lambda: self._post(query, texts), lambda body: _read_order(body, len(texts)),
                self._settings.seconds, late=True,
            )  # fmt: skip
        except BookBrainError as error:
            reason: str = error.message
        except httpx2.HTTPStatusError as error:
            reason = f"it answers with status {error.response.status_code}"
        except httpx2.TimeoutException:
            reason = "it did not answer in time"
        except (httpx2.HTTPError, OSError) as error:
            reason = f"it cannot be asked ({type(error).__name__})"
        except (
            httpx2.InvalidURL, ValueError, TypeError, KeyError, RuntimeError, OverflowError
        ) as error:  # fmt: skip
            reason = f"its answer is no order of what it was asked for ({type(error).__name__})"
        # Nothing that quotes the question, a text or an answer.
        _log.warning("the reranker is of no use: %s", reason)
        return None

    async def _post(self, query: str, texts: Sequence[str]) -> bytes:
        question = {"query": query, "documents": list(texts), "top_n": len(texts)}
        if self._settings.model:
            question["model"] = self._settings.model
        AnswerLimits(_LARGEST, self._settings.seconds).hold()
        answer = await self._client.post(self._settings.url or "", json=question)
        if not answer.is_success:
            raise httpx2.HTTPStatusError("", request=answer.request, response=answer)
        return answer.content


@cache
def reranker(settings: RerankSettings) -> Reranker:
    """The one of the process, kept as long as that lives."""
    return RerankEndpoint(settings)


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
