"""The stand-in for OpenAI does what it says, as the openai client sees it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import openai
import pytest
from support.openai_api import MAX_INPUTS, count_tokens, embed
from support.openai_process import OpenAIProcess
from support.openai_server import OpenAIServer

MODEL = "text-embedding-3-small"


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer(key="sk-right") as server:
        yield server


@pytest.fixture
def server(running: OpenAIServer) -> OpenAIServer:
    running.clear()
    running.forget()
    return running


@pytest.fixture
def ask(server: OpenAIServer) -> Iterator[Callable[..., Any]]:
    client = openai.OpenAI(api_key=server.key, base_url=server.url, max_retries=2, timeout=5)

    def create(texts: Any, timeout: float = 5, retries: int = 2, **options: Any) -> Any:
        asking = client.with_options(timeout=timeout, max_retries=retries)
        return asking.embeddings.create(model=options.pop("model", MODEL), input=texts, **options)

    with client:
        yield create


def statuses(server: OpenAIServer) -> list[int]:
    return [served.status for served in server.requests]


class TestEmbeddings:
    def test_near_and_far(self, ask: Callable[..., Any]) -> None:
        reply = ask(["비동기 프로그래밍", "비동기 처리 프로그래밍을", "garbage collection"])
        vectors = np.array([item.embedding for item in reply.data])
        near = vectors @ vectors.T
        assert vectors.shape == (3, 1536)
        assert np.allclose(near.diagonal(), 1, atol=1e-6)
        assert near[0, 1] > 0.7 > 0.2 > abs(near[0, 2])

    def test_same_in_every_encoding(self, ask: Callable[..., Any], server: OpenAIServer) -> None:
        packed = ask("Caddy", dimensions=256)  # the client asks for base64 by itself
        plain = ask("Caddy", dimensions=256, encoding_format="float")
        assert [served.encoding for served in server.requests] == ["base64", "float"]
        assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding)
        assert packed.data[0].embedding == pytest.approx(list(embed("Caddy", 256)))

    @pytest.mark.parametrize("text", ["?!", "\ud800", "가", " ", "a" * 9])
    def test_any_text_has_a_unit_vector(self, text: str) -> None:
        assert np.linalg.norm(embed(text, 8)) == pytest.approx(1)

    def test_models_and_usage(self, ask: Callable[..., Any], server: OpenAIServer) -> None:
        reply = ask(["one", "둘 셋"], model="text-embedding-3-large")
        assert len(reply.data[0].embedding) == 3072
        assert reply.usage.total_tokens == count_tokens("one") + count_tokens("둘 셋") == 4
        with openai.OpenAI(api_key=server.key, base_url=server.url) as client:
            assert MODEL in [model.id for model in client.models.list()]

    def test_counts(self, ask: Callable[..., Any], server: OpenAIServer) -> None:
        ask(["a", "b"])
        ask("b")
        assert server.requested == server.bought == server.delivered == Counter(a=1, b=2)
        assert [served.texts for served in server.requests] == [2, 1]


class TestLimits:
    @pytest.mark.parametrize(
        "texts",
        [
            "",
            [],
            ["a", ""],
            [[1, 2, 3]],
            [1, 2],
            ["a"] * (MAX_INPUTS + 1),
            ["가" * 8193],
            ["가" * 8000] * 38,
        ],
        ids=["empty", "none", "one-empty", "ids", "id-list", "many", "long", "total"],
    )
    def test_refused_input(self, ask: Callable[..., Any], server: OpenAIServer, texts: Any) -> None:
        with pytest.raises(openai.BadRequestError) as refusal:
            ask(texts)
        assert refusal.value.body["type"] == "invalid_request_error"  # type: ignore[index]
        assert statuses(server) == [400]
        assert not server.requested

    def test_just_within(self, ask: Callable[..., Any]) -> None:
        assert len(ask(["a"] * MAX_INPUTS, dimensions=4).data) == MAX_INPUTS
        assert len(ask(["가" * 8192] * 36, dimensions=4).data) == 36

    def test_refused_options(self, ask: Callable[..., Any], server: OpenAIServer) -> None:
        with pytest.raises(openai.NotFoundError):
            ask("a", model="gpt-4o")
        for options in ({"dimensions": 1537}, {"dimensions": 0}, {"encoding_format": "int8"}):
            with pytest.raises(openai.BadRequestError):
                ask("a", **options)
        with pytest.raises(openai.BadRequestError):
            ask("a", model="text-embedding-ada-002", dimensions=8)

    def test_wrong_key(self, server: OpenAIServer) -> None:
        with (
            openai.OpenAI(api_key="sk-wrong", base_url=server.url) as client,
            pytest.raises(openai.AuthenticationError, match="Incorrect API key"),
        ):
            client.embeddings.create(model=MODEL, input="a")
        assert statuses(server) == [401]


class TestFaults:
    """Those that take time; what is done about all of them: `services/test_openai_faults`."""

    @pytest.mark.slow
    def test_hang_is_not_billed(self, ask: Callable[..., Any], server: OpenAIServer) -> None:
        server.fail("hang", seconds=30)
        started = time.monotonic()
        with pytest.raises(openai.APITimeoutError):
            ask("a", timeout=0.2, retries=0)
        assert time.monotonic() - started < 10
        assert not server.bought

    @pytest.mark.slow
    def test_who_left_before_a_slow_answer_pays_nothing(
        self, ask: Callable[..., Any], server: OpenAIServer
    ) -> None:
        server.fail("slow", seconds=0.4)
        with pytest.raises(openai.APITimeoutError):
            ask("a", timeout=0.1, retries=0)
        time.sleep(0.5)
        assert statuses(server) == [0]
        assert not server.bought

    @pytest.mark.slow
    def test_slow(self, ask: Callable[..., Any], server: OpenAIServer) -> None:
        server.fail("slow", seconds=0.2)
        started = time.monotonic()
        ask("a")
        assert time.monotonic() - started >= 0.2


@pytest.mark.slow
def test_as_a_process() -> None:
    with OpenAIProcess(key="sk-other") as server:
        client = openai.OpenAI(api_key=server.key, base_url=server.url, max_retries=1)
        server.fail("status", status=503, retry_after=0.01)
        server.fail("refuse_text", text="셋", times=None)
        with client:
            reply = client.embeddings.create(model=MODEL, input=["하나", "둘"], dimensions=64)
            with pytest.raises(openai.BadRequestError):
                client.embeddings.create(model=MODEL, input="셋")
            server.clear()
            client.embeddings.create(model=MODEL, input="셋")
        assert reply.data[0].embedding == pytest.approx(list(embed("하나", 64)))
        assert [served.status for served in server.requests] == [503, 200, 400, 200]
        assert server.requested == Counter({"하나": 2, "둘": 2, "셋": 2})
        assert server.bought == server.delivered == Counter(["하나", "둘", "셋"])
        server.forget()
        assert not server.requested and not server.requests


@pytest.mark.slow
def test_predicate_and_close_in_a_hang() -> None:
    with OpenAIServer() as server:
        server.fail("refuse_text", text=lambda text: len(text) > 3)
        server.fail("hang", seconds=60)
        client = openai.OpenAI(api_key=server.key, base_url=server.url, timeout=0.1, max_retries=0)
        with client:
            with pytest.raises(openai.BadRequestError):
                client.embeddings.create(model=MODEL, input="long")
            with pytest.raises(openai.APITimeoutError):
                client.embeddings.create(model=MODEL, input="abc")
        started = time.monotonic()
    assert time.monotonic() - started < 20
