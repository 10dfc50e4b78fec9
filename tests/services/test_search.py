"""What `bookbrain search` and `eval` answer, to sensible queries and to others."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from support import pdfs
from support.chroma_server import ChromaServer
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

pytestmark = pytest.mark.xdist_group("search")  # one library for all of them

LABELS = ("i", "ii", "1", "2", "3", "4")
PAGES = (
    "Preface\nWho may read this.",
    "Thanks\nThe walrus thanked everyone & <everything>.",
    "The event loop\nAn event loop runs callbacks until nothing waits any more.",
    "Cancelling\nTo cancel a future call Future.cancel(true); the loop forgets it.\nred herring",
    "비동기 처리\n트랜잭션 로그는 비동기 처리로 기록한다.",
    "Cancelling again\nThe loop was cancelled by the red button.",
)
OUTLINE = [(0, "Front", 0), (0, "Event loops", 2), (1, "How to cancel", 3), (0, "한국어", 4)]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("books")
    return {
        "loops.pdf": pdfs.book(
            folder / "loops.pdf", PAGES, title="Loops *and* Futures", outline=OUTLINE, labels=LABELS
        ),
        "long.pdf": pdfs.long_book(folder / "long.pdf", 12, seed=5, language="en"),
    }


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory,
    _stand_in: OpenAIProcess,
    chroma: ChromaServer,
    books: dict[str, Path],
) -> Iterator[Shelf]:
    """Two books by both legs; no test changes it."""
    home = tmp_path_factory.mktemp("shelf") / "library"
    with Shelf(home, _stand_in, CHROMA_URL=chroma.url) as shelf:
        shelf.add(*books.values())
        yield shelf


def words_of(path: Path, page: int) -> str:
    """What pdfium itself reads on a physical page, from 1."""
    document = pypdfium2.PdfDocument(path)
    text = str(document[page - 1].get_textpage().get_text_range())
    document.close()
    return text


@pytest.mark.slow
def test_the_contract(library: Shelf) -> None:
    answer = library.search("cancel a future", "-k", "3")
    assert list(answer) == ["query", "mode", "degraded", "took_ms", "hits", "read_as"]
    assert answer["query"] == "cancel a future"
    assert (answer["mode"], answer["degraded"]) == ("hybrid", None)
    assert len(answer["hits"]) == 3
    for rank, hit in enumerate(answer["hits"], start=1):
        assert list(hit) == [
            "rank", "score", "book_id", "title", "file", "page", "page_label", "chapter",
            "snippet", "text", "why", "duplicates", "recognised", "edition",
        ]  # fmt: skip
        assert hit["rank"] == rank
        assert list(hit["why"]) == ["keyword", "vector"]
        assert any(hit["why"].values())
        for leg in filter(None, hit["why"].values()):
            assert list(leg) == ["rank", "score"]
    first = answer["hits"][0]
    assert (first["file"], first["page"], first["page_label"]) == ("loops.pdf", 4, "2")
    assert first["chapter"] == "How to cancel"
    assert "<mark>cancel</mark>" in first["snippet"].lower()
    assert "Future.cancel(true)" in first["text"]
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["keyword", "vector"])
def test_one_leg(mode: str, library: Shelf) -> None:
    answer = library.search("event loop callbacks", "--mode", mode)
    assert answer["mode"] == mode
    assert answer["hits"][0]["page"] == 3
    other = {"keyword": "vector", "vector": "keyword"}[mode]
    assert all(hit["why"][mode] and not hit["why"][other] for hit in answer["hits"])


@pytest.mark.slow
def test_the_page_is_where_the_match_is(library: Shelf, books: dict[str, Path]) -> None:
    for page in (1, 6, 12):
        probe = pdfs.probe(5, page - 1)
        hit = library.search(probe, "-k", "1", "--mode", "keyword")["hits"][0]
        assert (hit["file"], hit["page"]) == ("long.pdf", page)
        assert probe in words_of(books["long.pdf"], page)
        assert f"<mark>{probe}</mark>" in hit["snippet"]


@pytest.mark.slow
def test_korean(library: Shelf) -> None:
    hit = library.search("비동기로 기록한 트랜잭션")["hits"][0]
    assert (hit["page"], hit["page_label"], hit["chapter"]) == (5, "3", "한국어")
    assert "<mark>" in hit["snippet"]


@pytest.mark.slow
def test_phrases_exclusions_and_books(library: Shelf) -> None:
    def pages(query: str, *options: str) -> set[tuple[str, int]]:
        hits = library.search(query, "--mode", "keyword", "-k", "50", *options)["hits"]
        return {(hit["file"], hit["page"]) for hit in hits}

    assert pages('"red button"') == {("loops.pdf", 6)}
    assert pages("red") == {("loops.pdf", 4), ("loops.pdf", 6)}
    assert pages("red -herring") == {("loops.pdf", 6)}
    assert pages('red -"red button"') == {("loops.pdf", 4)}
    assert {file for file, _ in pages("lock the loop", "--book", "long.pdf")} == {"long.pdf"}
    (book,) = (b for b in library.books() if b["file"] == "loops.pdf")
    assert {file for file, _ in pages("the", "--book", book["id"][:8])} == {"loops.pdf"}
    error = library.run("search", "loop", "--book", "nowhere.pdf", code=65).err
    assert "There is no book 'nowhere.pdf'." in error


@pytest.mark.slow
def test_on_the_screen_and_as_markdown(library: Shelf) -> None:
    screen = library.run("search", "walrus", "--mode", "keyword").out
    assert "p. ii (page 2 of the file)" in screen
    assert "Loops *and* Futures" in screen
    assert "& <everything>" in screen
    citation = library.run("search", "walrus", "--markdown", "--mode", "keyword").out
    assert citation.startswith("> ")
    assert "\\<everything\\>" in citation
    assert citation.endswith("— *Loops \\*and\\* Futures*, “Front”, p. ii\n")
    assert "No page has that." in library.run("search", "--mode", "keyword", "xyzzy").out
    both = library.run("search", "x", "--json", "--markdown", code=2)
    assert "Choose one of --json and --markdown." in both.err


ODD = (
    "x", "가", ".", "?!", "…—·", "the of and", "은는이가", '"', '"unbalanced loop', 'loop"', '""',
    '"" -""', "-loop", '-"red button" -loop', "- -", "\x01\x1b[31m\x7f", "loop\x1b[2J\x08\r\n",
    "👩‍💻🇰🇷", "loop 👍🏽", "\u202eloop", "\u0300", "(((((*", "NEAR(loop, 3) OR *",
    "'; DROP TABLE book;",
    "\udcff\udcfe", "loop " * 2000, "가" * 10_000, '"a" ' * 2500, "-x " * 3000,
)  # fmt: skip


def _assert_answered(library: Shelf, query: str, *options: str) -> None:
    done = library.run("search", "--json", *options, "--", query, code=None)
    if done.code == 0:
        answer: dict[str, Any] = done.json()
        assert answer["degraded"] is None
        for hit in answer["hits"]:
            assert "\x1b" not in hit["snippet"]
    else:
        assert done.code == 65, (query[:50], done)
        assert done.out == ""
        error, hint = done.err.splitlines()
        assert error.startswith("Error: ")
        assert hint.startswith("Next:  ")
    assert "\x1b" not in done.err


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["hybrid", "keyword"])
def test_odd_queries_get_an_answer_or_a_clear_line(mode: str, library: Shelf) -> None:
    for query in ODD:
        _assert_answered(library, query, "--mode", mode)


@pytest.mark.slow
def test_eval(library: Shelf, tmp_path: Path) -> None:
    golden = tmp_path / "golden.jsonl"
    lines = [
        {"id": "a", "query": "cancel a future", "book": "loops.pdf", "pages": [4]},
        {"id": "b", "query": pdfs.probe(5, 7), "book": "long.pdf", "pages": [8]},
        {"id": "c", "query": "walrus", "book": "long.pdf", "pages": [1],
         "also": [{"book": "loops.pdf", "pages": [2, 3]}]},
        {"id": "d", "query": "xyzzy", "book": "loops.pdf", "pages": [1]},
    ]  # fmt: skip
    golden.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    result = library.run("eval", golden, "--mode", "keyword", "--json").json()
    assert list(result) == ["n", "hit@1", "hit@5", "mrr@10", "p50_ms", "p95_ms", "queries"]
    assert result["n"] == 4
    assert result["queries"] == [
        {"id": "a", "rank": 1}, {"id": "b", "rank": 1}, {"id": "c", "rank": 1},
        {"id": "d", "rank": None},
    ]  # fmt: skip
    for name in ("hit@1", "hit@5", "mrr@10"):
        assert result[name]["value"] == 0.75
        low, high = result[name]["ci95"]
        assert low < 0.75 < high <= 1
    golden.write_text('{"id": "a"}\n')
    error = library.run("eval", golden, code=65).err
    assert f"{golden}, line 1 is not a golden query" in error
    assert "cannot be read" in library.run("eval", tmp_path / "none", code=65).err
