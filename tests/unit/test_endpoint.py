"""The embedding endpoint against a real server that hangs, drips and lies."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from support.openai_api import WRONG
from support.openai_server import OpenAIServer

from bookbrain.errors import (
    BookBrainError,
    BusyError,
    ConfigError,
    InputError,
    UnavailableError,
)
from bookbrain.model import EmbeddingSpace, text_digest
from bookbrain.models import Embedder, Purchase
from bookbrain.models.openai_api import OpenAIEmbedder
from bookbrain.settings import EmbeddingSettings
from bookbrain.store.embeddings import Vector, is_sound

SPACE = EmbeddingSpace("text-embedding-3-small", 64)

FAULTS: dict[str, dict[str, Any]] = {
    "hang": {"seconds": 3600},
    "drip_head": {"seconds": 0.1},
    "drip_body": {"seconds": 0.1},
    "endless": {},
    "bomb": {},
    "escape": {},
    "malformed": {},
    "cut": {},
    "missing_items": {},
    "wrong_dimensions": {},
    "nan": {},
    **{kind: {} for kind in sorted(WRONG)},
}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


def questions_to(chosen: EmbeddingSettings) -> Embedder:
    return OpenAIEmbedder(chosen, SPACE.dimensions, retries=0)


def settings(server: OpenAIServer, timeout: float = 60.0) -> EmbeddingSettings:
    return EmbeddingSettings(
        api_key=server.key, base_url=server.url, dimensions=SPACE.dimensions, timeout=timeout
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAULTS)
def test_a_question_gets_no_vector_but_a_reason(server: OpenAIServer, kind: Any) -> None:
    """Those that never end would last until the test's own time is over."""
    questions = questions_to(settings(server, 1.0))
    server.fail(kind, **FAULTS[kind])
    with pytest.raises(BookBrainError) as failed:
        questions.vector("a question")
    assert failed.value.message.isprintable()
    assert len(failed.value.message) < 400
    assert len(server.requests) == 1
    assert questions.vector("a question").size == SPACE.dimensions
    questions.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind != "wrong_dimensions"])
def test_passages_are_asked_for_again(server: OpenAIServer, kind: Any) -> None:
    endpoint = OpenAIEmbedder(settings(server, 1.0), SPACE.dimensions, retries=1)
    server.fail(kind, **FAULTS[kind])
    kept: dict[str, Vector] = {}
    endpoint.embed(["one", "two"], Purchase(), kept.update)
    assert kept.keys() == {"one", "two"}
    assert all(is_sound(vector) for vector in kept.values())
    endpoint.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["drip_head", "drip_body", "endless", "bomb", "nested"])
def test_what_lasts_ends_with_an_error(server: OpenAIServer, kind: Any) -> None:
    endpoint = OpenAIEmbedder(settings(server, 0.2), SPACE.dimensions, retries=1)
    server.fail(kind, times=None, **FAULTS[kind])
    purchase = Purchase()
    try:
        endpoint.embed(["one"], purchase, lambda vectors: pytest.fail("nothing is sound"))
    except UnavailableError:
        pass
    else:
        assert "malformed" in purchase.refused[text_digest("one")]
    endpoint.close()


def test_no_other_host_is_asked(server: OpenAIServer) -> None:
    with OpenAIServer(server.key) as other:
        server.fail("redirect", to=f"{other.url}/embeddings", times=None)
        endpoint = OpenAIEmbedder(settings(server), SPACE.dimensions)
        with pytest.raises(ConfigError, match="another address"):
            endpoint.embed(["a secret page"], Purchase(), lambda vectors: None)
        questions = questions_to(settings(server))
        with pytest.raises(ConfigError, match="another address"):
            questions.vector("a secret question")
        assert other.requests == []
        endpoint.close()
        questions.close()


