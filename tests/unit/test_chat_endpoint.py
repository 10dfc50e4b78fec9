"""The endpoint of the chat model: whatever it does, a clear line within its deadline."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.chat_server import ChatServer, Fault, claims
from support.stand_in import free_ports

from bookbrain.errors import BookBrainError, BusyError, ConfigError, InputError, UnavailableError
from bookbrain.models import Bill, Prompt
from bookbrain.models.chat_api import ChatEndpoint
from bookbrain.paths import LibraryPaths
from bookbrain.settings import ChatSettings, EmbeddingSettings, load_settings
from bookbrain.store.spending import Spending

PROMPT = Prompt("system", '{"question": "What is it?"}', {"type": "object"}, 500)
WORDS = claims(("It is this.", [("p1", "It is this and that.")])) * 3


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(lambda given: WORDS) as running:
        yield running


def settings(server: ChatServer, **other: float) -> ChatSettings:
    given = {"price": 1.0, "price_written": 2.0, "first": 60, "pause": 60, "seconds": 120} | other
    return ChatSettings("model", server.url, "key", **given)


def answer(endpoint: ChatEndpoint, bill: Bill | None = None) -> str:
    return "".join(endpoint.answer(PROMPT, bill or Bill()))


def spent(home: Path) -> float:
    return float(json.loads(LibraryPaths(home).spending.read_text())["dollars"])


@pytest.mark.slow
def test_an_answer_comes_as_it_is_written(server: ChatServer, tmp_path: Path) -> None:
    """The first piece is there before the server writes the second one."""
    endpoint, seen = ChatEndpoint(settings(server), tmp_path), []
    server.before_piece = lambda sent: sent and _wait_until(lambda: len("".join(seen)) >= len(sent))
    bill = Bill()
    for piece in endpoint.answer(PROMPT, bill):
        seen.append(piece)
    assert "".join(seen) == WORDS
    assert (bill.read, bill.written, bill.dollars, bill.short) == (1000, 100, 0.0012, False)


def _wait_until(true: object) -> None:
    deadline = time.monotonic() + 20
    while not true() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.005)
    assert true()  # type: ignore[operator]


FAULTS = {
    "hang": "did not answer in 0.5 s",
    "thinks": "did not answer in 0.5 s",
    "drip": "did not answer in 1.5 s",
    "stops": "fell silent in its answer",
    "cut": "broke off",
    "endless": "too long to be one",
    "one_line": "too long to be one",
    "garbage": "gave no answer that can be read",
    "error": "failed: out of",
}


# The one that it would miss; the others are far away, however busy the machine is.
DEADLINES = {
    "hang": {"first": 0.5},
    "thinks": {"first": 0.5},
    "drip": {"seconds": 1.5},
    "stops": {"pause": 0.4},
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_is_one_clear_line(fault: str, server: ChatServer, tmp_path: Path) -> None:
    server.fault = fault  # type: ignore[assignment]
    endpoint = ChatEndpoint(settings(server, budget=1.0, **DEADLINES.get(fault, {})), tmp_path)
    with pytest.raises(UnavailableError, match=FAULTS[fault]) as raised:
        answer(endpoint)
    assert "\x1b" not in str(raised.value)
    assert raised.value.hint
    assert spent(tmp_path) > 0  # nobody knows what it billed: what was set aside stays
    assert len(server.asked) == 1  # nothing is asked for again


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, ConfigError), (403, ConfigError), (404, ConfigError), (429, BusyError),
     (400, InputError), (413, InputError), (500, UnavailableError), (503, UnavailableError)],
)  # fmt: skip
def test_a_refusal_costs_nothing(
    status: int, kind: type[BookBrainError], server: ChatServer, tmp_path: Path
) -> None:
    server.status = status
    with pytest.raises(kind):
        answer(ChatEndpoint(settings(server, budget=1.0), tmp_path))
    assert spent(tmp_path) == 0


def test_nobody_there_costs_nothing_and_is_left_alone(server: ChatServer, tmp_path: Path) -> None:
    nobody = replace(settings(server, budget=1.0), url=f"http://127.0.0.1:{free_ports()[0]}/v1")
    endpoint = ChatEndpoint(nobody, tmp_path)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="cannot be reached"):
            answer(endpoint)
    with pytest.raises(UnavailableError, match="left alone for a moment"):
        answer(endpoint)
    assert spent(tmp_path) == 0


def test_a_redirect_is_not_followed(server: ChatServer, tmp_path: Path) -> None:
    with ChatServer() as other:
        server.fault, server.to = "redirect", f"{other.url}/chat/completions"
        with pytest.raises(ConfigError, match="sends us on"):
            answer(ChatEndpoint(settings(server), tmp_path))
        assert other.asked == []


@pytest.mark.parametrize("fault", ["no_schema", "no_such_field"])
def test_a_server_that_knows_no_schema_is_asked_without(
    server: ChatServer, tmp_path: Path, fault: Fault
) -> None:
    server.fault = fault
    endpoint = ChatEndpoint(settings(server), tmp_path)
    assert answer(endpoint) == WORDS
    assert answer(endpoint) == WORDS
    assert ["response_format" in asked for asked in server.asked] == [True, False, False]


def test_an_answer_for_which_tokens_were_missing_says_so(
    server: ChatServer, tmp_path: Path
) -> None:
    server.fault = "length"
    bill = Bill()
    assert WORDS.startswith(answer(ChatEndpoint(settings(server), tmp_path), bill))
    assert bill.short


@pytest.mark.parametrize("url", ["http://[::1/v1", "http://x:port/v1"])
def test_what_is_no_address_is_told_as_a_setting(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no address") as raised:
        answer(ChatEndpoint(ChatSettings("model", f"{url}?key=walrus"), tmp_path))
    assert "walrus" not in str(raised.value)


# Keys


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, "sk-openai"),  # OpenAI, with OpenAI's key
        ({"BOOKBRAIN_CHAT_URL": "https://api.openai.com/v1/"}, "sk-openai"),
        ({"BOOKBRAIN_CHAT_URL": "https://api.openai.com:443/v2"}, "sk-openai"),
        ({"BOOKBRAIN_CHAT_URL": "http://api.openai.com/v1"}, None),
        ({"BOOKBRAIN_CHAT_URL": "https://api.openai.com:8443/v1"}, None),
        ({"BOOKBRAIN_CHAT_URL": "https://api.openai.com.evil.org/v1"}, None),
        ({"BOOKBRAIN_CHAT_URL": "https://api.openai.com@evil.org/v1"}, None),
        ({"BOOKBRAIN_CHAT_URL": "https://evil.org/api.openai.com"}, None),
        ({"BOOKBRAIN_CHAT_URL": "http://127.0.0.1:11434/v1"}, None),
        ({"BOOKBRAIN_CHAT_URL": "http://[::1/v1"}, None),
        ({"BOOKBRAIN_CHAT_URL": "https://evil.org/v1", "BOOKBRAIN_CHAT_KEY": "mine"}, "mine"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}, "sk-openai"),  # the owner said so
        ({"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1",
          "BOOKBRAIN_CHAT_URL": "http://127.0.0.1:11434/chat"}, "sk-openai"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1",
          "BOOKBRAIN_CHAT_URL": "https://api.openai.com/v1"}, None),
        ({"OPENAI_BASE_URL": "http://[::1/v1", "BOOKBRAIN_CHAT_URL": "http://[::2/v1"}, None),
    ],
)  # fmt: skip
def test_a_key_goes_to_its_own_service_only(
    given: dict[str, str], key: str | None, tmp_path: Path
) -> None:
    env = {"BOOKBRAIN_HOME": str(tmp_path), "OPENAI_API_KEY": "sk-openai"}
    read = load_settings(env | given)
    connected = read.chat.connected(read.embedding)
    assert connected.api_key == key
    assert connected.url == given.get(
        "BOOKBRAIN_CHAT_URL", given.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
    )
    assert "sk-openai" not in repr(connected)


def test_no_key_is_taken_from_the_environment_behind_our_back(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    connected = ChatSettings("model", server.url).connected(EmbeddingSettings("sk-openai"))
    assert answer(ChatEndpoint(connected, tmp_path)) == WORDS
    assert server.keys == ["none"]


# Money


def test_the_limit_of_a_month_holds(server: ChatServer, tmp_path: Path) -> None:
    """Each answer costs 0.0012 dollars; what it could cost at most is set aside before."""
    endpoint = ChatEndpoint(settings(server, budget=0.006), tmp_path)
    with pytest.raises(BusyError, match=r"limit of \$0.01 for") as raised:
        for _ in range(100):
            answer(endpoint)
    assert 3 <= len(server.asked) <= 5
    assert spent(tmp_path) == pytest.approx(0.0012 * len(server.asked))
    assert spent(tmp_path) <= 0.006
    assert "BOOKBRAIN_CHAT_BUDGET" in raised.value.hint
    assert answer(ChatEndpoint(settings(server), tmp_path)) == WORDS  # without a limit


@pytest.mark.slow
def test_what_the_server_does_not_say_counts_as_set_aside(
    server: ChatServer, tmp_path: Path
) -> None:
    for said in (None, {"prompt_tokens": -1, "completion_tokens": 5}, {"prompt_tokens": "9"}):
        server.usage = said
        endpoint = ChatEndpoint(settings(server, budget=0.004), tmp_path)
        with pytest.raises(BusyError):
            for _ in range(100):
                answer(endpoint)
        assert spent(tmp_path) <= 0.004
        LibraryPaths(tmp_path).spending.unlink()


def test_a_limit_needs_a_price(server: ChatServer, tmp_path: Path) -> None:
    unknown = ChatSettings("model", server.url, budget=5.0)
    with pytest.raises(ConfigError, match="price of model is not known"):
        answer(ChatEndpoint(unknown, tmp_path))
    assert server.asked == []
    assert ChatSettings("gpt-4o-mini").prices == (0.15, 0.6)
    assert ChatSettings("local", price=0.0, price_written=0.0).prices == (0.0, 0.0)


def _spend(home: Path) -> None:
    for _ in range(25):
        Spending(home, 1.0).set_aside(0.01)


@pytest.mark.slow
def test_many_processes_share_a_limit_and_a_killed_one_gives_nothing_back(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_spend, args=(tmp_path,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert spent(tmp_path) == pytest.approx(0.75)
    child = context.Process(target=_set_aside_and_wait, args=(tmp_path,))
    child.start()
    _wait_until(lambda: spent(tmp_path) > 0.8)
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    with pytest.raises(BusyError):
        Spending(tmp_path, 1.0).set_aside(0.16)
    assert Spending(tmp_path, 1.0).set_aside(0.14)


def _set_aside_and_wait(home: Path) -> None:
    Spending(home, 1.0).set_aside(0.1)
    time.sleep(600)


def test_a_month_begins_with_nothing_spent(tmp_path: Path) -> None:
    def spending(year: int, month: int) -> Spending:
        return Spending(tmp_path, 1.0, lambda: datetime(year, month, 28, tzinfo=UTC))

    month = spending(2026, 11).set_aside(0.9)
    assert month == "2026-11"
    with pytest.raises(BusyError):
        spending(2026, 11).set_aside(0.2)
    assert spending(2026, 12).set_aside(0.9) == "2026-12"
    spending(2026, 12).settle(month, 0.9, 0.1)  # of the month before: it changes nothing
    with pytest.raises(BusyError):
        spending(2026, 11).set_aside(0.2)  # a clock that was set back
    spending(2026, 12).settle("2026-12", 0.9, 0.1)
    assert spent(tmp_path) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "kept",
    ["", "{", "7", "[]", "null", '{"month": "2026-11"}', '{"month": "2026-11", "dollars": "x"}',
     '{"month": "2026-11", "dollars": -1}', '{"month": "2026-11", "dollars": NaN}',
     '{"month": "2026-11", "dollars": null}', "[" * 100_000],
)  # fmt: skip
def test_where_nobody_can_count_nothing_is_spent(
    kept: str, server: ChatServer, tmp_path: Path
) -> None:
    LibraryPaths(tmp_path).spending.write_text(kept)
    with pytest.raises(BookBrainError, match="cannot be counted") as raised:
        answer(ChatEndpoint(settings(server, budget=1.0), tmp_path))
    assert "remove the file" in raised.value.hint
    assert server.asked == []
