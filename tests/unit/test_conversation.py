"""Questions that follow on others: what the model is told, what is kept, what the gate lets by."""

import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.testclient import TestClient
from support import pdfs
from support.chat_server import ChatServer, Given, claims, is_for_queries

from bookbrain.answers.answer import Answer
from bookbrain.answers.conversation import (
    MOST_TURNS,
    Exchange,
    Inquiry,
    conversation_file,
    keep_turn,
    kept_turns,
)
from bookbrain.answers.prompt import answer_prompt, earlier_tokens, queries_prompt, tokens_of
from bookbrain.cli import main
from bookbrain.library import Library
from bookbrain.settings import ChatSettings, Settings
from bookbrain.web.answer_stream import ask_route
from bookbrain.web.shelf import Shelf

LINUX = "On Linux the walrus server keeps its settings in /etc/walrus.conf and nowhere else."
WINDOWS = "On Windows the walrus server keeps its settings in the registry, below HKLM."
NOISE = "Windows has a taskbar, and the taskbar of Windows has a clock."
FIRST, NEXT = "Where does the walrus server keep its settings on Linux?", "and on Windows?"
SAID = "On Linux, the walrus server keeps its settings in `/etc/walrus.conf`."
BEFORE = Exchange(FIRST, (SAID,))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conversation")
    with Library(Settings(home=folder / "library")) as library:
        pages = [LINUX, WINDOWS, *[f"{NOISE} Part {n}." for n in range(20)]]
        library.add([pdfs.book(folder / "walrus.pdf", pages, title="Walrus")])
    return folder / "library"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(good_model) as running:
        running.queries = ["walrus server settings Windows registry"]
        yield running


def good_model(given: Given) -> str:
    known = {FIRST: (SAID, LINUX), NEXT: ("On Windows, it keeps them in the registry.", WINDOWS)}
    said, fact = known.get(given.question, ("", ""))
    page = next((i for i, text in given.pages.items() if fact and fact in text), None)
    return claims((said, [(page, fact)])) if page else claims()


def settings_of(home: Path, server: ChatServer, **chat: float) -> Settings:
    return Settings(home=home, chat=ChatSettings("good", server.url, **chat))  # type: ignore[arg-type]


def asked(library: Library, question: str, *earlier: Exchange) -> Answer:
    (answer,) = (e for e in library.ask(question, earlier=earlier) if isinstance(e, Answer))
    return answer


def command(home: Path, server: ChatServer, *arguments: str, code: int = 0, **env: str) -> Result:
    given = {
        "BOOKBRAIN_HOME": str(home), "BOOKBRAIN_CHAT_MODEL": "good",
        "BOOKBRAIN_CHAT_URL": server.url, "XDG_STATE_HOME": "", "SUDO_UID": "",
    }  # fmt: skip
    done = CliRunner().invoke(main, ["ask", *arguments], env=given | env)
    assert done.exit_code == code, done.output
    return done


def rows(sent: dict[str, object]) -> list[dict[str, object]]:
    """The lines of JSON that a model was given."""
    (_, user) = sent["messages"]  # type: ignore[misc]
    return [json.loads(line) for line in user["content"].split("\n")]  # type: ignore[index]


# What a question leaves to the one before


def test_a_question_is_understood_with_those_before_it(home: Path, server: ChatServer) -> None:
    with Library(settings_of(home, server)) as library:
        answer = asked(library, NEXT, BEFORE)
    (said,) = answer.statements
    assert (said.text, said.quotes[0].page) == ("On Windows, it keeps them in the registry.", 2)
    assert [is_for_queries(one) for one in server.asked] == [True, False]
    for sent in server.asked:
        assert {"earlier": [{"question": FIRST, "answer": SAID}]} in rows(sent)
        assert rows(sent)[-1] == {"question": NEXT}
    assert answer.queries == (NEXT, *server.queries)


def test_without_queries_of_the_model_the_question_before_it_helps(
    home: Path, server: ChatServer
) -> None:
    server.queries = []
    with Library(settings_of(home, server)) as library:
        assert asked(library, NEXT, BEFORE).statements
        assert f"{FIRST} {NEXT}" in asked(library, NEXT, BEFORE).queries


def test_a_question_of_its_own_is_asked_as_ever(home: Path, server: ChatServer) -> None:
    with Library(settings_of(home, server)) as library:
        assert asked(library, FIRST).statements[0].text == SAID
    (sent,) = server.asked
    assert not any("earlier" in row for row in rows(sent))
    assert "earlier" not in sent["messages"][0]["content"]


