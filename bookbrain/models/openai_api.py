"""OpenAI's API, or any that speaks it: texts and questions become vectors."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import openai

from bookbrain.errors import (
    BookBrainError,
    BusyError,
    ConfigError,
    InputError,
    UnavailableError,
    without_query,
)
from bookbrain.messages import fill, message_of
from bookbrain.model import EmbeddingSpace, text_digest
from bookbrain.models import Embedder, Keep, Purchase
from bookbrain.models.paced_client import PacedClient
from bookbrain.models.purchase import log_bill
from bookbrain.remote import AnswerLimits, BoundedClient, Service, quotable, run
from bookbrain.settings import EmbeddingSettings
from bookbrain.store.embeddings import Vector, is_sound, vector_of

_RETRIES = 6  # the client's own: exponential from 0.5 s to 8 s with jitter, Retry-After obeyed
_HOPELESS = 8  # so many texts refused one by one, with none accepted: it is not the texts
_TEXTS = 128  # so many texts take twice the time of one, no more
_DIMENSIONS = 8192  # of a model that we do not know, at most
_BYTES = 40  # of a number in JSON, at most
_REST = 1 << 16  # bytes of an answer that are no numbers
_MODELS = 1 << 20  # bytes of a list of models
_MOST_TOKENS = 1 << 40
_SHORT = 1000  # characters of a question that no model refuses
_SECONDS = 1.75  # for the vector of a question; OpenAI takes 0.1 to 1.5
_ALONE = 10.0  # where nobody else is held up
_PLACES = 16
_BACK_TO = "Run `bookbrain add` again later: it goes on where this stopped."
SET_KEY = (
    "Set the key: put OPENAI_API_KEY=sk-… into bookbrain.env in the library's folder, "
    "or export OPENAI_API_KEY. Without a key, BookBrain searches by keyword."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked for what, for errors: an endpoint by its address, and a model, whose name the
    setting `named` has and which may take `seconds`; `back_to` is how to go on later."""

    where: str
    model: str
    seconds: float
    named: str
    back_to: str


def client_of(
    settings: EmbeddingSettings, timeout: float, retries: int,
    http: type[BoundedClient] = BoundedClient,
) -> openai.AsyncOpenAI:  # fmt: skip
    """A client of the endpoint; it waits `timeout` seconds. It follows nobody to another host."""
    return openai.AsyncOpenAI(
        api_key=settings.api_key or "none",  # the client insists; local endpoints do not
        base_url=settings.base_url or "https://api.openai.com/v1",
        timeout=timeout,
        max_retries=retries,
        http_client=http(),
    )


