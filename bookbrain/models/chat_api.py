"""A chat model of OpenAI's API, or of any server that speaks it: an answer comes word for word."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from bookbrain.errors import (
    BookBrainError,
    BusyError,
    ConfigError,
    InputError,
    UnavailableError,
    without_query,
)
from bookbrain.log import Event
from bookbrain.messages import fill
from bookbrain.models import Bill, ChatModel, Prompt
from bookbrain.remote import AnswerLimits, Service, StreamedClient, pieces, quotable, run
from bookbrain.settings import ChatSettings
from bookbrain.store.spending import Spending

_PLACES = 8
_CROWDED = 2.0  # seconds to wait for a place
_BYTES = 1 << 23  # of an answer on the wire, where each word is an event of some 300
_CHARACTERS = 1 << 16  # of the words themselves
_TAIL = 2.0  # seconds that an answer which is complete may take to end
_MOST_TOKENS = 1 << 40
_NO_SCHEMA = (400, 404, 415, 422, 501)  # said by servers that do not know `response_format`
_AGAIN = "Search is not touched by this. Ask again later."
_log = logging.getLogger(__name__)
Hand = Callable[[str], None]


class ChatEndpoint:
    """The chat model of `settings`, which are connected, for all threads of the process. What
    answers cost is counted for the library in `home`."""

    def __init__(self, settings: ChatSettings, home: Path) -> None:
        self.window = settings.window
        self._settings = settings
        self._where = without_query(settings.url or "")
        try:
            self._client = openai.AsyncOpenAI(
                api_key=settings.api_key or "none",  # the client insists; local endpoints do not
                base_url=settings.url,
                timeout=settings.seconds,
                max_retries=0,  # an answer may have been paid for
                http_client=StreamedClient(),
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise ConfigError(
                fill("This is no address: {where}", where=self._where), "Check BOOKBRAIN_CHAT_URL."
            ) from error
        self._service = Service(self._where, _PLACES)
        self._spending = None if settings.budget is None else Spending(home, settings.budget)
        self._takes_schema = True

    def close(self) -> None:
        run(self._client.close)

    def answer(self, prompt: Prompt, bill: Bill) -> Iterator[str]:
        """See ChatModel."""
        own = Bill()
        try:
            with self._paid(prompt, own) as sent, self._service.asking(monotonic() + _CROWDED):
                yield from self._answer(prompt, own, sent)
        finally:
            bill.add(own)

    def _answer(self, prompt: Prompt, bill: Bill, sent: list[str]) -> Iterator[str]:
        if self._takes_schema:
            try:
                yield from self._stream(prompt, bill, sent, schema=True)
                return
            except _RefusedError:  # nothing was answered: not every server knows all options
                pass
        yield from self._stream(prompt, bill, sent, schema=False)
        self._takes_schema = False

    def _stream(
        self, prompt: Prompt, bill: Bill, sent: list[str], *, schema: bool
    ) -> Iterator[str]:
        async def request(hand: Hand) -> None:
            await self._request(prompt, bill, sent, hand, schema)

        length = 0
        try:
            with closing(pieces(request, self._settings.seconds)) as coming:
                for piece in coming:
                    length += len(piece)
                    if length > _CHARACTERS:
                        raise self._endless()
                    yield piece
        except TimeoutError as error:
            raise self._late(self._settings.seconds) from error

    async def _request(
        self, prompt: Prompt, bill: Bill, sent: list[str], hand: Hand, schema: bool
    ) -> None:
        begun, heard = monotonic(), False
        AnswerLimits(_BYTES, self._settings.seconds).hold()
        with self._errors(sent, schema=schema):
            sent.append("")
            try:
                async with asyncio.timeout(self._settings.first):
                    stream = await self._client.chat.completions.create(
                        **self._options(prompt, schema=schema)
                    )
                async with stream:
                    chunks = _Chunks(aiter(stream), bill)
                    left = self._settings.first - (monotonic() - begun)
                    while (piece := await chunks.next(left)) is not None:
                        heard, left = True, self._settings.pause
                        if piece:
                            hand(piece)
            except TimeoutError as error:
                raise (self._silent() if heard else self._late(self._settings.first)) from error
            if not chunks.finished:
                raise ConnectionError("no end")

    def _options(self, prompt: Prompt, *, schema: bool) -> dict[str, Any]:
        limit = "max_tokens"  # which all compatible servers know, and OpenAI's newer models do not
        if urlsplit(self._where).hostname == "api.openai.com":
            limit = "max_completion_tokens"
        options: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            "stream": True,
            limit: prompt.most,
        }
        if schema:
            form = {"name": "answer", "strict": True, "schema": prompt.schema}
            options["response_format"] = {"type": "json_schema", "json_schema": form}
            options["stream_options"] = {"include_usage": True}
        return options

    # Money

    @contextmanager
    def _paid(self, prompt: Prompt, bill: Bill) -> Iterator[list[str]]:
        """Set aside what the answer can cost at most, and count what it did cost. The list has an
        item as soon as something was sent that may be billed, and none where it was refused."""
        most = self._cost(len((prompt.system + prompt.user).encode()), prompt.most)
        if self._spending and most is None:
            raise ConfigError(
                fill("The price of {model} is not known.", model=self._settings.model),
                "A limit needs it: set BOOKBRAIN_CHAT_PRICE and BOOKBRAIN_CHAT_PRICE_WRITTEN.",
            )
        month = self._spending.set_aside(most or 0.0) if self._spending else ""
        sent: list[str] = []
        try:
            yield sent
        finally:
            known = self._cost(bill.read, bill.written) if bill.tokens else None
            bill.dollars = known
            if self._spending:
                unknown = (most or 0.0) if sent else 0.0  # it may have been billed
                paid = unknown if known is None else known
                self._settle(month, most or 0.0, paid)
            _log_bill(bill)

    def _settle(self, month: str, aside: float, paid: float) -> None:
        """Where it cannot be written, all that was set aside stays as spent."""
        if self._spending:
            try:
                self._spending.settle(month, aside, paid)
            except BookBrainError as error:
                _log.warning("%s", error.for_log)

    def _cost(self, read: int, written: int) -> float | None:
        """US dollars; a text of so many bytes has no more tokens."""
        if self._settings.prices is None:
            return None
        price, price_written = self._settings.prices
        return (read * price + written * price_written) / 1e6

    # Faults

    @contextmanager
    def _errors(self, sent: list[str], *, schema: bool) -> Iterator[None]:
        try:
            yield
        except openai.APIStatusError as error:
            sent.clear()
            named = error.status_code == 500 and "response_format" in str(error)
            if schema and (named or error.status_code in _NO_SCHEMA):
                raise _RefusedError from error
            raise self._status_error(error) from error
        except (openai.APIConnectionError, openai.APITimeoutError) as error:
            if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout):
                sent.clear()
            raise UnavailableError(
                fill("{where} cannot be reached.", where=self._where), _AGAIN
            ) from error
        except ConnectionError as error:
            raise UnavailableError(
                fill("The answer of {where} broke off.", where=self._where), _AGAIN
            ) from error
        except openai.OpenAIError as error:
            reason = quotable(str(error)).rstrip(".")
            raise UnavailableError(
                fill("{where} failed: {reason}.", where=self._where, reason=reason), _AGAIN,
                quoted=reason,
            ) from error  # fmt: skip
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            if str(error) == "it is too long":
                raise self._endless() from error
            raise UnavailableError(
                fill("{where} gave no answer that can be read.", where=self._where), _AGAIN
            ) from error

    def _status_error(self, error: openai.APIStatusError) -> BookBrainError:
        where = self._where
        match error.status_code:
            case 400 | 413 | 422:
                reason = quotable(str(error)).rstrip(".")
                return InputError(
                    fill("{where} refused the question: {reason}.", where=where, reason=reason),
                    "Set BOOKBRAIN_CHAT_WINDOW to what the model can read.", quoted=reason,
                )  # fmt: skip
            case 429 if error.code == "insufficient_quota":
                return BusyError(
                    fill("The account at {where} has no credit left.", where=where), "Top it up."
                )
            case 429:
                return BusyError(fill("{where} limits the rate of requests.", where=where), _AGAIN)
            case status if status in (401, 403, 404) or 300 <= status < 400:
                return self._wrong_setting(status)
        return UnavailableError(
            fill("{where} answers with status {status}.", where=where, status=error.status_code),
            _AGAIN,
        )

    def _wrong_setting(self, status: int) -> ConfigError:
        where = self._where
        if status in (401, 403):
            return ConfigError(
                fill("{where} does not accept the API key.", where=where),
                "Set BOOKBRAIN_CHAT_KEY: OPENAI_API_KEY is sent to its own service only.",
            )
        if status == 404:
            return ConfigError(
                fill("{where} does not know the model {model}.", where=where,
                     model=self._settings.model),
                "Check BOOKBRAIN_CHAT_MODEL and BOOKBRAIN_CHAT_URL.",
            )  # fmt: skip
        return ConfigError(
            fill("{where} sends us on to another address, where no text is sent.", where=where),
            "Check BOOKBRAIN_CHAT_URL.",
        )

    def _silent(self) -> UnavailableError:
        return UnavailableError(
            fill("{where} fell silent in its answer.", where=self._where), _AGAIN
        )

    def _late(self, seconds: float) -> UnavailableError:
        message = fill(
            "{where} did not answer in {seconds:g} s.", where=self._where, seconds=seconds
        )
        return UnavailableError(message, _AGAIN)

    def _endless(self) -> UnavailableError:
        return UnavailableError(
            fill("The answer of {where} is too long to be one.", where=self._where), _AGAIN
        )


class _RefusedError(Exception):
    """The endpoint does not want this request as it is."""


class _Chunks:
    """The words in the events of a stream; what these say of the cost goes into `bill`."""

    def __init__(self, coming: AsyncIterator[Any], bill: Bill) -> None:
        self.finished = False
        self._coming = coming
        self._bill = bill

    async def next(self, seconds: float) -> str | None:
        """The next words, "" for a thought that is not shown, None at the end; TimeoutError."""
        try:
            async with asyncio.timeout(_TAIL if self.finished else max(seconds, 0)):
                async for chunk in self._coming:
                    piece = self._words(chunk)
                    if piece is not None:
                        return piece
        except TimeoutError:
            if not self.finished:
                raise
        return None

    def _words(self, chunk: Any) -> str | None:
        self._note_usage(getattr(chunk, "usage", None))
        if not chunk.choices:
            return None
        choice = chunk.choices[0]
        if choice.finish_reason:
            self.finished = True
            self._bill.short = choice.finish_reason == "length"
        content = getattr(choice.delta, "content", None)
        if isinstance(content, str) and content:
            return content
        thoughts = getattr(choice.delta, "reasoning_content", None)
        return "" if isinstance(thoughts, str) and thoughts else None

    def _note_usage(self, usage: Any) -> None:
        read, written = (getattr(usage, n, None) for n in ("prompt_tokens", "completion_tokens"))
        if all(type(n) is int and 0 <= n < _MOST_TOKENS for n in (read, written)):
            self._bill.read, self._bill.written = int(read or 0), int(written or 0)


def _log_bill(bill: Bill) -> None:
    """Tell the journal what was paid for."""
    if bill.tokens:
        event = Event(event="ask", tokens=bill.tokens, dollars=bill.dollars)
        _log.info("answered tokens=%d", bill.tokens, extra={"fields": event})


@cache
def chat_endpoint(settings: ChatSettings, home: Path) -> ChatModel:
    """The one of the process, kept as long as that lives."""
    return ChatEndpoint(settings, home)