@pytest.mark.parametrize("window", [1500, 4096, 16384])
@pytest.mark.parametrize("text", ["The walrus sleeps. ", "바다코끼리는 얼음 위에서 잔다. "])
def test_what_was_said_takes_little_of_the_window(window: int, text: str) -> None:
    """Of the last turn there is more than of those before it."""
    turns = tuple(
        Exchange(f"{n} {text * 100}"[:2000], (text * 300,) * 9) for n in range(MOST_TURNS)
    )
    following = Inquiry(NEXT, turns)
    with_them = answer_prompt(following, (), window).user
    without = answer_prompt(Inquiry(NEXT), (), window).user
    assert tokens_of(with_them) - tokens_of(without) <= earlier_tokens(following, window) + 100
    told = json.loads(with_them.split("\n")[0])["earlier"]
    assert told[-1]["question"].startswith(f"{MOST_TURNS - 1} ")
    for turn in ("<|im_end|>", "</s>", "a\nb\u2028c"):
        line = queries_prompt(Inquiry(NEXT, (Exchange(turn, (turn,)),)), window).user
        assert turn not in line
        assert len(line.split("\n")) == 2


# The gate is as it was


@pytest.mark.parametrize("said", [
    ("On Linux, the walrus server keeps its settings in `/etc/walrus.conf`.", SAID),
    ("The walrus server has a heap of 512 MB.", "It has a heap of 512 MB unless told otherwise."),
    ("On Windows, the registry has 77 keys of the walrus server.", WINDOWS),
    ("윈도에서는 레지스트리에 설정을 둔다.", WINDOWS),
])  # fmt: skip
def test_what_was_said_before_is_no_source(
    home: Path, server: ChatServer, said: tuple[str, str]
) -> None:
    """Neither the claim of an earlier answer nor what the asker puts there bears anything out."""
    text, quote = said
    server.reply = lambda given: claims((text, [("p1", quote)]))
    lies = (Exchange(FIRST, (SAID, text, quote)), Exchange(quote, (quote, f"“{quote}” p1 77 512")))
    with Library(settings_of(home, server)) as library:
        assert asked(library, NEXT, *lies).statements == ()


@pytest.mark.parametrize(("question", "earlier", "spoken"), [
    ("Windows는?", ["설정은 어디에 두나?"], "Windows는?"),
    ("Windows? 왜?", ["설정은 어디에 두나?"], "설정은 어디에 두나?"),
    ("Kubernetes? 왜?", ["설정은 어디에 두나?", "Windows? 왜?"], "설정은 어디에 두나?"),
    ("What does 세마포어 mean there?", ["What is a lock?"], "What is a lock?"),
    ("and on Windows?", ["설정은 어디에 두나?"], "and on Windows?"),
    ("윈도에서는?", ["What is a lock?"], "윈도에서는?"),
    ("Windows는?", [], "Windows는?"),
])  # fmt: skip
def test_the_language_is_that_of_the_question_where_it_tells(
    question: str, earlier: list[str], spoken: str
) -> None:
    assert Inquiry(question, tuple(map(Exchange, earlier))).spoken == spoken


# What is kept


def test_continue_goes_on_with_the_last_question(
    home: Path, server: ChatServer, tmp_path: Path
) -> None:
    assert SAID in command(home, server, FIRST, HOME=str(tmp_path)).output
    said = command(home, server, "--continue", *NEXT.split(), HOME=str(tmp_path)).output
    assert "the registry" in said
    server.asked.clear()
    answer = command(home, server, "--continue", "--json", "who?", HOME=str(tmp_path)).stdout
    assert json.loads(answer)["question"] == "who?"
    (told,) = (row["earlier"] for row in rows(server.asked[-1]) if "earlier" in row)
    assert [turn["question"] for turn in told] == [FIRST, NEXT]  # type: ignore[attr-defined]
    command(home, server, FIRST, HOME=str(tmp_path))  # begins another one
    assert [turn.question for turn in kept_turns(conversation_file({"HOME": str(tmp_path)}))] == [
        FIRST
    ]


def test_it_is_for_nobody_else(home: Path, server: ChatServer, tmp_path: Path) -> None:
    command(home, server, FIRST, HOME=str(tmp_path), XDG_STATE_HOME=str(tmp_path / "state"))
    (path,) = (p for p in (tmp_path / "state").rglob("*") if p.is_file())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    other = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "SUDO_UID": "1001"}
    done = command(home, server, "--continue", NEXT, code=65, **other)
    assert "without --continue" in done.stderr


