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
_TRIES = 3  # refusals that say how long to wait, in a row, until everyone gives up
_BLIND_TRIES = 7  # the same where they do not say: some 20 seconds
_FOREVER = 3600.0
_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?(?:([\d.]+)ms)?", re.ASCII)


class Pace:
    """Whose turn it is to ask, in order; all in one event loop.

    A refusal stops everybody until the endpoint wants to be asked again, and halves the number of
    requests at once, which grows again by one with each round of answers. Refusals of requests that
    were under way together are one; after three since the last answer everybody `gives_up`.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._waiting: set[int] = set()
        self._under_way: dict[int, int] = {}  # tokens, by turn
        self._places = AT_ONCE
        self.answered = 0  # requests
        self._grown = 0  # after so many answers
        self._refused = 0  # times, in a row
        self.gives_up = False
        self._slowed = 0.0
        self._resumes = 0.0
        self._left = inf  # tokens, until the limit is whole again
        self._whole = 0.0

    async def begin(self, turn: int, tokens: int, *, again: bool = False) -> bool:
        """Wait until a request of so many tokens may go; the lowest turn goes first. False where it
        is to go `again`, and everybody gives up."""
        self._waiting.add(turn)
        try:
            while not (again and self.gives_up) and (pause := self._pause(turn, tokens)):
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
        finally:
            self._waiting.discard(turn)
            self._changed.set()
        if again and self.gives_up:
            return False
        self._under_way[turn] = tokens
        self._left -= tokens
        return True

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
            self._refuse(begun, said.retry_after)
            return
        if said.tokens < inf:
            self._left = said.tokens - sum(self._under_way.values())
            self._whole = monotonic() + said.whole_after
        if not said.requests:
            self._resumes = max(self._resumes, monotonic() + said.next_after)
        self.answered += 1
        self._refused, self.gives_up = 0, False
        if self.answered - self._grown >= self._places < AT_ONCE:
            self._places, self._grown = self._places + 1, self.answered

    def _refuse(self, begun: float, wait: float) -> None:
        """Slow down for a refusal that says to `wait`; one of a request that went before the last
        refusal came tells nothing new."""
        pause = wait or min(_FIRST * 2**self._refused, _LAST)
        self._resumes = max(self._resumes, monotonic() + pause)
        if begun >= self._slowed:
            self._places = max(1, self._places // 2)
            self._slowed, self._grown = monotonic(), self.answered
            self._refused = min(self._refused + 1, 10)
            self.gives_up |= self._refused >= (_TRIES if wait else _BLIND_TRIES)


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
    except (ValueError, OverflowError):  # no date, or none that there is
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
    in its turn, unless everybody gives up: then nobody else sends it again either."""

    def __init__(self) -> None:
        super().__init__()
        self._pace = Pace()
        self._turns = count()

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        turn = next(self._turns)
        refusal: httpx2.Response | None = None
        while True:
            tokens = len(request.content) // _BYTES
            goes = await self._pace.begin(turn, tokens, again=refusal is not None)
            if refusal is not None and not goes:
                return _last(refusal)
            begun, answer = monotonic(), None
            try:
                answer = await super().send(request, **options)
            finally:
                self._pace.end(turn, begun, answer)
            if answer.status_code != _LIMITED:
                return answer
            if self._pace.gives_up:
                return _last(answer)
            if not Limits.of(answer.headers).retry_after:
                return answer
            refusal = answer


def _last(refusal: httpx2.Response) -> httpx2.Response:
    """A refusal after which the openai client does not send its request again."""
    refusal.headers["x-should-retry"] = "false"
    return refusal
