"""How answers are measured: what is right, what is wrong, and which line of a file is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from click.testing import CliRunner, Result
from support import pdfs
from support.chat_server import ChatServer, Given, claims

from bookbrain.answers.answer import Answer, Event, Reading
from bookbrain.answers.gate import Quotation, Statement
from bookbrain.answers.scorecard import load_questions, mark_answers, says
from bookbrain.cli import main
from bookbrain.errors import BusyError, InputError, UnavailableError
from bookbrain.library import Library
from bookbrain.settings import Settings

# Lines of a file


def write(path: Path, *lines: object) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


GOOD: dict[str, Any] = {"question": "what?", "quoted": [{"book": "a.pdf", "pages": [1]}]}


def test_a_file_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", "", GOOD | {"facts": ["4 jobs"], "id": 7},
        {"question": "who?\u2028", "no_answer": True}, "  ",
    )  # fmt: skip
    path.write_text(f"\ufeff{path.read_text()}")
    first, second = load_questions(path)
    assert (first.id, first.quoted, first.facts) == ("7", (frozenset({("a.pdf", 1)}),), ("4 jobs",))
    assert (second.id, second.has_answer, second.quoted) == ("3", False, ())


@pytest.mark.parametrize("line", [
    "x", "7", "null", "[]", '"x"', "[" * 99_999, {}, {"question": "what?"},
    {"quoted": GOOD["quoted"]}, GOOD | {"question": ""}, GOOD | {"question": 7},
    GOOD | {"quoted": []}, GOOD | {"quoted": {}}, GOOD | {"quoted": ["a.pdf"]},
    GOOD | {"quoted": [{"book": "a.pdf"}]}, GOOD | {"quoted": [{"book": "a.pdf", "pages": []}]},
    GOOD | {"quoted": [{"book": "a.pdf", "pages": 7}]},
    GOOD | {"quoted": [{"book": "a.pdf", "pages": ["7"]}]},
    GOOD | {"quoted": [{"book": "a.pdf", "pages": [True]}]},
    GOOD | {"quoted": [{"book": "a.pdf", "pages": [0]}]},
    GOOD | {"quoted": [{"book": 7, "pages": [1]}]}, GOOD | {"quoted": None},
    GOOD | {"facts": "4 jobs"}, GOOD | {"facts": [4]}, GOOD | {"facts": [" "]},
    GOOD | {"facts": None}, GOOD | {"no_answer": True}, GOOD | {"no_answer": "yes"},
    {"question": "what?", "no_answer": True, "facts": ["x"]}, GOOD | {"fact": ["x"]},
])  # fmt: skip
def test_the_line_that_is_wrong_is_named(tmp_path: Path, line: object) -> None:
    path = write(tmp_path / "a.jsonl", GOOD, "", line, GOOD)
    with pytest.raises(InputError, match="line 3 ") as raised:
        load_questions(path)
    assert "quoted" in raised.value.hint


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe4")
    for path in (tmp_path, tmp_path / "none", tmp_path / "latin", write(tmp_path / "empty", "")):
        with pytest.raises(InputError):
            load_questions(path)


# What is said


@pytest.mark.parametrize(("text", "fact", "said"), [
    ("It runs 4 jobs.", "4 jobs", True),
    ("It runs 4\njobs.", "4  jobs", True),
    ("It runs 40 jobs.", "4", False),
    ("It takes 4.5 s.", "4", False),
    ("It takes 1.4 s.", "4", False),
    ("It has 1,048,576 bytes.", "1048576", True),
    ("It has 1048576 bytes.", "1,048,576", True),
    ("One of 1,234.", "234", False),
    ("512MB를 잡는다.", "512MB", True),
    ("hippo 서버는 512MB를 잡는다.", "서버", True),
    ("It raises KeyAbsentError.", "keyabsenterror", True),
    ("It raises MyKeyAbsentError.", "KeyAbsentError", False),
    ("Use “make -j”.", '"make -j"', True),
    ("Use --no-warn.", "--no-warn", True),
    (normalize("NFD", "비동기 방식으로 쓴다."), "비동기 방식", True),
    ("", "4", False),
])  # fmt: skip
def test_a_fact_is_said_whole_or_not(text: str, fact: str, said: bool) -> None:
    assert says(text, fact) is said


# The sums


def quotation(file: str, page: int, quote: str = "words") -> Quotation:
    return Quotation("id", "title", file, page, "", "", quote)


def answers(**said: Answer | Exception) -> Any:
    def ask(question: str) -> Iterator[Event]:
        yield Reading(1, 1, ())
        known = said[question]
        if isinstance(known, Exception):
            yield Answer(question, (Statement("before", ()),), stopped="broke off")
            raise known
        yield known

    return ask


def test_what_is_right_and_what_is_wrong(tmp_path: Path) -> None:
    two = [{"book": "a.pdf", "pages": [1, 2]}, {"book": normalize("NFD", "책.pdf"), "pages": [3]}]
    path = write(
        tmp_path / "a.jsonl",
        {"id": "whole", "question": "whole", "quoted": two, "facts": ["4 jobs", "words"]},
        {"id": "half", "question": "half", "quoted": two, "facts": ["4 jobs", "8 jobs"]},
        {"id": "silent", "question": "silent", "quoted": two[:1], "facts": ["x"]},
        {"id": "none", "question": "none", "no_answer": True},
        {"id": "made", "question": "made", "no_answer": True},
        {"id": "down", "question": "down", "no_answer": True},
        {"id": "cut", "question": "cut", "quoted": two[:1]},
    )
    both = (quotation("a.pdf", 2), quotation("책.pdf", 3))
    card = mark_answers(load_questions(path), answers(
        whole=Answer("q", (Statement("It runs 4 jobs.", both),), tokens=10, dollars=0.5),
        half=Answer("q", (Statement("4 jobs", both[:1]), Statement("x", both[:1])), left_out=2,
                    struck_quotes=3, tokens=5, dollars=0.25),
        silent=Answer("q", left_out=1, struck_quotes=1),
        none=Answer("q"), made=Answer("q", (Statement("it is", both),)),
        down=UnavailableError("It is down."), cut=UnavailableError("It broke off."),
    ))  # fmt: skip
    assert [one.known.id for one in card.marked if one.is_right] == ["whole", "none"]
    assert (card.supported_claims, card.struck_quotes, card.left_out) == (6, 4, 3)
    assert (card.quoted, card.facts) == ((3, 6), (3, 5))
    assert (card.refusals(right=True), card.refusals(right=False)) == (1, 1)
    assert (card.answered_wrongly, card.failed) == (2, 2)
    assert (card.tokens, card.dollars) == (15, 0.75)
    assert [one.fault for one in card.marked if one.fault] == ["It is down.", "It broke off."]


def test_what_fails_every_time_is_raised(tmp_path: Path) -> None:
    questions = load_questions(write(tmp_path / "a", GOOD, GOOD))
    with pytest.raises(BusyError):
        mark_answers(questions, answers(**{"what?": BusyError("No money is left.")}))


# The command


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scorecard")
    with Library(Settings(home=folder / "library")) as library:
        library.add([pdfs.book(folder / "make.pdf", [FACT, "A walrus sleeps."], title="Make")])
    return folder / "library"


FACT = "By default make runs 4 jobs at the same time."


def model(given: Given) -> str:
    page = given.id_of("By default make")
    if "jobs" not in given.question:
        return claims()
    good = ("make runs 4 jobs by default.", [(page, FACT), (page, "words that are nowhere at all")])
    return claims(good, ("make runs 9 jobs by default.", [(page, FACT)]))


def run(home: Path, url: str, *arguments: str, code: int = 0) -> Result:
    env = {
        "BOOKBRAIN_HOME": str(home), "BOOKBRAIN_CHAT_MODEL": "good", "BOOKBRAIN_CHAT_URL": url,
        "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    done = CliRunner().invoke(main, ["eval", *arguments], env=env)
    assert done.exit_code == code, done.output
    return done


def test_the_command_prints_all_of_it(home: Path, tmp_path: Path) -> None:
    path = str(write(
        tmp_path / "a.jsonl",
        {"id": "jobs", "question": "How many jobs does make run?", "facts": ["4 jobs"],
         "quoted": [{"book": "make.pdf", "pages": [1]}]},
        {"id": "nowhere", "question": "Where does make keep its jobs?", "no_answer": True},
        {"id": "who", "question": "Who wrote the walrus?", "no_answer": True},
    ))  # fmt: skip
    with ChatServer(model) as server:
        said = run(home, server.url, "--answers", path).stdout
        server.asked.clear()
        card = json.loads(run(home, server.url, path, "--answers", "--json").stdout)
    for line in (
        "supported claims: 2", "struck: quotations 4, claims left out 2", "places quoted: 1 of 1",
        "facts said: 1 of 1", "refusals: right 1, wrong 0; answered where the books do not say: 1",
        "tokens", "s (p95)", "missed: nowhere",
    ):  # fmt: skip
        assert line in said
    assert (card["n"], card["right"], card["supported_claims"]) == (3, 2, 2)
    assert card["refusals"] == {"right": 1, "wrong": 0, "missed": 1}
    assert card["tokens"] == 1100 * len(server.asked) > 0
    assert [one["id"] for one in card["questions"]] == ["jobs", "nowhere", "who"]


def test_the_command_refuses_before_it_pays(home: Path, tmp_path: Path) -> None:
    bad = str(write(tmp_path / "a.jsonl", GOOD, {"question": "what?"}))
    with ChatServer(model) as server:
        assert "line 2 " in run(home, server.url, "--answers", bad, code=65).stderr
        run(home, server.url, "--answers", "--tune", bad, code=2)
        assert server.asked == []
