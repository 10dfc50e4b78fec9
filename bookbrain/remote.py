"""Servers elsewhere, which may hang, drip or lie: an answer is bounded in time and size.

All that the process asks for runs in one event loop, in a daemon thread: a task can be ended
whatever it waits for, a thread cannot.
"""

import asyncio
import socket
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Condition, Lock, Semaphore, Thread
from time import monotonic
from typing import Any, TypeVar

import httpx2

from bookbrain.errors import BusyError, InputError, UnavailableError
from bookbrain.messages import fill

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises, done in a thread of its own.

    A daemon thread, unlike those of asyncio and anyio: a search that waits for a service does not
    keep the process from ending.
    """
    done: Future[T] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  (it is raised where the result is awaited)
            done.set_exception(error)
        else:
            done.set_result(result)

    Thread(target=run, name=in_thread.__name__, daemon=True).start()
    return await asyncio.wrap_future(done)


_PATIENT = 3  # failures in a row, after which a server is left alone
_PAUSE = 60.0  # seconds
_SHARE = 0.5  # of the seconds of a request must be left when it begins: less would prove nothing
_GRACE = 0.2  # seconds that the event loop has to end what is late
_LONGEST = 200  # characters of what another program says
A = TypeVar("A")


class Service:
    """A server elsewhere, for all threads of the process: some ask at once, the others wait a bit.

    After three failures in a row it is left alone for a while; then one asks it again.
    """

    def __init__(
        self, where: str, places: int, *, pause: float = _PAUSE,
        failure: type[Exception] | tuple[type[Exception], ...] = Exception,
    ) -> None:  # fmt: skip
        """`where` names it in errors; at most `places` requests are under way. `pause` is in
        seconds, `failure` what counts as one, which an InputError never does."""
        self._where = where
        self._free = places
        self._pause = pause
        self._failure = failure
        self._changed = Condition()
        self._failures = 0
        self._asked_again_at = 0.0
        self._trying = False

    @property
    def rests(self) -> bool:
        """Whether it is left alone, or tried again just now."""
        with self._changed:
            return self._failures >= _PATIENT and (self._trying or self._is_left_alone())

    def ask(
        self, request: Callable[[], Coroutine[Any, Any, A]], read: Callable[[A], T],
        seconds: float, *, alone: float | None = None, late: bool = False,
    ) -> T:  # fmt: skip
        """What `read` makes of the answer to `request`, which may take `seconds` in all.

        In a thread that has a Turn it may not take more than that has left, and half of the seconds
        if `late`; in another one it may take the seconds of `alone`. Raises UnavailableError
        without an answer in time, BusyError without a place in time, and what the two functions do.
        """
        if turn := _turn.get():
            ends = monotonic() + min(seconds, turn.left + (seconds / 2 if late else 0))
        else:
            seconds = alone or seconds
            ends = monotonic() + seconds
        with turn.given_back() if turn else nullcontext():
            try:
                with self.asking(ends - _SHARE * seconds):
                    return read(run(request, ends - monotonic()))
            except TimeoutError as error:
                raise UnavailableError(
                    fill("{where} did not answer in {seconds:g} s.", where=self._where,
                         seconds=seconds)
                ) from error  # fmt: skip

    @contextmanager
    def asking(self, until: float) -> Iterator[None]:
        """Be one of those who ask, as soon as there is a place: BusyError where none gets free
        `until` then. What the block raises counts as a failure, but for an InputError."""
        self._enter(until)
        failed: bool | None = None
        try:
            yield
            failed = False
        except Exception as error:
            failed = isinstance(error, self._failure) and not isinstance(error, InputError)
            raise
        finally:
            self._leave(failed)

    def _enter(self, until: float) -> None:
        with self._changed:
            while True:
                if self._failures >= _PATIENT:
                    if self._trying or self._is_left_alone():
                        raise UnavailableError(
                            fill(
                                "{where} fails, and is left alone for a moment.", where=self._where
                            )
                        )
                    self._trying = True
                elif self._free <= 0:
                    if not self._changed.wait(max(until - monotonic(), 0)):
                        raise self._crowded()
                    continue
                elif monotonic() > until:
                    raise self._crowded()
                self._free -= 1
                return

    def _leave(self, failed: bool | None) -> None:
        with self._changed:
            self._free += 1
            self._trying = False
            if failed:
                self._failures += 1
                self._asked_again_at = monotonic() + self._pause
            elif failed is False:
                self._failures = 0
            self._changed.notify_all()

    def _is_left_alone(self) -> bool:
        return monotonic() < self._asked_again_at

    def _crowded(self) -> BusyError:
        return BusyError(fill("Too many searches wait for {where}.", where=self._where))


class Turn:
    """One of some `places` for work, which is given back while its thread waits for a server.

    `left` are the seconds that the thread may still wait, for servers and for its place.
    """

    def __init__(self, places: Semaphore, left: float) -> None:
        self.left = left
        self._places = places

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the place; all that the thread asks servers for in the block knows of it."""
        with self._waiting():
            self._places.acquire()
        before = _turn.set(self)
        try:
            yield
        finally:
            _turn.reset(before)
            self._places.release()

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """Have it not, and wait."""
        with self._waiting():
            self._places.release()
            try:
                yield
            finally:
                self._places.acquire()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        begun = monotonic()
        try:
            yield
        finally:
            self.left -= monotonic() - begun


