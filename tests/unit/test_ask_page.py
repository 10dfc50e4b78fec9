"""The Ask page and what its script is told."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import bookbrain.web
from bookbrain.answers.scorecard import load_questions
from bookbrain.settings import ChatSettings, Settings
from bookbrain.web.api import Health, make_routes
from bookbrain.web.app import Names, OwnOrigin
from bookbrain.web.ask_page import ask_routes
from bookbrain.web.shelf import Shelf

WEB = Path(bookbrain.web.__file__).parent
NEEDED = {"missing", "needed", "search"}
JUDGED = {"right", "wrong"}  # what the script says by their value


def _client(home: Path, model: str | None) -> Iterator[TestClient]:
    settings = Settings(home=home, chat=ChatSettings(model))
    shelf, health = Shelf(settings), Health(settings)
    routes = [*ask_routes(shelf), *make_routes(shelf, health)]
    app = OwnOrigin(Starlette(routes=routes), Names(settings, "localhost", "127.0.0.1"))
    home.mkdir(exist_ok=True)
    with TestClient(app, base_url="http://localhost") as made:
        yield made
    health.close()
    shelf.close()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    yield from _client(tmp_path / "library", "good")


@pytest.fixture
def modelless(tmp_path: Path) -> Iterator[TestClient]:
    yield from _client(tmp_path / "library", None)


def _texts(page: str) -> dict[str, str]:
    found = re.search(r'data-texts="([^"]*)"', page)
    assert found
    return dict(json.loads(unescape(found[1])))


def test_the_page_is_the_same_for_every_question_and_has_no_script_of_its_own(
    client: TestClient,
) -> None:
    page = client.get("/ask", params={"q": '"><script>alert(1)</script>'})
    assert page.text == client.get("/ask").text
    assert re.findall(r"<script[^>]*>(.*?)</script>", page.text) == [""]
    assert not re.search(r"\son\w+=|style=|javascript:", page.text)
    assert "unsafe" not in page.headers["content-security-policy"]
    assert client.post("/ask").status_code == 405


def test_the_row_leads_to_it(client: TestClient) -> None:
    said = {"en": "Ask", "ko": "묻기"}
    for language, ask in said.items():
        headers = {"Accept-Language": language}
        assert f'<a href="/ask">{ask}</a>' in client.get("/", headers=headers).text
        assert f'<a href="/ask" aria-current=page>{ask}</a>' in client.get(
            "/ask", headers=headers
        ).text  # fmt: skip


def test_without_a_model_it_says_what_it_takes(client: TestClient, modelless: TestClient) -> None:
    for language in ("en", "ko"):
        headers = {"Accept-Language": language}
        said = _texts(modelless.get("/ask", headers=headers).text)
        assert said["missing"].isascii() == (language == "en")
        settings = {"MODEL", "URL", "KEY", "BUDGET"}
        assert {*re.findall(r"BOOKBRAIN_CHAT_([A-Z]+)", said["needed"])} == settings
        assert not NEEDED & {*_texts(client.get("/ask", headers=headers).text)}


def test_the_scripts_say_only_what_the_page_gives_them(
    client: TestClient, modelless: TestClient
) -> None:
    """A text that is missing would be shown as "undefined", one that is left over is no use."""
    said = {
        name
        for script in ("ask.js", "answer.js")
        for name in re.findall(r"texts\.(\w+)", (WEB / script).read_text(encoding="utf-8"))
    }
    assert said | JUDGED == {*_texts(modelless.get("/ask").text)}
    assert said - NEEDED | JUDGED == {*_texts(client.get("/ask").text)}


def test_a_judged_answer_is_kept_for_eval_and_for_no_other_site(
    client: TestClient, tmp_path: Path
) -> None:
    body = {"question": "Why?", "quoted": [{"book": "a.pdf", "pages": [3]}]}
    evil = {"origin": "https://evil.example"}
    assert client.post("/api/golden", json=body, headers=evil).status_code == 403
    path = tmp_path / "library" / "answers.jsonl"
    for wrong in (
        b"", b"{", b"[]", b"7", b"[" * 60_000, b'{"question": "x"}', b"\xff",
        b'{"question": "", "no_answer": true}', b'{"question": "x", "no_answer": true, "more": 1}',
        b'{"question": "x", "quoted": [{"book": 7, "pages": [1]}]}',
        b'{"question": "x", "quoted": [{"book": "a.pdf", "pages": [0]}]}',
        b'{"question": "' + b"x" * 70_000 + b'", "no_answer": true}',
    ):  # fmt: skip
        answer = client.post(
            "/api/golden", content=wrong, headers={"content-type": "application/json"}
        )
        assert (answer.status_code, bool(answer.json()["hint"])) == (400, True), wrong[:40]
    assert client.post("/api/golden", data=body).status_code == 400
    assert not path.exists()
    assert client.post("/api/golden", json=body).json() == {"path": str(path)}
    (known,) = load_questions(path)
    assert (known.question, known.quoted) == ("Why?", (frozenset({("a.pdf", 3)}),))
