"""What the reader's page and its script are told, on a real library."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from support import pdfs

from bookbrain.library import Library
from bookbrain.settings import Settings
from bookbrain.web.reader import reader_routes
from bookbrain.web.shelf import Shelf

TITLE = "Locks </h1><script>alert(1)</script> **bold** $x$ :red[no]"
PAGES = (
    "Preface\nThe walrus & the <img src=x onerror=alert(1)> lock.",
    "1 Seals\nSeals have no lock.\n2 <i>Walruses</i>\nThe walrus has one.",
    "A page about nothing.",
    "비동기 처리\n트랜잭션 로그는 비동기 처리로 기록한다.",
    "The last walrus.",
)
OUTLINE = [(0, "Preface", 0), (0, "1 Seals", 1), (0, "2 <i>Walruses</i>", 1), (0, "비동기 처리", 3)]
LABELS = ("i", "1", "2", "4", "5")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("page")
    settings = Settings(home=folder / "library")
    with Library(settings) as library:
        book = pdfs.book(folder / "locks.pdf", PAGES, title=TITLE, outline=OUTLINE, labels=LABELS)
        scan = pdfs.mixed(folder / "scan.pdf", ["text", "scan"])
        library.add([book, scan, pdfs.book(folder / "leaf.pdf", ["A single leaf."])])
    shelf = Shelf(settings)
    yield shelf
    shelf.close()


@pytest.fixture(scope="module")
def client(shelf: Shelf) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=reader_routes(shelf))) as made:
        yield made


def id_of(shelf: Shelf, name: str = "locks.pdf") -> str:
    with shelf.library() as library:
        return library.find_book(name).id


def ask(client: TestClient, path: str, language: str = "en", **params: str) -> dict[str, Any]:
    answer = client.get(path, params=params, headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_page_is_the_same_for_every_book_and_has_no_script_of_its_own(
    client: TestClient,
) -> None:
    page = client.get("/read", params={"book": "<script>", "find": '"><script>alert(2)</script>'})
    assert page.text == client.get("/read").text
    assert re.findall(r"<script[^>]*>(.*?)</script>", page.text) == [""]
    assert not re.search(r"\son\w+=|style=|javascript:", page.text)
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("cookie", "accepted", "said"),
    [
        ("", "en-US,en", "Next page"),
        ("", "ko-KR,ko", "다음 쪽"),
        ("ko", "en-US", "다음 쪽"),
        ("en", "ko-KR", "Next page"),
    ],
)
def test_it_speaks_the_visitors_language(
    client: TestClient, cookie: str, accepted: str, said: str
) -> None:
    headers = {"Accept-Language": accepted} | ({"Cookie": f"language={cookie}"} if cookie else {})
    page = client.get("/read", headers=headers).text
    found = re.search(r'data-texts="([^"]*)"', page)
    assert found
    assert json.loads(unescape(found[1]))["next"] == said
    assert f'<html lang="{"ko" if said == "다음 쪽" else "en"}">' in page


def test_the_script_says_only_what_the_page_gives_it(client: TestClient) -> None:
    """A text that is missing would be shown as "undefined"."""
    script = client.get("/assets/reader.js").text
    found = re.search(r'data-texts="([^"]*)"', client.get("/read").text)
    assert found
    given = json.loads(unescape(found[1]))
    assert {*re.findall(r"texts\.(\w+)", script)} <= {*given}
    buttons = re.search(r"const DO = \{(.*?)\n\};", script, re.DOTALL)
    assert buttons
    assert {*re.findall(r"^  (\w+): \(\)", buttons[1], re.MULTILINE)} <= {*given}


def test_assets_are_asked_for_once(client: TestClient) -> None:
    first = client.get("/assets/reader.css")
    assert first.headers["content-type"].startswith("text/css")
    again = client.get("/assets/reader.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("reader.html", "reader.py", "../api.py", "frame.js", "%2e%2e%2fapi.py"):
        assert client.get(f"/assets/{name}").status_code == 404


def test_a_book_has_its_outline_labels_and_matches(client: TestClient, shelf: Shelf) -> None:
    book = ask(client, f"/api/book/{id_of(shelf)}", q="walrus")
    assert book["title"] == TITLE
    assert [title for title, _, _ in book["chapters"]] == [title for _, title, _ in OUTLINE]
    assert [page for _, page, _ in book["chapters"]] == [1, 2, 2, 4]
    assert book["labels"] == [*LABELS]
    assert book["matches"] == [1, 2, 5]
    leaf = ask(client, f"/api/book/{id_of(shelf, 'leaf.pdf')}", q="leaf")
    assert (leaf["pages"], leaf["chapters"], leaf["matches"]) == (1, [], [1])


def test_the_words_that_an_answer_quotes_are_marked_and_no_others(
    client: TestClient, shelf: Shelf
) -> None:
    address = f"/api/book/{id_of(shelf)}"
    for number, quote, marked in (
        (2, "Seals have no lock.", ["Seals have no lock."]),
        (2, "“Seals  have\tno lock.”", ["Seals have no lock."]),
        (4, "비동기 처리로 기록한다", ["비동기 처리로 기록한다"]),
        (1, "Seals have no lock.", []),
        (2, "Seals have no key.", []),
    ):
        page = ask(client, f"{address}/{number}", quote=quote, q="walrus")
        spans = dict.fromkeys((start, end) for start, end, *_ in page["marks"])
        assert [page["text"][start:end] for start, end in spans] == marked


def test_matches_have_every_word_where_a_page_has(client: TestClient, shelf: Shelf) -> None:
    address = f"/api/book/{id_of(shelf)}"
    assert ask(client, address, q="walrus lock")["matches"] == [1, 2]
    assert len(ask(client, address, q="walrus nothing")["matches"]) == 4
    for nothing in ("zebra", "-walrus", "", '""'):
        assert ask(client, address, q=nothing)["matches"] == []


def test_a_page_has_its_text_and_every_word_has_its_place(client: TestClient, shelf: Shelf) -> None:
    page = ask(client, f"/api/book/{id_of(shelf)}/1", q="walrus")
    assert page["text"] == PAGES[0]
    assert page["place"] == "p. i (page 1 of the file)"
    words = [page["text"][start:end] for start, end, *_ in page["words"]]
    assert words == PAGES[0].split()
    for _, _, left, top, right, bottom in page["words"]:
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
    ((start, end, *mark),) = page["marks"]
    assert page["text"][start:end] == "walrus"
    (same,) = (one[2:] for one in page["words"] if one[:2] == [start, end])
    assert mark == same
    assert page["size"][1] > page["size"][0] > 100


def test_a_phrase_is_marked_as_one(client: TestClient, shelf: Shelf) -> None:
    page = ask(client, f"/api/book/{id_of(shelf)}/2", q='"have no lock"')
    assert [page["text"][s:e] for s, e, *_ in page["marks"]] == ["have no lock"]


@pytest.mark.slow
def test_the_chapter_is_that_of_the_match(client: TestClient, shelf: Shelf) -> None:
    address = f"/api/book/{id_of(shelf)}"
    assert ask(client, f"{address}/2", q="walrus")["chapter"] == 2
    assert ask(client, f"{address}/2", q="seals")["chapter"] == 1
    assert ask(client, f"{address}/3")["chapter"] == 2
    assert ask(client, f"/api/book/{id_of(shelf, 'leaf.pdf')}/1")["chapter"] is None


def test_a_scan_says_why_there_is_no_text(client: TestClient, shelf: Shelf) -> None:
    address = f"/api/book/{id_of(shelf, 'scan.pdf')}/2"
    page = ask(client, address)
    assert (page["text"], page["words"], page["marks"]) == ("", [], [])
    assert page["remarks"] == ["p. 2: no text (a scan)"]
    assert ask(client, address, "ko")["remarks"] == ["2쪽: 글자가 없습니다(스캔한 쪽)"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"/api/book/{'0' * 64}", "There is no such book."),
        (f"/api/book/{'0' * 64}/1", "There is no such book."),
        ("/api/book/x", "There is no such book."),
        ("/api/book/<script>/1", "There is no such book."),
        ("/api/book/ID/6", "This book has no page 6."),
        ("/api/book/ID/0", "This book has no page 0."),
        ("/api/book/ID/-1", "There is no such page."),
        (f"/api/book/ID/{'9' * 500}", "There is no such page."),
    ],
)
def test_what_is_not_there_is_said(
    client: TestClient, shelf: Shelf, path: str, message: str
) -> None:
    answer = client.get(path.replace("ID", id_of(shelf)))
    assert answer.status_code == 404
    assert answer.json()["error"] == message


def test_a_page_that_cannot_be_opened_is_an_error_and_not_a_server_that_is_away(
    client: TestClient, shelf: Shelf
) -> None:
    """The script asks again where a server is away: 502, 503, 504."""
    with shelf.library() as library:
        path = library.open_book(id_of(shelf, "leaf.pdf")).path
    whole = path.read_bytes()
    path.write_bytes(b"%PDF-1.4 no more")
    try:
        answer = client.get(f"/api/book/{id_of(shelf, 'leaf.pdf')}/1", params={"q": "single"})
    finally:
        path.write_bytes(whole)
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("This page cannot be painted")


def test_a_reader_in_korean(client: TestClient, shelf: Shelf) -> None:
    page = ask(client, f"/api/book/{id_of(shelf)}/4", "ko-KR", q="비동기")
    assert page["place"] == "4쪽"
    assert next(page["text"][s:e] for s, e, *_ in page["marks"]).startswith("비동기")


def test_paths_are_of_this_app(client: TestClient) -> None:
    names = Path(__file__).parents[2] / "bookbrain" / "web"
    for name in ("reader.js", "reader.css", "reader.html"):
        assert "http://" not in (names / name).read_text(encoding="utf-8").replace(
            "http://www.w3.org", ""
        )
