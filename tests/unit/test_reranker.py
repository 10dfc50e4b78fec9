"""The reranker against a real server: a better order, or none, and nobody waits for it."""

import json
import logging
from collections.abc import Iterator

import pytest
from support.rerank_server import RerankServer
from support.stand_in import free_ports

from bookbrain.models.rerank_api import RerankEndpoint
from bookbrain.settings import RerankSettings

QUESTION = "secret otter"
TEXTS = ("a river", "an otter and an otter", "one otter")


@pytest.fixture
def server() -> Iterator[RerankServer]:
    with RerankServer() as running:
        yield running


@pytest.fixture
def reranker(server: RerankServer) -> Iterator[RerankEndpoint]:
    made = RerankEndpoint(RerankSettings(server.url, "rerank-x", "k-123", seconds=10.0))
    yield made
    made.close()


@pytest.fixture
def hasty(server: RerankServer) -> Iterator[RerankEndpoint]:
    made = RerankEndpoint(RerankSettings(server.url, seconds=0.2))
    yield made
    made.close()


def results(*scores: tuple[object, object]) -> bytes:
    return json.dumps({"results": [{"index": i, "relevance_score": s} for i, s in scores]}).encode()


def test_the_texts_are_ordered_by_their_scores(
    server: RerankServer, reranker: RerankEndpoint
) -> None:
    assert reranker.order(QUESTION, TEXTS) == (1, 2, 0)
    assert server.asked == [
        {"model": "rerank-x", "query": QUESTION, "documents": list(TEXTS), "top_n": 3}
    ]
    assert server.calls[0][1]["Authorization"] == "Bearer k-123"
    server.wrong = results((2, -1), (0, 3.5), (1, -1.0))
    assert reranker.order(QUESTION, TEXTS) == (0, 1, 2), "equal ones as they were"


def test_without_a_key_or_a_model_none_is_sent(server: RerankServer) -> None:
    reranker = RerankEndpoint(RerankSettings(server.url))
    assert reranker.order(QUESTION, TEXTS)
    assert "Authorization" not in server.calls[0][1]
    assert "model" not in server.asked[0]
    reranker.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b'{"results": null}',
        b'{"results": [1, 2, 3]}',
        b'{"results": [{"index": 0, "relevance_score": NaN}]}',
        results(),
        results((0, 1), (1, 1)),
        results((0, 1), (1, 1), (1, 1)),
        results((0, 1), (1, 1), (3, 1)),
        results((0, 1), (1, 1), (-1, 1)),
        results((0, 1), (1, 1), (2, 1), (3, 1)),
        results((0, 1), (1, 1), (2, "high")),
        results((0, 1), (1, 1), (2, None)),
        results((0, 1), (1, 1), (2, float("nan"))),
        results((0, 1), (1, 1), (2, float("inf"))),
        results((0, 1), (1, 1), ("2", 1)),
        results((0, 1), (True, 1), (2, 1)),
        results((0, 1), (1, 1), ([], 1)),
        results((0, 1), (1, 1), (2, 1)) + b" " * (2 << 20),
    ],
)
def test_nonsense_is_no_order(
    server: RerankServer, reranker: RerankEndpoint, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.wrong = answer
    assert reranker.order(QUESTION, TEXTS) is None
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert "otter" not in line.getMessage()
    server.wrong = None
    assert reranker.order(QUESTION, TEXTS) == (1, 2, 0)


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
def test_a_refusal_is_no_order(
    server: RerankServer, reranker: RerankEndpoint, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.status = status
    assert reranker.order(QUESTION, TEXTS) is None
    assert f"status {status}" in caplog.text


def test_nobody_there_is_no_order(caplog: pytest.LogCaptureFixture) -> None:
    (port,) = free_ports()
    for url in (f"http://127.0.0.1:{port}/rerank", "http://[bad/rerank"):
        reranker = RerankEndpoint(RerankSettings(url, api_key="열쇠\n", seconds=10.0))
        assert reranker.order(QUESTION, TEXTS) is None
        reranker.close()
    assert len(caplog.records) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "parts"), [(600.0, 1), (0.15, 1000)], ids=["silent", "drips"])
def test_late_is_no_order(
    server: RerankServer, hasty: RerankEndpoint, seconds: float, parts: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Either would be waited for until the test's own time is over."""
    server.seconds, server.parts = seconds, parts
    assert hasty.order(QUESTION, TEXTS) is None
    assert "did not answer in" in caplog.text


def test_after_three_failures_in_a_row_it_is_left_alone(
    server: RerankServer, reranker: RerankEndpoint
) -> None:
    for failures in (2, 3):  # what succeeds in between begins the count anew
        server.status = 500
        for _ in range(failures):
            assert reranker.order(QUESTION, TEXTS) is None
        server.status = 200
        if failures == 2:
            assert reranker.order(QUESTION, TEXTS) == (1, 2, 0)
    asked = len(server.asked)
    assert reranker.order(QUESTION, TEXTS) is None
    assert len(server.asked) == asked == 6