class OpenAIEmbedder:
    """An embedder: one endpoint and model. It follows nobody to another host.

    Several threads may have texts embedded at once, at the pace that the endpoint takes; what they
    `keep` they keep one after another.
    """

    def __init__(
        self, settings: EmbeddingSettings, dimensions: int | None, *, retries: int = _RETRIES
    ) -> None:
        """`dimensions` is what every vector must have; None: as the first one has."""
        self.dimensions = dimensions
        self._settings = settings
        http = PacedClient if retries else BoundedClient  # who tries again has time
        self._client = client_of(settings, settings.timeout, retries, http)
        where = without_query(settings.base_url or "OpenAI")
        self._asked = Asked(
            where, settings.model, settings.timeout, "BOOKBRAIN_EMBEDDING_MODEL", _BACK_TO
        )
        self._service = Service(where, _PLACES)
        self._reading = Lock()

    def close(self) -> None:
        run(self._client.close)

    def embed(self, texts: Sequence[str], purchase: Purchase, keep: Keep) -> None:
        """In one request, or in as many as it takes to isolate a bad text.

        What an answer lacks, or has no sound vector for, is asked for once more. Raises ConfigError
        for vectors of another size than all must have, UnavailableError where two answers in a row
        have no sound vector at all.
        """
        self._embed(texts, purchase, keep, again=True)

    def _embed(
        self, texts: Sequence[str], purchase: Purchase, keep: Keep, *, again: bool = False,
        doubtful: bool = False,
    ) -> None:  # fmt: skip
        """Ask once more if `again`; `doubtful`: the last answer had no sound vector for them."""
        good: dict[str, Vector] = {}
        useless = False
        try:
            with self._errors():
                body = run(lambda: self._post(texts))
            with self._reading:
                good, complaint = self._read(texts, body, purchase)
                useless = not good
                if good:
                    keep(good)
                    purchase.embedded += len(good)
        except RefusedError as refusal:
            self._divide(texts, refusal.reason, purchase, keep)
            return
        except MalformedError as error:
            complaint = error.reason
        bad = [text for text in texts if text not in good]
        if bad and again:
            self._embed(bad, purchase, keep, doubtful=useless)
        elif useless and doubtful and _blames_endpoint(bad, purchase):
            raise refuses_everything(complaint)
        elif bad:
            self._divide(bad, complaint, purchase, keep)

    def check(self) -> None:
        """Ask for the list of models, which costs nothing; raises as `embed` does.

        Not every compatible server has one: that it answers is enough.
        """
        try:
            with self._errors():
                run(self._list_models)
        except (RefusedError, MalformedError):
            return
        except ConfigError as error:
            if isinstance(error.__cause__, openai.NotFoundError):
                return
            raise

    async def _list_models(self) -> None:
        self._limit(_MODELS, 1)
        await self._client.models.with_raw_response.list()

    @property
    def rests(self) -> bool:
        return self._service.rests

    def kept_as(self, question: str) -> str:
        return question

    def vector(self, question: str) -> Vector:
        """In 1.75 s with a Turn, in ten without."""
        longest = self._settings.timeout
        return self._service.ask(
            lambda: self._post_question(question),
            lambda body: self._read_question(question, body),
            min(_SECONDS, longest),
            alone=min(_ALONE, longest),
        )

    async def _post_question(self, question: str) -> bytes:
        try:
            with self._errors():
                return await self._post([question])
        except RefusedError as refusal:
            raise _no_vector(question, refusal.reason) from refusal
        except MalformedError as error:
            raise _no_vector("", error.reason) from error

    def _read_question(self, question: str, body: bytes) -> Vector:
        purchase = Purchase()
        try:
            good, complaint = self._read([question], body, purchase)
        except MalformedError as error:
            good, complaint = {}, error.reason
        finally:
            log_bill(self._settings, purchase.tokens)
        if question not in good:
            raise _no_vector("", complaint)
        return good[question]

    def _divide(self, texts: Sequence[str], reason: str, purchase: Purchase, keep: Keep) -> None:
        """Ask again in halves; a text that is refused on its own is given up."""
        if len(texts) > 1:
            half = len(texts) // 2
            self._embed(texts[:half], purchase, keep)
            self._embed(texts[half:], purchase, keep)
            return
        purchase.refused[text_digest(texts[0])] = reason
        if not purchase.embedded and len(purchase.refused) >= _HOPELESS:
            raise refuses_everything(reason)

    async def _post(self, texts: Sequence[str]) -> bytes:
        sent = self._settings.expected_dimensions if self._takes_dimensions() else None
        numbers = len(texts) * (self.dimensions or _DIMENSIONS)
        self._limit(numbers * _BYTES + _REST, len(texts))
        answer = await self._client.embeddings.with_raw_response.create(
            model=self._settings.model,
            input=list(texts),
            dimensions=sent or openai.omit,
            encoding_format="float",  # many compatible servers cannot do base64
        )
        return bytes(answer.http_response.content)

    def _limit(self, most: int, texts: int) -> None:
        """Let each answer have `most` bytes, and take up to twice as long as one to one text."""
        AnswerLimits(most, self._settings.timeout * (1 + min(texts / _TEXTS, 1))).hold()

    def _takes_dimensions(self) -> bool:
        return bool(self._settings.dimensions) or "text-embedding-3" in self._settings.model

    def _read(
        self, texts: Sequence[str], body: bytes, purchase: Purchase
    ) -> tuple[dict[str, Vector], str]:
        """The usable vectors by text, and what is wrong with the others.

        Raises MalformedError, and ConfigError where all sound vectors have another size than those
        that are there. Where an index cannot be right, no vector is believed to be its text's.
        """
        items, tokens = _read_answer(body, len(texts))
        purchase.tokens += tokens
        good: dict[str, Vector] = {}
        complaint = fill("the answer had no vector for it")
        named = Counter(index for index, _ in items)
        if any(not 0 <= index < len(texts) for index in named) or len(named) < min(len(items), 2):
            return {}, fill("the answer does not say which vector is whose")
        other = 0  # dimensions of a sound vector
        for index, values in items:
            if named[index] > 1:
                continue
            vector = vector_of(values)
            if vector is None:
                complaint = fill("the answer was not a vector")
            elif not is_sound(vector):
                complaint = fill("the vector was not of finite numbers")
            elif self.dimensions not in (None, vector.size):
                other = vector.size
                complaint = fill(
                    "the vector had {size} dimensions, not {expected}",
                    size=other,
                    expected=self.dimensions,
                )
            else:
                self.dimensions = vector.size
                good[texts[index]] = vector
        if other and not good:
            raise self._wrong_size(other)
        return good, complaint

    def _wrong_size(self, size: int) -> ConfigError:
        """The error for a model whose vectors all have `size` dimensions: asked again, it would
        give the same, for money."""
        return ConfigError(
            fill(
                "{model} at {where} gives vectors of {size} dimensions, not {expected}.",
                model=self._settings.model,
                where=self._asked.where,
                size=size,
                expected=self.dimensions,
            ),
            fill(
                "Set BOOKBRAIN_EMBEDDING_DIMENSIONS={size}, or another BOOKBRAIN_EMBEDDING_MODEL; "
                "then run `bookbrain embed`.",
                size=size,
            ),
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except openai.OpenAIError as error:
            raise translated(error, self._asked) from error
        except (ValueError, RecursionError) as error:  # what nobody reads, or not to its end
            raise malformed(error) from error


def _read_answer(body: bytes, count: int) -> tuple[list[tuple[int, Any]], int]:
    """Each vector with its index, hardly looked at, and the tokens; the client's own objects take
    4 ms a vector. Raises MalformedError for what is no list of at most `count` embeddings."""
    try:
        answer = json.loads(body)
        items = [(item["index"], item["embedding"]) for item in answer["data"]]
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise malformed(error) from error
    if len(items) > count or any(type(index) is not int for index, _ in items):
        raise malformed(ValueError("no list of embeddings"))
    usage = answer.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else 0
    return items, tokens if type(tokens) is int and 0 <= tokens < _MOST_TOKENS else 0


def _no_vector(refused: str, reason: str) -> BookBrainError:
    """The error for a question; a long one may be refused for what it is."""
    if len(refused) > _SHORT:
        return InputError(
            fill("The endpoint refused the query: {reason}.", reason=reason), quoted=reason
        )
    return UnavailableError(
        fill("The endpoint gave no vector: {reason}.", reason=reason), quoted=reason
    )


def _blames_endpoint(texts: Sequence[str], purchase: Purchase) -> bool:
    """Whether so many texts without a sound vector cannot be to blame themselves; a few can, where
    others have got theirs."""
    return len(texts) > 1 and (len(texts) >= _HOPELESS or not purchase.embedded)


class _NoAnswerError(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefusedError(_NoAnswerError):
    """The endpoint does not want this request: what is in it, or its size."""


class MalformedError(_NoAnswerError):
    """The answer was cut off, garbled or none, though the request was fine."""


def refuses_everything(reason: str) -> UnavailableError:
    """The error for an endpoint that accepts no text at all."""
    return UnavailableError(
        fill("The embedding endpoint gave no usable answer to any text: {reason}.", reason=reason),
        fill(
            "Check BOOKBRAIN_EMBEDDING_MODEL and BOOKBRAIN_EMBEDDING_DIMENSIONS. {back_to}",
            back_to=message_of(_BACK_TO),
        ),
        quoted=reason,
    )


def malformed(error: Exception) -> MalformedError:
    reason = quotable(str(error)) if isinstance(error, ValueError) else type(error).__name__
    return MalformedError(fill("the answer was malformed ({error})", error=reason))


def translated(error: openai.OpenAIError, asked: Asked) -> Exception:
    """What an error of the client is to a person, or to whoever asks again for less."""
    where, back_to = asked.where, asked.back_to
    match error:
        case openai.APIStatusError(status_code=400 | 413 | 422):
            return RefusedError(_first_line(error))
        case openai.APIResponseValidationError():
            return MalformedError(fill("the answer was malformed"))
        case openai.APIStatusError(status_code=status):
            return _status_error(error, status, asked)
        case openai.APITimeoutError():
            return UnavailableError(
                fill(
                    "{where} did not answer in {seconds:g} s.",
                    where=where,
                    seconds=asked.seconds,
                ),
                back_to,
            )
        case openai.APIConnectionError():
            return UnavailableError(fill("{where} cannot be reached.", where=where), back_to)
    reason = _first_line(error)
    return BookBrainError(
        fill("{where} failed: {error}.", where=where, error=reason), back_to, quoted=reason
    )


def _status_error(error: openai.APIStatusError, status: int, asked: Asked) -> BookBrainError:
    where, back_to = asked.where, asked.back_to
    match status:
        case 401 | 403:
            return ConfigError(fill("{where} does not accept the API key.", where=where), SET_KEY)
        case status if 300 <= status < 400:
            return ConfigError(
                fill("{where} sends us on to another address, where no text is sent.", where=where),
                "Check OPENAI_BASE_URL.",
            )
        case 404:
            return ConfigError(
                fill("{where} does not know the model {model}.", where=where, model=asked.model),
                fill("Check {setting} and OPENAI_BASE_URL.", setting=asked.named),
            )
        case 429 if error.code == "insufficient_quota":
            return BusyError(
                fill("The account at {where} has no credit left.", where=where),
                fill("Top it up. {back_to}", back_to=message_of(back_to)),
            )
        case 429:
            return BusyError(fill("{where} limits the rate of requests.", where=where), back_to)
    return UnavailableError(
        fill("{where} answers with status {status}.", where=where, status=status), back_to
    )


def _first_line(error: Exception) -> str:
    """What the endpoint says, as far as it says anything."""
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    return quotable(said if isinstance(said, str) and said else str(error)).rstrip(".")


_known: dict[tuple[EmbeddingSettings, EmbeddingSpace], OpenAIEmbedder] = {}
_making = Lock()


def embedder_for_questions(settings: EmbeddingSettings, space: EmbeddingSpace) -> Embedder:
    """The one of the process, kept as long as that lives. It asks once, and never for long."""
    with _making:
        key = settings, space
        if key not in _known:
            _known[key] = OpenAIEmbedder(settings.with_timeout(_ALONE), space.dimensions, retries=0)
        return _known[key]