def test_what_a_question_cost_is_told(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bookbrain")
    questions = questions_to(settings(server))
    questions.vector("a question of some words")
    server.fail("nan")
    with pytest.raises(UnavailableError):  # it was paid for all the same
        questions.vector("a question of some words")
    bills = [record.fields for record in caplog.records]  # type: ignore[attr-defined]
    assert [bill.event for bill in bills] == ["embed", "embed"]
    assert bills[0].tokens == bills[1].tokens > 0
    assert bills[0].dollars == pytest.approx(bills[0].tokens * 0.02e-6)
    assert "question" not in caplog.text
    questions.close()


def test_a_long_question_may_be_refused_and_a_short_one_not(server: OpenAIServer) -> None:
    questions = questions_to(settings(server))
    server.fail("refuse_text", times=None)
    for _ in range(4):
        with pytest.raises(InputError):
            questions.vector("word " * 1000)
    assert not questions.rests
    for _ in range(3):
        with pytest.raises(UnavailableError):
            questions.vector("word")
    assert questions.rests
    questions.close()


def test_the_largest_honest_answer_is_taken(server: OpenAIServer) -> None:
    endpoint = OpenAIEmbedder(EmbeddingSettings(api_key=server.key, base_url=server.url), None)
    texts = [f"text {n}" for n in range(128)]
    kept: dict[str, Vector] = {}
    purchase = Purchase()
    endpoint.embed(texts, purchase, kept.update)
    assert len(kept) == purchase.embedded == 128
    assert {vector.dtype for vector in kept.values()} == {np.dtype(np.float32)}
    endpoint.close()


TEXTS = [f"text {n}" for n in range(40)]


def test_vectors_of_another_size_are_paid_for_once_and_a_matter_of_configuration(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bookbrain")
    server.fail("wrong_dimensions", times=None, dimensions=48)
    endpoint, purchase = OpenAIEmbedder(settings(server), SPACE.dimensions), Purchase()
    with pytest.raises(ConfigError, match="48 dimensions, not 64") as failed:
        endpoint.embed(TEXTS, purchase, lambda vectors: pytest.fail("none has the right size"))
    assert "BOOKBRAIN_EMBEDDING_DIMENSIONS=48" in failed.value.hint
    assert len(server.requests) == 1
    assert purchase.tokens == server.requests[0].tokens
    questions = questions_to(settings(server))
    with pytest.raises(ConfigError):
        questions.vector("a question")
    assert [record.fields.event for record in caplog.records] == ["embed"]  # type: ignore[attr-defined]
    endpoint.close()
    questions.close()


def test_an_answer_without_a_sound_vector_is_not_divided(server: OpenAIServer) -> None:
    server.fail("nan", times=None, every=True)
    endpoint, purchase = OpenAIEmbedder(settings(server), SPACE.dimensions), Purchase()
    with pytest.raises(UnavailableError, match="finite"):
        endpoint.embed(TEXTS, purchase, lambda vectors: pytest.fail("none is sound"))
    assert len(server.requests) == 2
    endpoint.close()


class Scripted(OpenAIEmbedder):
    """An endpoint that says of the text at each place of a request what `item` does."""

    def __init__(self, item: Callable[[int, str], dict[str, Any]]) -> None:
        super().__init__(EmbeddingSettings(api_key="k", base_url="http://127.0.0.1:9"), 2)
        self.item = item
        self.asked: list[int] = []

    async def _post(self, texts: Sequence[str]) -> bytes:
        self.asked.append(len(texts))
        return json.dumps({"data": [self.item(n, text) for n, text in enumerate(texts)]}).encode()


def test_some_texts_that_have_no_vector_are_given_up_one_by_one() -> None:
    bad = {"text 3", "text 4", "text 5"}
    endpoint = Scripted(
        lambda n, text: {"index": n, "embedding": [float("nan") if text in bad else 0.5, 0.5]}
    )
    purchase, kept = Purchase(), dict[str, Vector]()
    endpoint.embed(TEXTS, purchase, kept.update)
    assert kept.keys() == {*TEXTS} - bad
    assert purchase.refused.keys() == {text_digest(text) for text in bad}
    endpoint.close()


@pytest.mark.parametrize("index", [lambda n: n + 1, lambda _: 0], ids=["from one", "all zero"])
def test_no_vector_is_taken_whose_text_is_not_known(index: Callable[[int], int]) -> None:
    endpoint = Scripted(lambda n, _: {"index": index(n), "embedding": [0.5, 0.5]})
    with pytest.raises(UnavailableError, match="which vector is whose"):
        endpoint.embed(TEXTS, Purchase(), lambda vectors: pytest.fail("it may be of another text"))
    assert endpoint.asked == [40, 40]
    endpoint.close()


def test_who_refuses_for_ever_is_asked_three_times_in_all(server: OpenAIServer) -> None:
    server.fail("status", status=429, retry_after=0.01, times=None)
    endpoint = OpenAIEmbedder(settings(server), SPACE.dimensions)
    with pytest.raises(BusyError):
        endpoint.embed(TEXTS, Purchase(), lambda vectors: None)
    assert len(server.requests) == 3
    endpoint.close()


def test_no_error_shows_what_stands_behind_the_path_of_an_address() -> None:
    chosen = EmbeddingSettings(api_key="k", base_url="http://127.0.0.1:9/v1?key=walrus")
    questions = questions_to(chosen)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9/v1 ") as failed:
        questions.vector("a question")
    assert "walrus" not in failed.value.whole
    questions.close()
