"""How fast an endpoint is asked, and what its answers say of that."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from support.coroutines import run_coroutine

from bookbrain.models.paced_client import AT_ONCE, Limits, PacedClient

BODY = b"x" * 300  # a hundred tokens


class Limited(ThreadingHTTPServer):
    """Takes `most` tokens in any `seconds`, of bodies like BODY, and refuses what is beyond.

    It tells how long to wait; with `telling` also what is left, as OpenAI does.
    """

    def __init__(self, most: int, seconds: float, *, telling: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.most, self.seconds, self.telling = most, seconds, telling
        self.lock = threading.Lock()
        self.taken: deque[float] = deque()
        self.served = self.refused = 0
        self.together = threading.Barrier(1)

    def judge(self) -> tuple[int, dict[str, str]]:
        now = time.monotonic()
        with self.lock:
            while self.taken and self.taken[0] <= now - self.seconds:
                self.taken.popleft()
            wait = self.seconds - (now - self.taken[0]) if self.taken else self.seconds
            if 100 * (len(self.taken) + 1) > self.most:
                self.refused += 1
                return 429, {"retry-after": f"{wait + 0.01:.3f}"}
            self.taken.append(now)
            self.served += 1
            left = self.most - 100 * len(self.taken)
        if not self.telling:
            return 200, {}
        return 200, {
            "x-ratelimit-remaining-tokens": str(left),
            "x-ratelimit-reset-tokens": f"{int(self.seconds * 1000)}ms",
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Limited

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        server = self.server
        status, headers = server.judge()
        server.together.wait(30)
        self.send_response(status)
        for name, value in {**headers, "content-length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def limited(request: pytest.FixtureRequest) -> Iterator[Limited]:
    with Limited(**request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(server: Limited, number: int) -> list[int]:
    """The statuses of so many requests at once."""

    async def ask() -> list[int]:
        async with PacedClient() as client:
            address = f"http://127.0.0.1:{server.server_port}"
            answers = (client.post(address, content=BODY) for _ in range(number))
            return [answer.status_code for answer in await asyncio.gather(*answers)]

    return run_coroutine(ask())


FREE = {"most": 1_000_000, "seconds": 1.0}
TIGHT = {"most": 600, "seconds": 0.5}


@pytest.mark.parametrize("limited", [FREE], indirect=True)
@pytest.mark.slow
def test_several_requests_are_under_way_at_once(limited: Limited) -> None:
    limited.together = threading.Barrier(AT_ONCE)  # none is answered before so many are there
    assert asked(limited, 4 * AT_ONCE) == [200] * 4 * AT_ONCE


@pytest.mark.slow
@pytest.mark.parametrize("limited", [TIGHT], indirect=True)
def test_a_limit_is_found_by_its_refusals_and_all_is_answered(limited: Limited) -> None:
    assert asked(limited, 30) == [200] * 30
    assert limited.served == 30
    assert limited.refused < 30  # of some that were refused over and over


@pytest.mark.slow
@pytest.mark.parametrize("limited", [TIGHT | {"telling": True}], indirect=True)
def test_a_limit_that_is_told_is_kept(limited: Limited) -> None:
    assert asked(limited, 30) == [200] * 30
    assert limited.refused <= AT_ONCE  # those of the first round, before anything was told


@pytest.mark.parametrize("limited", [{"most": 0, "seconds": 0.01}], indirect=True)
def test_who_answers_nobody_is_not_asked_for_ever(limited: Limited) -> None:
    assert asked(limited, 3) == [429] * 3


@pytest.mark.parametrize("limited", [{"most": 0, "seconds": 0.1}], indirect=True)
def test_all_give_up_together(limited: Limited) -> None:
    assert asked(limited, AT_ONCE) == [429] * AT_ONCE
    assert limited.refused <= AT_ONCE + AT_ONCE // 2 + AT_ONCE // 4


def test_a_refusal_that_is_handed_on_is_not_sent_again() -> None:
    async def ask() -> httpx2.Response:
        with Limited(0, 0.01) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            async with PacedClient() as client:
                answer = await client.post(f"http://127.0.0.1:{server.server_port}", content=BODY)
            server.shutdown()
            thread.join()
        return answer

    assert run_coroutine(ask()).headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("2", 2.0), ("0.25", 0.25), ("999999", 120.0), ("-1", 0.0), ("", 0.0), ("soon", 0.0),
        ("nan", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("9" * 400, 0.0),
        (f"Wed, {'9' * 15} Oct 2015 07:28:00 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after(said: str, seconds: float) -> None:
    assert Limits.of(httpx2.Headers({"retry-after": said})).retry_after == seconds


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("1s", 1.0), ("6m0s", 120.0), ("1m3.5s", 63.5), ("20ms", 0.02), ("1h", 120.0), ("", 0.0),
        ("tomorrow", 0.0), ("..s", 0.0), ("1s2m", 0.0),
    ],
)  # fmt: skip
def test_when_a_limit_is_whole_again(said: str, seconds: float) -> None:
    headers = {"x-ratelimit-remaining-tokens": "7", "x-ratelimit-reset-tokens": said}
    limits = Limits.of(httpx2.Headers(headers))
    assert (limits.tokens, limits.whole_after) == (7, seconds)
