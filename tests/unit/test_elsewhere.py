"""Servers elsewhere: who asks one is not held up by it, nor by the others who ask it."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Semaphore
from typing import Any

import pytest

from bookbrain import remote
from bookbrain.errors import BusyError, InputError, UnavailableError
from bookbrain.remote import Service, Turn, quotable, read_bounded, run

SOON, NEVER = 0.2, 3600.0  # seconds

Request = Callable[[], Coroutine[Any, Any, str]]


def answering(text: str) -> Request:
    async def request() -> str:
        return text

    return request


def failing(error: Exception) -> Request:
    async def request() -> str:
        raise error

    return request


async def hanging() -> str:
    await asyncio.sleep(NEVER)
    return "late"


def ask(service: Service, request: Request, seconds: float = SOON) -> str:
    return service.ask(request, str.upper, seconds)


def fail(service: Service, times: int) -> None:
    for _ in range(times):
        with pytest.raises(OSError, match="broken"):
            ask(service, failing(OSError("broken")))


def test_an_answer_is_read() -> None:
    assert ask(Service("It", 1), answering("yes")) == "YES"


@pytest.mark.slow
def test_what_hangs_is_ended_and_its_place_is_free_again() -> None:
    service = Service("It", 1)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="It did not answer in 0"):
            ask(service, hanging)
    assert ask(service, answering("yes")) == "YES"


@pytest.mark.slow
def test_a_name_that_is_not_resolved_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver is the system's: here it is one that takes until the test's end."""
    done = Barrier(2)
    monkeypatch.setattr(remote.socket, "getaddrinfo", lambda *_, **__: done.wait(60))

    async def connect() -> str:
        await asyncio.open_connection("slow.example", 80)
        return "connected"

    with pytest.raises(TimeoutError):
        run(connect, SOON)
    done.wait(60)


@pytest.mark.slow
def test_who_finds_no_place_does_not_wait_for_one_for_long() -> None:
    service = Service("It", 2)
    start = Barrier(6)

    def one(_: int) -> str:
        start.wait()
        try:
            return ask(service, hanging, 1.0)
        except UnavailableError:
            return "late"
        except BusyError as error:
            return error.message

    with ThreadPoolExecutor(6) as pool:
        said = sorted(pool.map(one, range(6)))
    assert said == ["Too many searches wait for It."] * 4 + ["late"] * 2


def test_after_three_failures_in_a_row_it_is_left_alone() -> None:
    service = Service("It", 2)
    fail(service, 2)
    assert ask(service, answering("yes")) == "YES"  # and the count begins anew
    fail(service, 2)
    assert not service.rests
    fail(service, 1)
    assert service.rests
    with pytest.raises(UnavailableError, match="left alone"):
        ask(service, failing(AssertionError("it was asked")))


def test_what_cannot_be_read_is_a_failure_and_what_is_refused_is_none() -> None:
    service = Service("It", 1)
    for _ in range(5):
        with pytest.raises(InputError):
            ask(service, failing(InputError("Too long.")))
    assert not service.rests
    for _ in range(3):
        with pytest.raises(ValueError, match="invalid literal"):
            service.ask(answering("x"), int, SOON)
    assert service.rests


def test_only_what_counts_is_a_failure() -> None:
    service = Service("It", 1, failure=TimeoutError)
    fail(service, 5)
    assert not service.rests


def test_after_the_pause_one_alone_asks_again() -> None:
    service = Service("It", 4, pause=0.0)
    fail(service, 3)
    assert not service.rests
    begun, go_on = Barrier(2), asyncio.Event()

    async def probe() -> str:
        await asyncio.to_thread(begun.wait)
        await go_on.wait()
        return "well"

    async def let_go() -> None:
        go_on.set()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, service, probe, 60.0)
        begun.wait()
        assert service.rests
        with pytest.raises(UnavailableError, match="left alone"):
            ask(service, failing(AssertionError("it was asked")))
        run(let_go)
        assert first.result() == "WELL"
    assert not service.rests
    assert ask(service, answering("yes")) == "YES"


def test_a_turn_is_given_back_while_a_server_is_waited_for() -> None:
    service, places = Service("It", 2), Semaphore(1)
    met = Barrier(2)

    async def meet() -> str:
        await asyncio.to_thread(met.wait)
        return "met"

    def work() -> str:
        with Turn(places, 60.0).taken():
            return ask(service, meet, 60.0)

    with ThreadPoolExecutor(2) as pool:  # neither would meet the other if it kept the place
        assert [f.result() for f in [pool.submit(work), pool.submit(work)]] == ["MET"] * 2
    assert places.acquire(blocking=False)


def test_nothing_is_asked_when_the_time_of_the_turn_is_over() -> None:
    service = Service("It", 1)
    with Turn(Semaphore(1), 0.0).taken(), pytest.raises(BusyError):
        ask(service, failing(AssertionError("it was asked")), 60.0)
    assert ask(service, answering("yes")) == "YES"


def test_an_answer_without_end_is_not_read_to_it() -> None:
    async def read() -> bytes:
        async def pieces() -> Any:
            while True:
                yield b"x" * 1000

        return await read_bounded(pieces(), 5000)

    with pytest.raises(ValueError, match="too long"):
        run(read)


def test_what_others_say_is_short_and_steers_nothing() -> None:
    assert quotable("\x1b]0;owned\x07 a\u202eb\ud800\n\tc\x9b2J") == "]0;owned a b c 2J"
    assert quotable("비동기 é") == "비동기 é"
    assert len(quotable("x" * 1_000_000)) == 201
