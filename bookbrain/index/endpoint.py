"""The embedding endpoint: OpenAI's, or any that speaks its API. The home of the openai client."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openai

from bookbrain.config import EmbeddingSettings
from bookbrain.errors import BookBrainError, BusyError, ConfigError, UnavailableError
from bookbrain.index.embeddings import Vector

Keep = Callable[[dict[str, Vector]], None]

_RETRIES = 6  # the client's own: exponential from 0.5 s to 8 s with jitter, Retry-After obeyed
_HOPELESS = 8  # so many texts refused one by one, with none accepted: it is not the texts
_BACK_TO = "Run `bookbrain add` again later: it goes on where this stopped."
SET_KEY = (
    "Set the key: put OPENAI_API_KEY=sk-… into bookbrain.env in the library's folder, "
    "or export OPENAI_API_KEY. Without a key, BookBrain searches by keyword."
)


@dataclass(slots=True)
class Outcome:
    """What became of some texts: how many were embedded, which were refused and why, the bill."""

    embedded: int = 0
    tokens: int = 0
    refused: dict[str, str] = field(default_factory=dict)


class Endpoint:
    """A client of one endpoint and model. Vectors are checked: finite, and of one size."""

    def __init__(
        self, settings: EmbeddingSettings, dimensions: int | None, *, retries: int = _RETRIES
    ) -> None:
        """`dimensions` is what every vector must have; None: as the first one has."""
        self.dimensions = dimensions
        self._settings = settings
        self._client = openai.OpenAI(
            api_key=settings.api_key or "none",  # the client insists; local endpoints do not
            base_url=settings.base_url or "https://api.openai.com/v1",
            timeout=settings.timeout,
            max_retries=retries,
        )

    def close(self) -> None:
        self._client.close()

    def embed(
        self, texts: Sequence[str], outcome: Outcome, keep: Keep, *, again: bool = True
    ) -> None:
        """Embed distinct texts in one request, or in as many as it takes to isolate a bad one.

        What an answer lacks, or has no sound vector for, is asked for once more if `again`.

        `keep` gets every good answer at once, by text. Raises ConfigError for a wrong key,
        BusyError for a limit, UnavailableError when the endpoint is down or refuses everything.
        """
        good: dict[str, Vector] = {}
        try:
            answer = self._ask(texts)
        except _RefusedError as refusal:
            self._divide(texts, str(refusal), outcome, keep)
            return
        except _MalformedError as error:
            complaint = str(error)
        else:
            outcome.tokens += answer.tokens
            good, complaint = self._good_vectors(texts, answer)
        if good:
            keep(good)
            outcome.embedded += len(good)
        bad = [text for text in texts if text not in good]
        if bad and again:
            self.embed(bad, outcome, keep, again=False)
        elif bad:
            self._divide(bad, complaint, outcome, keep)

    def check(self) -> None:
        """Ask for the list of models, which costs nothing; raises as `embed` does.

        Not every compatible server has one: that it answers is enough.
        """
        try:
            with _translated_errors(self._settings):
                self._client.models.list()
        except (_RefusedError, _MalformedError):
            return
        except ConfigError as error:
            if isinstance(error.__cause__, openai.NotFoundError):
                return
            raise

    def embed_one(self, text: str) -> Vector:
        """The vector of one text; raises BookBrainError when there is none to be had."""
        vectors: dict[str, Vector] = {}
        outcome = Outcome()
        self.embed([text], outcome, vectors.update)
        if text not in vectors:
            reason = outcome.refused[text]
            raise UnavailableError(f"The endpoint refused the query: {reason}.", quoted=reason)
        return vectors[text]

    def _divide(self, texts: Sequence[str], reason: str, outcome: Outcome, keep: Keep) -> None:
        """Ask again in halves; a text that is refused on its own is given up."""
        if len(texts) > 1:
            half = len(texts) // 2
            self.embed(texts[:half], outcome, keep, again=False)
            self.embed(texts[half:], outcome, keep, again=False)
            return
        outcome.refused[texts[0]] = reason
        if not outcome.embedded and len(outcome.refused) >= _HOPELESS:
            raise refuses_everything(reason)

    def _ask(self, texts: Sequence[str]) -> "_Answer":
        sent = self._settings.expected_dimensions if self._takes_dimensions() else None
        with _translated_errors(self._settings):
            raw = self._client.embeddings.with_raw_response.create(
                model=self._settings.model,
                input=list(texts),
                dimensions=sent or openai.omit,
                encoding_format="float",  # many compatible servers cannot do base64
            )
            return _read_answer(raw.http_response.json())

    def _takes_dimensions(self) -> bool:
        return bool(self._settings.dimensions) or "text-embedding-3" in self._settings.model

    def _good_vectors(
        self, texts: Sequence[str], answer: "_Answer"
    ) -> tuple[dict[str, Vector], str]:
        """The usable vectors by text, and what is wrong with the others."""
        good: dict[str, Vector] = {}
        complaint = "the answer had no vector for it"
        for item in answer.items:
            try:
                vector, index = np.array(item["embedding"], np.float32), int(item["index"])
            except (TypeError, ValueError, KeyError):
                complaint = "the answer was not a vector"
                continue
            if not vector.size or not np.isfinite(vector).all() or not vector.any():
                complaint = "the vector was not of finite numbers"
            elif self.dimensions not in (None, vector.size):
                complaint = f"the vector had {vector.size} dimensions, not {self.dimensions}"
            elif 0 <= index < len(texts):
                self.dimensions = vector.size
                good[texts[index]] = vector
        return good, complaint


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an endpoint sent, hardly looked at: the client's own objects take 4 ms a vector."""

    items: Sequence[Any]
    tokens: int


