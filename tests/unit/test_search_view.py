"""The search page and what its script is told, on a real library."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from support import pdfs
from support.drawn import Drawn

import bookbrain.web
from bookbrain.library import Library
from bookbrain.model import Book
from bookbrain.settings import Settings
from bookbrain.web.api import Health, make_routes
from bookbrain.web.reader import reader_routes
from bookbrain.web.search_view import language_of, view_of
from bookbrain.web.shelf import Shelf

pytestmark = pytest.mark.slow

WEB = Path(bookbrain.web.__file__).parent
TITLE = "Locks </h2><script>alert(1)</script> & <b>**bold**</b> $x$ :red[no]"
PAGES = (
    "The walrus holds the <img src=x onerror=alert(1)> lock & waits.",
    "비동기 처리\n트랜잭션 로그는 비동기 처리로 기록한다.",
)
SEAS = (
    "A seal swims in the cold northern sea.",
    "A blank about harbours.",
    "A third thing.",
    "The seal likes the cold northern sea.",
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("page")
    settings = Settings(home=folder / "library")
    outline = [(0, "1. <i>Big Walruses</i>", 0)]
    with Library(settings) as library:
        book = pdfs.book(
            folder / "locks.pdf", PAGES, title=TITLE, outline=outline, labels=("xii", "2")
        )
        library.add([book, pdfs.book(folder / "seas.pdf", SEAS, title="Seas")])
    shelf = Shelf(settings)
    yield shelf
    shelf.close()


@pytest.fixture(scope="module")
def client(shelf: Shelf) -> Iterator[TestClient]:
    health = Health(shelf.settings)
    routes = [*make_routes(shelf, health), *reader_routes(shelf)]
    with TestClient(Starlette(routes=routes)) as made:
        yield made
    health.close()


def ask(client: TestClient, query: str = "", language: str = "en", **more: Any) -> dict[str, Any]:
    params = {"q": query} if query else {}
    answer = client.get(
        "/api/search", params=params | {"view": "page"} | more,
        headers={"Accept-Language": language},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _books(shelf: Shelf) -> list[Book]:
    with shelf.library() as library:
        return library.books()


def test_the_page_is_the_same_for_every_question_and_has_no_script_of_its_own(
    client: TestClient,
) -> None:
    page = client.get("/", params={"q": '"><script>alert(2)</script>'})
    assert page.text == client.get("/").text
    assert re.findall(r"<script[^>]*>(.*?)</script>", page.text) == [""]
    assert not re.search(r"\son\w+=|style=|javascript:", page.text)
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("accepted", "cookie", "said"),
    [
        ("en-US,en", "", "Search your books"), ("ko-KR,ko", "", "책에서 찾기"),
        ("en-US", "ko", "책에서 찾기"), ("ko-KR", "en", "Search your books"),
        ("", "", "Search your books"), ("de-DE", "", "Search your books"),
        ("kok-IN", "", "Search your books"), ("xx_*", "", "Search your books"),
    ],
)  # fmt: skip
def test_it_speaks_the_visitors_language(
    client: TestClient, accepted: str, cookie: str, said: str
) -> None:
    headers = {"Accept-Language": accepted} | ({"Cookie": f"language={cookie}"} if cookie else {})
    page = client.get("/", headers=headers).text
    assert _texts(page)["box"] == said
    assert f'<html lang="{"ko" if said == "책에서 찾기" else "en"}">' in page
    assert ("찾기</a>" in page) == (said == "책에서 찾기")


def _texts(page: str) -> dict[str, str]:
    found = re.search(r'data-texts="([^"]*)"', page)
    assert found
    return dict(json.loads(unescape(found[1])))


def test_the_scripts_say_only_what_the_page_gives_them(client: TestClient) -> None:
    """A text that is missing would be shown as "undefined", one that is left over is no use."""
    scripts = ("search.js", "hits.js", "element.js", "facets.js")
    said = {
        name
        for script in scripts
        for name in re.findall(r"texts\.(\w+)", (WEB / script).read_text(encoding="utf-8"))
    }
    by_value = {"keyword", "vector", "book", "chapter", "language", "kind", "recognised", "digital"}
    assert said | by_value == {*_texts(client.get("/").text)}


@pytest.mark.parametrize("base", ["http://localhost:8501", "https://books.example.org"])
def test_a_browser_can_search_from_its_address_bar(client: TestClient, base: str) -> None:
    answer = client.get(f"{base}/opensearch.xml", headers={"Accept-Language": "ko"})
    assert answer.headers["content-type"].startswith("application/opensearchdescription+xml")
    described = {one.tag.rpartition("}")[2]: one for one in fromstring(answer.text)}
    assert described["Url"].attrib["template"] == f"{base}/?q={{searchTerms}}"
    assert described["Description"].text == "책에서 찾기"
    assert 'href="/opensearch.xml"' in client.get("/").text


def test_a_browser_can_keep_the_page_as_a_program(client: TestClient) -> None:
    manifest = client.get("/app.webmanifest").json()
    assert client.get(manifest["start_url"]).status_code == 200
    for icon in manifest["icons"]:
        assert client.get(icon["src"]).headers["content-type"] == icon["type"]
    target = manifest["share_target"]
    shared = {target["params"]["text"]: "lock"}
    assert client.get(target["action"], params=shared).status_code == 200
    assert 'href="/app.webmanifest"' in client.get("/").text


def test_a_hit_has_title_page_chapter_and_marks(client: TestClient) -> None:
    result = ask(client, "walrus")
    assert result["remark"].startswith("Keyword search only. Search by meaning is off")
    (hit,) = result["hits"]
    assert (hit["title"], hit["chapter"]) == (TITLE, "1. <i>Big Walruses</i>")
    assert (hit["label"], hit["place"]) == ("p. xii", "p. xii (page 1 of the file)")
    assert "The <mark>walrus</mark> holds" in hit["snippet"]
    assert Drawn(hit["snippet"]).tags == {"mark"}
    assert hit["why"]["keyword"]["rank"] == 1
    assert hit["file"] == "locks.pdf"
    assert "text" not in hit  # which is most of the bytes, and not shown


def test_what_a_hit_copies_is_a_citation(client: TestClient) -> None:
    (hit,) = ask(client, "harbours")["hits"]
    assert hit["citation"] == "> A blank about harbours.\n>\n> — *Seas*, p. 2\n"


@pytest.mark.parametrize("query", ["<script>alert(1)</script>", "**x** <b>y", '"<mark>"', "-a <i>"])
def test_what_is_asked_is_text(client: TestClient, query: str) -> None:
    result = ask(client, f"walrus lock {query}")
    assert result["query"].endswith(query)
    for hit in result["hits"]:
        assert Drawn(hit["snippet"]).tags <= {"mark"}


def test_how_a_query_was_read_is_told_with_the_other_way(client: TestClient) -> None:
    assert ask(client, "seal -cold")["clauses"] == [{"said": "without: cold", "other": "seal cold"}]
    assert ask(client, "seal -cold", "ko")["clauses"][0]["said"] != "without: cold"
    result = ask(client, "seal cold")
    assert [hit["title"] for hit in result["hits"]] == ["Seas", "Seas"]
    assert result["clauses"] == []


def test_where_nothing_is_left_the_plain_words_are_found_and_that_is_said(
    client: TestClient,
) -> None:
    result = ask(client, '"zebra seal" -cold', book="seas.pdf")
    assert result["clauses"][0] == {"said": "exactly: zebra seal", "other": "zebra seal -cold"}
    assert "No page has that as it was asked." in result["reading"]
    assert [hit["title"] for hit in result["hits"]] == ["Seas", "Seas"]


@pytest.mark.parametrize(("language", "said"), [("en", "say"), ("ko", "검색")])
def test_what_cannot_be_asked_is_refused_in_the_visitors_language(
    client: TestClient, language: str, said: str
) -> None:
    answer = client.get(
        "/api/search", params={"q": "-walrus"}, headers={"Accept-Language": language}
    )
    assert answer.status_code == 400
    assert re.search("[가-힣]", answer.json()["error"]) if language == "ko" else True
    assert (client.get("/api/search", params={"q": "-walrus"}).json() == answer.json()) == (
        language == "en"
    )


def test_korean(client: TestClient) -> None:
    result = ask(client, "비동기", "ko-KR")
    assert result["remark"].startswith("키워드로만 검색했습니다. 뜻으로 찾기는 꺼져 있습니다.")
    hit = result["hits"][0]
    assert "<mark>비동기</mark>" in hit["snippet"]
    assert hit["label"] == hit["place"] == "2쪽"
    assert hit["language"] == "ko"


def test_the_view_is_the_result_that_others_get(client: TestClient) -> None:
    plain = client.get("/api/search", params={"q": "northern lock", "k": "100"}).json()
    view = ask(client, "northern lock", k="100")
    for hit, other in zip(plain["hits"], view["hits"], strict=True):
        for name in ("rank", "score", "page", "title", "file", "chapter", "snippet", "why"):
            assert hit[name] == other[name]
        assert hit["book_id"] == other["book"]


def test_similar_pages(client: TestClient, shelf: Shelf) -> None:
    (book,) = [book.id for book in _books(shelf) if book.file == "seas.pdf"]
    result = ask(client, similar=f"{book}:1")
    assert result["hits"][0]["page"] == 4
    assert "Keyword search only." in result["remark"]


@pytest.mark.parametrize("similar", ["x", "x:1", ":", "x:y", "0" * 64 + ":1"])
def test_similar_to_nothing_is_refused(client: TestClient, similar: str) -> None:
    answer = client.get("/api/search", params={"similar": similar, "view": "page"})
    assert answer.status_code in (400, 404)
    assert answer.json()["error"].startswith("There is no ")


def test_pages_that_were_recognised_are_told_from_others(shelf: Shelf) -> None:
    with shelf.library() as library:
        result = library.search("seal", k=2)
    first, second = result.hits
    scanned = replace(result, hits=(replace(first, recognised=31.0), second))
    seen, other = view_of(scanned, "en").hits
    assert (seen.recognised, seen.doubt) == (True, "recognised, uncertain")
    assert (other.recognised, other.doubt) == (False, "")


def test_what_can_be_asked_is_out_of_the_owners_books(client: TestClient, tmp_path: Path) -> None:
    start = client.get("/api/start").json()
    assert (start["books"], start["by_meaning"]) == (2, False)
    assert start["examples"] == [{"query": "<i>Big Walruses</i>", "title": TITLE}]
    empty = Shelf(Settings(home=tmp_path / "new"))
    health = Health(empty.settings)
    with TestClient(Starlette(routes=make_routes(empty, health))) as none:
        assert none.get("/api/start").json()["books"] == 0
    health.close()
    empty.close()


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The lock is held while the queue waits for the socket to be closed by the kernel."),
        ("ko", "이 설정은 kernel 매개 변수로 바꿀 수 있습니다. 자세한 것은 설명서를 보십시오."),
        ("ja", "インストーラはネットワークの設定を自動的に行います。"),
        ("zh", "安装程序会自动配置网络，并且检测硬件设备的驱动程序是否可用。"),
        ("ru", "Программа установки определяет оборудование и загружает драйверы."),
        ("de", "Der Kernel wird mit den Treibern geladen, die nicht auf der Platte sind."),
        ("fr", "Le noyau est chargé par le programme et les pilotes sont dans une archive."),
        ("es", "El núcleo se carga con los controladores que están en la imagen del disco."),
        ("id", "Pasang sistem pada komputer ini dengan berkas yang tidak dapat diubah untuk anda."),
        ("cs", "Program se spustí na počítači a do paměti se nahraje jádro, které je v obrazu."),
        ("", "for (int i = 0; i < n; ++i) { sum += values[i] * weights[i]; }"),
        ("", "12 34"),
    ],
)
def test_what_a_text_is_written_in(language: str, text: str) -> None:
    assert language_of(text) == language
