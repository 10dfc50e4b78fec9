"""How fast an endpoint is asked: several requests at once, and no more than it says that it takes.

Its limits are in its answers: status 429 with `Retry-After` (RFC 9110, 10.2.3), and OpenAI's
`x-ratelimit-*`, which tell what is left of a minute before it is used up.
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import count
from math import inf
from time import monotonic, time
from typing import Any

import httpx2

from bookbrain.remote import BoundedClient

AT_ONCE = 8  # requests
_LIMITED = 429
_LONGEST = 120.0  # seconds that an endpoint may have us wait at a time
_BYTES = 3  # of a request's body for each token, at least
_FIRST, _LAST = 0.5, 8.0  # seconds to wait where a refusal does not say, ever longer
_TRIES = 3
_FOREVER = 3600.0
_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?(?:([\d.]+)ms)?", re.ASCII)


class Pace:
    """Whose turn it is to ask, in order; all in one event loop.

    A refusal stops everybody until the endpoint wants to be asked again, and halves the number of
    requests at once, which grows again by one with each round of answers.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._waiting: set[int] = set()
        self._under_way: dict[int, int] = {}  # tokens, by turn
        self._places = AT_ONCE
        self.answered = 0  # requests
        self._grown = 0  # after so many answers
        self._refused = 0  # requests, in a row
        self._slowed = 0.0
        self._resumes = 0.0
        self._left = inf  # tokens, until the limit is whole again
        self._whole = 0.0

    async def begin(self, turn: int, tokens: int) -> None:
        """Wait until a request of so many tokens may go; the lowest turn goes first."""
        self._waiting.add(turn)
        try:
            while pause := self._pause(turn, tokens):
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
        finally:
            self._waiting.discard(turn)
            self._changed.set()
        self._under_way[turn] = tokens
        self._left -= tokens

    def _pause(self, turn: int, tokens: int) -> float:
        """The seconds until it is worth looking again; 0 for now."""
        now = monotonic()
        if now < self._resumes:
            return self._resumes - now
        if turn > min(self._waiting) or len(self._under_way) >= self._places:
            return _FOREVER
        if now >= self._whole:
            self._left = inf
        return self._whole - now if tokens > self._left else 0.0

    def end(self, turn: int, begun: float, answer: httpx2.Response | None) -> None:
        """Learn from the answer to a request that went at `begun`; None where none came."""
        del self._under_way[turn]
        self._changed.set()
        if answer is None:
            return
        said = Limits.of(answer.headers)
        if answer.status_code == _LIMITED:
            wait = said.retry_after or min(_FIRST * 2**self._refused, _LAST)
            self._resumes = max(self._resumes, monotonic() + wait)
            self._refused = min(self._refused + 1, 10)
            if begun >= self._slowed:
                self._places = max(1, self._places // 2)
                self._slowed, self._grown = monotonic(), self.answered
            return
        if said.tokens < inf:
            self._left = said.tokens - sum(self._under_way.values())
            self._whole = monotonic() + said.whole_after
        if not said.requests:
            self._resumes = max(self._resumes, monotonic() + said.next_after)
        self.answered += 1
        self._refused = 0
        if self.answered - self._grown >= self._places < AT_ONCE:
            self._places, self._grown = self._places + 1, self.answered


@dataclass(frozen=True, slots=True)
class Limits:
    """What an answer says of them; all `..._after` in seconds, 0 where nothing is said.

    `tokens` and `requests` are what is left.
    """

    retry_after: float
    tokens: float
    whole_after: float
    requests: float
    next_after: float

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Limits":
        """Nonsense counts as nothing said."""
        return cls(
            _retry_after(headers),
            _number(headers.get("x-ratelimit-remaining-tokens", ""), inf),
            _span(headers.get("x-ratelimit-reset-tokens", "")),
            _number(headers.get("x-ratelimit-remaining-requests", ""), inf),
            _span(headers.get("x-ratelimit-reset-requests", "")),
        )


def _retry_after(headers: Mapping[str, str]) -> float:
    if milliseconds := _number(headers.get("retry-after-ms", ""), 0.0):
        return min(milliseconds / 1000, _LONGEST)
    said = headers.get("retry-after", "")
    try:
        seconds = parsedate_to_datetime(said).timestamp() - time()
    except ValueError:
        seconds = _number(said, 0.0)
    return min(max(seconds, 0.0), _LONGEST)


def _number(said: str, otherwise: float) -> float:
    plain = said.replace(".", "", 1)
    return float(said) if plain.isascii() and plain.isdecimal() and len(said) < 20 else otherwise


def _span(said: str) -> float:
    """Seconds of a time as `6m0s`, `1.5s` or `20ms`."""
    match = _SPAN.fullmatch(said)
    if not match:
        return 0.0
    hours, minutes, seconds, milliseconds = (_number(part or "", 0.0) for part in match.groups())
    return min(3600 * hours + 60 * minutes + seconds + milliseconds / 1000, _LONGEST)


class PacedClient(BoundedClient):
    """Requests go at the pace that their endpoint takes. One that is refused for a while goes again
    in its turn, unless that happens three times while nobody else is answered."""

    def __init__(self) -> None:
        super().__init__()
        self._pace = Pace()
        self._turns = count()

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        turn, refusals, before = next(self._turns), 0, -1
        while True:
            await self._pace.begin(turn, len(request.content) // _BYTES)
            begun, answer = monotonic(), None
            try:
                answer = await super().send(request, **options)
            finally:
                self._pace.end(turn, begun, answer)
            if answer.status_code != _LIMITED or not Limits.of(answer.headers).retry_after:
                return answer
            refusals = refusals + 1 if before == self._pace.answered else 1
            before = self._pace.answered
            if refusals == _TRIES:
                return answer