def _read_answer(body: Any) -> _Answer:
    """Raise ValueError for what is no list of embeddings."""
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise ValueError("no list of embeddings")
    usage = body.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else 0
    return _Answer(body["data"], tokens if isinstance(tokens, int) else 0)


class _RefusedError(Exception):
    """The endpoint does not want this request: one of its texts, or its size."""


class _MalformedError(Exception):
    """The answer was cut off or garbled, though the request was fine."""


def refuses_everything(reason: str) -> UnavailableError:
    """The error for an endpoint that accepts no text at all."""
    return UnavailableError(
        f"The embedding endpoint gave no usable answer to any text: {reason}.",
        f"Check BOOKBRAIN_EMBEDDING_MODEL and BOOKBRAIN_EMBEDDING_DIMENSIONS. {_BACK_TO}",
        quoted=reason,
    )


@contextmanager
def _translated_errors(settings: EmbeddingSettings) -> Iterator[None]:
    try:
        yield
    except openai.OpenAIError as error:
        raise _translated(error, settings) from error
    except ValueError as error:  # a body that is not JSON, or has no data
        raise _MalformedError(f"the answer was malformed ({error})") from error


def _translated(error: openai.OpenAIError, settings: EmbeddingSettings) -> Exception:
    where = settings.base_url or "OpenAI"
    match error:
        case openai.APIStatusError(status_code=400 | 413 | 422):
            return _RefusedError(_first_line(error))
        case openai.APIResponseValidationError():
            return _MalformedError("the answer was malformed")
        case openai.APIStatusError(status_code=status):
            return _status_error(error, status, where, settings.model)
        case openai.APITimeoutError():
            return UnavailableError(f"{where} did not answer in {settings.timeout:g} s.", _BACK_TO)
        case openai.APIConnectionError():
            return UnavailableError(f"{where} cannot be reached.", _BACK_TO)
    reason = _first_line(error)
    return BookBrainError(f"The embedding endpoint failed: {reason}.", _BACK_TO, quoted=reason)


def _status_error(
    error: openai.APIStatusError, status: int, where: str, model: str
) -> BookBrainError:
    match status:
        case 401 | 403:
            return ConfigError(f"{where} does not accept the API key.", SET_KEY)
        case 404:
            hint = "Check BOOKBRAIN_EMBEDDING_MODEL and OPENAI_BASE_URL."
            return ConfigError(f"{where} does not know the model {model}.", hint)
        case 429 if error.code == "insufficient_quota":
            return BusyError(
                f"The account at {where} has no credit left.", f"Top it up. {_BACK_TO}"
            )
        case 429:
            return BusyError(f"{where} limits the rate of requests.", _BACK_TO)
    return UnavailableError(f"{where} answers with status {status}.", _BACK_TO)


def _first_line(error: Exception) -> str:
    message = getattr(error, "body", None)
    text = message.get("message") if isinstance(message, dict) else None
    return str(text or error).splitlines()[0][:200].rstrip(".")