_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


def run(request: Callable[[], Coroutine[Any, Any, T]], seconds: float | None = None) -> T:
    """What the coroutine returns or raises; TimeoutError after `seconds`, when it is ended."""

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await request()

    future = asyncio.run_coroutine_threadsafe(bounded(), _the_loop())
    try:
        return future.result(None if seconds is None else max(seconds, 0) + _GRACE)
    finally:
        future.cancel()  # of what is done nothing is left to end


def pieces(
    request: Callable[[Callable[[T], None]], Coroutine[Any, Any, None]], seconds: float
) -> Generator[T, None, None]:
    """What the coroutine hands over, as it comes; raises what it does, TimeoutError after so many
    `seconds`. It is ended with the iterator."""
    handed: SimpleQueue[tuple[T] | None] = SimpleQueue()

    async def bounded() -> None:
        try:
            async with asyncio.timeout(seconds):
                await request(lambda piece: handed.put((piece,)))
        finally:
            handed.put(None)

    ends = monotonic() + seconds + _GRACE
    future = asyncio.run_coroutine_threadsafe(bounded(), _the_loop())
    try:
        while piece := _taken(handed, ends - monotonic()):
            yield piece[0]
        future.result(_GRACE)
    finally:
        future.cancel()


def _taken(handed: SimpleQueue[A], seconds: float) -> A:
    try:
        return handed.get(timeout=max(seconds, 0))
    except Empty:
        raise TimeoutError from None


async def read_bounded(pieces: AsyncIterable[bytes], most: int) -> bytes:
    """All pieces; ValueError as soon as they are more than `most` bytes."""
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > most:
            raise ValueError("it is too long")
    return bytes(body)


def quotable(text: str) -> str:
    """What another program said, on one line, short, and without what could steer a terminal."""
    said = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST]).split())
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


class _Loop(asyncio.SelectorEventLoop):
    """Names are resolved in daemon threads: the process does not wait for them at its end."""

    async def getaddrinfo(self, *arguments: Any, **options: Any) -> Any:
        return await in_thread(partial(socket.getaddrinfo, *arguments, **options))


_loops: list[_Loop] = []
_starting = Lock()


def _the_loop() -> _Loop:
    with _starting:
        if not _loops:
            _loops.append(_Loop())
            Thread(target=_loops[0].run_forever, name="elsewhere", daemon=True).start()
        return _loops[0]


_PLAIN = ("", "identity")
_OF_THE_WAY = ("content-length", "transfer-encoding")


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How many bytes an answer may have, and how many seconds a request and its answer may take."""

    most: int
    seconds: float

    def hold(self) -> None:
        """For all that the task of now sends from here on."""
        _limits.set(self)


_USUAL = AnswerLimits(1 << 20, 60.0)
_limits = ContextVar("limits", default=_USUAL)


class BoundedClient(httpx2.AsyncClient):
    """Each answer within the limits, from the host that was asked, and as it was sent.

    httpx counts its timeouts for each read, follows whoever it is told to, and unpacks without end.
    What is too long, or packed, is a ValueError.
    """

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        limits = _limits.get()
        request.headers["Accept-Encoding"] = "identity"
        options |= {"stream": True, "follow_redirects": False}
        try:
            async with asyncio.timeout(limits.seconds):
                answer = await super().send(request, **options)
                try:
                    body = await _read(answer, limits.most)
                finally:
                    await answer.aclose()
        except TimeoutError as error:
            raise httpx2.ReadTimeout("", request=request) from error
        headers = [(n, v) for n, v in answer.headers.multi_items() if n not in _OF_THE_WAY]
        return httpx2.Response(answer.status_code, headers=headers, content=body, request=request)


class StreamedClient(httpx2.AsyncClient):
    """Answers that are read as they come: within the limit of bytes, from the host that was asked,
    and as they were sent. Who reads counts the seconds. One that breaks off is a ConnectionError.
    """

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        options |= {"stream": True, "follow_redirects": False}
        answer = await super().send(request, **options)
        if answer.headers.get("content-encoding", "").strip().lower() not in _PLAIN:
            await answer.aclose()
            raise ValueError("it is compressed")
        answer.stream = _BoundedStream(answer.stream, _limits.get().most)
        return answer


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: Any, most: int) -> None:
        self._inner = inner
        self._left = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._inner:
                self._left -= len(piece)
                if self._left < 0:
                    raise ValueError("it is too long")
                yield piece
        except httpx2.HTTPError as error:
            raise ConnectionError("it broke off") from error

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _read(answer: httpx2.Response, most: int) -> bytes:
    if answer.headers.get("content-encoding", "").strip().lower() not in _PLAIN:
        raise ValueError("it is compressed")
    return await read_bounded(answer.aiter_raw(), most)
