"""A search of a library with a reranker: its order where there is one, else the order of before."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import pdfs
from support.rerank_server import RerankServer

from bookbrain.library import Library
from bookbrain.model import Hit, SearchResult
from bookbrain.search.evaluation import GoldenQuery
from bookbrain.settings import RerankSettings, Settings


def filler(page: int) -> str:
    """Lines that no other page has: pages that say the same would be one hit."""
    return "\n".join(
        f"Line {n} stands here: weasel{page}x{n} and badger{page}x{n} know of no swimmer."
        for n in range(20)
    )


PAGES = (
    *(f"The otter swims here, page {n}.\n{filler(n)}" for n in range(24)),
    f"{filler(24)}\nA late otter & <its> otter pup: otter otter.\n{filler(25)}",
    "Nothing of the kind.",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reranking")
    with Library(Settings(home=folder / "library")) as library:
        library.add([pdfs.book(folder / "otters.pdf", PAGES, title="Otters")])
    return folder / "library"


@pytest.fixture
def server() -> Iterator[RerankServer]:
    with RerankServer() as running:
        yield running


@pytest.fixture
def library(home: Path, server: RerankServer) -> Iterator[Library]:
    with Library(Settings(home=home, rerank=RerankSettings(server.url, seconds=10.0))) as opened:
        yield opened


def pages(result: SearchResult) -> list[int]:
    return [hit.page for hit in result.hits]


def plainly(hit: Hit) -> Hit:
    return replace(hit, rank=0)


def test_the_best_pages_come_in_its_order(
    home: Path, server: RerankServer, library: Library
) -> None:
    with Library(Settings(home=home)) as without:
        before = without.search("otter", k=25)
    assert len(before.hits) == 25
    after = library.search("otter", k=25)
    (asked,) = server.asked
    assert asked["query"] == "otter"
    assert len(asked["documents"]) == 20
    assert [hit.rank for hit in after.hits] == list(range(1, 26))
    counts = [asked["documents"][pages(before)[:20].index(page)].count("otter")
              for page in pages(after)[:20]]  # fmt: skip
    assert counts == sorted(counts, reverse=True)
    assert pages(after)[20:] == pages(before)[20:]
    assert sorted(map(plainly, after.hits), key=lambda hit: hit.page) == sorted(
        map(plainly, before.hits), key=lambda hit: hit.page
    )


def test_the_last_of_twenty_can_be_the_first_of_three(
    home: Path, server: RerankServer, library: Library
) -> None:
    with Library(Settings(home=home)) as without:
        before = pages(without.search("otter", k=20))
    scores = ", ".join(f'{{"index": {n}, "relevance_score": {n}}}' for n in range(20))
    server.wrong = f'{{"results": [{scores}]}}'.encode()
    assert pages(library.search("otter", k=3)) == before[:-4:-1]


def test_it_reads_what_stands_around_the_match(server: RerankServer, library: Library) -> None:
    library.search("late otter pup", k=1)
    (text,) = [text for text in server.asked[0]["documents"] if "otter otter" in text]
    assert "A late otter & <its> otter pup: otter otter." in text
    assert len(text) <= 2000 < len(filler(24)) * 2


@pytest.mark.parametrize("mode", ["keyword", "vector"])
def test_one_way_alone_is_not_reordered(server: RerankServer, library: Library, mode: str) -> None:
    library.search("otter", mode=mode)  # type: ignore[arg-type]
    library.similar("otters.pdf", 1)
    library.check_search()
    assert not server.asked


def test_where_it_fails_nothing_is_other_than_without_it(
    home: Path, server: RerankServer, library: Library
) -> None:
    with Library(Settings(home=home)) as without:
        before = without.search("otter")
    for status, answer in ((500, None), (200, b'{"results": []}')):
        server.status, server.wrong = status, answer
        assert replace(library.search("otter"), took_ms=0) == replace(before, took_ms=0)
    assert len(server.asked) == 2


def test_eval_measures_what_it_does(server: RerankServer, library: Library) -> None:
    golden = [GoldenQuery("1", "late otter pup", frozenset({("otters.pdf", 25)}))]
    count = 20
    scores = ", ".join(f'{{"index": {n}, "relevance_score": {-n}}}' for n in range(count))
    server.wrong = f'{{"results": [{scores}]}}'.encode()
    (best,) = library.evaluate(golden).ranks
    server.wrong = server.wrong.replace(b": -", b": ")
    (worst,) = library.evaluate(golden).ranks
    assert best == 1
    assert worst is None, "the first of twenty became the last"