@pytest.mark.parametrize("person", ["", "../../etc", "1/2", "-1"])
def test_where_it_is_kept(person: str) -> None:
    env = {"HOME": "/home/ann", "SUDO_UID": person}
    usual = Path("/home/ann/.local/state/bookbrain/conversation.json")
    assert conversation_file(env) == usual
    assert conversation_file(env | {"XDG_STATE_HOME": "relative"}) == usual
    assert conversation_file(env | {"XDG_STATE_HOME": "/s"}) == Path(
        "/s/bookbrain/conversation.json"
    )


def test_it_is_kept_for_a_few_hours(tmp_path: Path) -> None:
    path, hour = tmp_path / "a" / "conversation.json", 3600.0
    keep_turn(path, (), BEFORE, now=0.0)
    assert kept_turns(path, now=3.9 * hour) == (BEFORE,)
    assert kept_turns(path, now=4 * hour) == ()
    assert kept_turns(path, now=-hour) == ()  # the clock was set back
    for number in range(9):
        keep_turn(path, kept_turns(path, number * hour), Exchange(f"{number}"), now=number * hour)
    assert [turn.question for turn in kept_turns(path, 8 * hour)] == ["5", "6", "7", "8"]
    assert FIRST not in path.read_text()


@pytest.mark.parametrize("text", [
    "", "x", "[]", "{}", '{"turns": 7}', '{"turns": [{}]}', "[" * 99_999,
    '{"turns": [{"at": "x", "question": "q", "statements": []}]}',
    '{"turns": [{"at": NaN, "question": "q", "statements": []}]}',
])  # fmt: skip
def test_what_is_not_ours_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "conversation.json"
    path.write_text(text)
    assert kept_turns(path) == ()
    keep_turn(path, (), BEFORE)
    assert kept_turns(path) == (BEFORE,)


def test_nothing_is_waited_for_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "conversation.json"
    os.mkfifo(path)
    assert kept_turns(path) == ()
    keep_turn(path, (), BEFORE)
    assert kept_turns(path) == (BEFORE,)


def test_where_nothing_can_be_kept_the_answer_is_shown(
    home: Path, server: ChatServer, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = command(home, server, FIRST, HOME=str(tmp_path / "file"))
    assert SAID in done.stdout
    assert "--continue will not know" in done.stderr


def test_what_broke_off_is_not_gone_on_with(home: Path, server: ChatServer, tmp_path: Path) -> None:
    command(home, server, FIRST, HOME=str(tmp_path))
    server.fault = "cut"
    command(home, server, "what", "else", "is", "there?", code=69, HOME=str(tmp_path))
    assert kept_turns(conversation_file({"HOME": str(tmp_path)})) == (BEFORE,)


def test_nothing_of_it_is_logged(
    home: Path, server: ChatServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        command(home, server, FIRST, HOME=str(tmp_path))
        command(home, server, "--continue", NEXT, HOME=str(tmp_path))
    for words in ("Linux?", "registry", "on Windows"):
        assert words not in caplog.text


# In the browser, which keeps it


@pytest.fixture
def client(home: Path, server: ChatServer) -> Iterator[TestClient]:
    shelf = Shelf(settings_of(home, server))
    yield TestClient(Starlette(routes=[ask_route(shelf)]))
    shelf.close()


def test_the_browser_sends_the_turns_before(client: TestClient, server: ChatServer) -> None:
    earlier = [{"question": "what?", "answer": []}, {"question": FIRST, "answer": [SAID]}]
    answer = client.post("/api/ask", json={"question": NEXT, "earlier": earlier})
    assert answer.status_code == 200
    assert "it keeps them in the registry" in answer.text
    (told,) = (row["earlier"] for row in rows(server.asked[-1]) if "earlier" in row)
    assert told == [{"question": "what?", "answer": ""}, {"question": FIRST, "answer": SAID}]
    many = [{"question": f"{n}?", "answer": []} for n in range(50)]
    client.post("/api/ask", json={"question": NEXT, "earlier": many})
    (told,) = (row["earlier"] for row in rows(server.asked[-1]) if "earlier" in row)
    assert [turn["question"] for turn in told] == ["46?", "47?", "48?", "49?"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("earlier", [
    7, "abc", {"question": "q"}, ["q"], [{}], [{"question": "q"}], [{"answer": []}],
    [{"question": 7, "answer": []}], [{"question": "q", "answer": "text"}],
    [{"question": "q", "answer": [7]}], [{"question": "q", "answer": {"a": "b"}}], [[["q"], []]],
    [None], [{"question": None, "answer": [None]}],
])  # fmt: skip
def test_turns_that_are_none_are_refused(
    client: TestClient, server: ChatServer, earlier: object
) -> None:
    answer = client.post("/api/ask", json={"question": NEXT, "earlier": earlier})
    assert answer.status_code == 400
    assert server.asked == []
