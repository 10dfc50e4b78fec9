"""An answer as Markdown: a reader of it sees what was said, whatever a book or a model wrote."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from starlette.applications import Starlette
from starlette.testclient import TestClient
from support import pdfs
from support.chat_server import ChatServer, claims

from bookbrain.answers.answer import Answer
from bookbrain.answers.footnotes import answer_markdown
from bookbrain.answers.gate import Quotation, Statement
from bookbrain.cli import main
from bookbrain.library import Library
from bookbrain.settings import ChatSettings, Settings
from bookbrain.web.answer_stream import ask_route
from bookbrain.web.shelf import Shelf


def quotation(quote: str = "make runs four jobs", page: int = 7, **other: str) -> Quotation:
    of = {"title": "The Book of Make", "label": "xi", "chapter": "Running"} | other
    return Quotation("ab", of["title"], "make.pdf", page, of["label"], of["chapter"], quote)


def test_each_quotation_has_one_number_with_its_title_chapter_and_printed_page() -> None:
    first, second = quotation(), quotation("jobs run in parallel", 9, label="", chapter="")
    answer = Answer("?", (
        Statement("It runs 4 jobs.", (first,)),
        Statement("They run with `make -j`, in parallel.", (second, first)),
    ))  # fmt: skip
    assert answer_markdown(answer, "en") == (
        "It runs 4 jobs.[^1]\n\n"
        "They run with `make -j`, in parallel.[^2][^1]\n\n"
        "[^1]: “make runs four jobs” — *The Book of Make*, “Running”, p. xi\n"
        "[^2]: “jobs run in parallel” — *The Book of Make*, page 9 of the file\n"
    )
    assert "“Running”, xi쪽" in answer_markdown(answer, "ko")


def test_what_the_books_do_not_say_names_the_nearest_pages() -> None:
    near = (quotation("", 3, label="3"), quotation("", 4, label="4", chapter=""))
    text = answer_markdown(Answer("?", nearest=near), "en")
    assert text == (
        "Your books do not say.\n\nThe nearest pages:\n\n"
        "- *The Book of Make*, “Running”, p. 3\n- *The Book of Make*, p. 4\n"
    )
    assert answer_markdown(Answer("?", nearest=near), "ko").startswith("갖고 있는 책에는 답이")
    assert answer_markdown(Answer("?", stopped="It broke off."), "en") == ""


HOSTILE = (
    "![x](http://evil.example/?q)", "[x](javascript:alert(1))", "<img src=x onerror=alert(1)>",
    "# no heading", "1. no list", "> no quote", "*a* _b_ **c** ~~d~~", "a [^1] b", "[^1]: c",
    "`a``b`c", "``", "\\`a`", "a|b|c", "&lt;b&gt;", "$x$", "---", "\x1b[2J", "line\u2028line",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_it_is_markup(text: str) -> None:
    check_text(text)


@given(st.text("ab`*_[]()<>!#\\^:& -1.~|$\n", min_size=1, max_size=30))
def test_nothing_of_any_text_is_markup(text: str) -> None:
    check_text(text)


def check_text(text: str) -> None:
    quoted = quotation(text, title=text, label=text, chapter=text)
    shown = answer_markdown(Answer("?", (Statement(" ".join(text.split()), (quoted,)),)), "en")
    marks = re.findall(r"(?<!\\)\[\^(\d+)\]", re.sub(r"`[^`]*`", "", shown.replace("\\`", "")))
    assert set(marks) == {"1"}
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(shown)
    kinds = {token.type for token in tokens} | {
        child.type for token in tokens for child in token.children or ()
    }
    assert kinds <= {
        "paragraph_open", "paragraph_close", "inline", "text", "em_open", "em_close", "softbreak",
        "code_inline", "text_special",
    }  # fmt: skip
    assert "\x1b" not in shown


# Where it comes out


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footnotes")
    with Library(Settings(home=folder / "library")) as library:
        pages = ["By default make runs 4 jobs at the same time."]
        library.add([pdfs.book(folder / "make.pdf", pages, title="Make", labels=["xi"])])
    return folder / "library"


SAID = (
    "make runs 4 jobs.[^1]\n\n"
    "[^1]: “By default make runs 4 jobs at the same time.” — *Make*, p. xi\n"
)  # fmt: skip


@pytest.fixture
def server() -> ChatServer:
    fact = "By default make runs 4 jobs at the same time."
    with ChatServer(lambda given: claims(("make runs 4 jobs.", [("p1", fact)]))) as running:
        yield running


def test_the_command_prints_it(home: Path, server: ChatServer) -> None:
    env = {
        "BOOKBRAIN_HOME": str(home), "BOOKBRAIN_CHAT_MODEL": "good", "HOME": str(home.parent),
        "BOOKBRAIN_CHAT_URL": server.url, "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    asked = ["ask", "--markdown", "how many jobs does make run?"]
    done = CliRunner().invoke(main, asked, env=env)
    assert (done.exit_code, done.stdout) == (0, SAID)
    assert "tokens" in done.stderr
    assert CliRunner().invoke(main, [*asked, "--json"], env=env).exit_code == 2
    server.reply = lambda given: claims()
    done = CliRunner().invoke(main, asked, env=env)
    assert done.stdout.startswith("Your books do not say.\n\nThe nearest pages:\n\n- *Make*, p. xi")


def test_the_last_event_has_it(home: Path, server: ChatServer) -> None:
    shelf = Shelf(Settings(home=home, chat=ChatSettings("good", server.url)))
    client = TestClient(Starlette(routes=[ask_route(shelf)]))
    for language, page in (("en", "p. xi"), ("ko", "xi쪽"), ("de", "p. xi"), (["ko"], "p. xi")):
        asked = {"question": "how many jobs does make run?", "language": language}
        data = client.post("/api/ask", json=asked).text.strip().split("\n")[-1]
        answer = json.loads(data.removeprefix("data: "))
        assert answer["markdown"] == SAID.replace("p. xi", page)
        assert answer["statements"][0]["text"] == "make runs 4 jobs."
    shelf.close()
