"""Many searches and many visitors at once: no error, and no memory that is lost.

Forty searches and ten visitors; as many searches as BOOKBRAIN_SEARCHES says in a long run, of
which a quarter are visitors.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from support import pdfs
from support.app import App, serving
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

from .conftest import new_visitor

pytestmark = pytest.mark.timeout(900)

SEARCHES = int(os.environ.get("BOOKBRAIN_SEARCHES", "40"))
VISITORS = SEARCHES // 4
WORDS = (
    *("lock", "queue", "cache", "snapshot", "retry", "buffer"),
    *("스냅샷", "인덱스", "비동기", "로그"),
)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app on a library of five books."""
    folder = tmp_path_factory.mktemp("busy")
    books = [
        pdfs.long_book(folder / f"{seed}.pdf", 40, seed=seed, language="mixed")
        for seed in range(1, 6)
    ]
    with OpenAIProcess() as openai, Shelf(folder / "library", openai) as shelf:
        shelf.add(*books)
        with serving(shelf) as started:
            yield started


def memory(app: App) -> int:
    """kB of memory that the app holds for itself."""
    text = Path(f"/proc/{app.process.pid}/smaps_rollup").read_text()
    found = re.search(r"^Private_Dirty:\s+(\d+) kB$", text, re.MULTILINE)
    assert found
    return int(found[1])


def visit(browser: Browser, app: App) -> Page:
    page = new_visitor(browser, app)
    page.goto("/")
    return page


def search(page: Page, query: str) -> None:
    page.get_by_role("searchbox").fill(query)
    page.locator(f'.hits[data-query="{query}"] .hit').first.wait_for()


def use(browser: Browser, app: App, searches: int) -> None:
    """One who searches so many times in a row, and then many at once."""
    page = visit(browser, app)
    for turn in range(searches):
        search(page, f"{WORDS[turn % len(WORDS)]} {turn}")
    page.context.close()
    pages = [visit(browser, app) for _ in range(VISITORS)]
    for number, page in enumerate(pages):
        page.get_by_role("searchbox").fill(f"{WORDS[number % len(WORDS)]} visitor")
    for number, page in enumerate(pages):
        search(page, f"{WORDS[number % len(WORDS)]} visitor")
        page.context.close()


def test_memory_comes_back(browser: Browser, busy: App) -> None:
    use(browser, busy, 20)
    settled = memory(busy)
    use(browser, busy, SEARCHES)
    deadline = time.monotonic() + 180
    while (now := memory(busy)) > settled * 1.1 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert now <= settled * 1.1, f"{settled} kB, then {now} kB"
    assert busy.health() == "ok"
