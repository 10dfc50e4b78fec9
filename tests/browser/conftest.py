"""Chromium on a real `bookbrain serve`."""

import shutil
from collections.abc import Generator, Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, Request, expect, sync_playwright
from support import pdfs
from support.app import App, serving
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

from bookbrain.paths import Layout
from bookbrain.reports import Day, Use, keep_use

SCREENSHOTS = Path(__file__).with_name("screenshots")
LONG = 60_000.0  # milliseconds for what happens at once on a machine that is not busy

expect.set_options(timeout=LONG)

# When an address of the machine comes or goes, as while test hosts start, Chromium gives up what it
# is loading, also from the machine itself, and a page may stay empty.
_NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
_given_up: list[str] = []


class NetworkChangedError(Exception):
    """A test failed in which Chromium gave something up for that: it is run again."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """A browser and an app for each test at once would be too much for two cores."""
    item.add_marker(pytest.mark.slow)
    item.add_marker(pytest.mark.xdist_group("browser"))
    item.add_marker(pytest.mark.flaky(reruns=3, only_rerun=NetworkChangedError.__name__))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    _given_up.clear()
    try:
        yield
    except (AssertionError, Error) as error:
        if _given_up:
            raise NetworkChangedError(*_given_up) from error
        raise


def _note(request: Request) -> None:
    if request.failure == _NETWORK_CHANGED:
        _given_up.append(request.url)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the pages of a failed test show and have complained of is told with it."""
    report = yield
    opened = getattr(item, "funcargs", {}).get("browser") if report.failed else None
    for page in (page for context in opened.contexts for page in context.pages) if opened else ():
        with suppress(Error):
            said = [message.text for message in page.console_messages()]
            shown = page.locator("body").inner_text(timeout=1000)
            report.sections.append((page.url, "\n".join([shown, *said, *page.page_errors()])))
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip("no chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app on a library with a Korean and an English book, embedded by the stand-in."""
    folder = tmp_path_factory.mktemp("site")
    layout = Layout(folder)
    for needed in (layout.home.parent, layout.logs):
        needed.mkdir(parents=True)
    keep_use(layout.logs, last_days())
    with OpenAIProcess() as openai, Shelf(layout.home, openai) as shelf:
        shelf.add(*shelf_books(folder))
        with serving(shelf) as started:
            yield started


def last_days() -> list[Day]:
    """A month in which the endpoint was away for a while, and nobody searched on Sundays."""
    days = [date(2026, 3, 1) + timedelta(days=n) for n in range(31)]
    counts = [0 if day.weekday() == 6 else 40 + 37 * day.day % 90 for day in days]
    return [
        (
            day,
            Use(
                count, count // 3 if 10 < day.day < 14 else 0, p50=4.0 if count else None,
                p95=20.0 + count if count else None, tokens=120 * count,
            ),
        )
        for day, count in zip(days, counts, strict=True)
    ]  # fmt: skip


def shelf_books(folder: Path) -> list[Path]:
    """The books of `app`."""
    korean = (
        "비동기 처리\n트랜잭션 로그는 비동기 처리로 기록한다. 실패하면 다시 시도한다.",
        "스냅샷\n스냅샷은 한 시점의 상태를 보존하고, 복구할 때 로그보다 먼저 읽는다.",
    )
    return [
        pdfs.book(folder / "log.pdf", korean, title="로그와 스냅샷"),
        pdfs.long_book(folder / "manual.pdf", 12, seed=7, language="mixed"),
    ]


def new_visitor(browser: Browser, app: App | str, locale: str = "en-US", **options: Any) -> Page:
    """A page of somebody who was never there; `goto("/")` is the app, or the site at an address."""
    base_url = app if isinstance(app, str) else f"http://127.0.0.1:{app.port}"
    context = browser.new_context(base_url=base_url, locale=locale, **options)
    context.set_default_timeout(LONG)
    context.on("requestfailed", _note)
    return context.new_page()


@pytest.fixture(autouse=True)
def visitors_leave(browser: Browser) -> Iterator[None]:
    """Who came in a test goes with it, also when it failed: the next has the machine for itself."""
    there = set(browser.contexts)
    yield
    for context in set(browser.contexts) - there:
        context.close()


@pytest.fixture
def page(browser: Browser, app: App) -> Page:
    """A fresh visitor, whose browser speaks English."""
    return new_visitor(browser, app)


def settle(page: Page) -> None:
    """Until the page has drawn all that it is going to."""
    page.wait_for_load_state()
    if page.locator("body[data-texts]").count():  # is no page of Streamlit's
        expect(page.locator("#list > *")).not_to_have_count(0)
        page.wait_for_load_state("networkidle")
        return
    running = page.get_by_test_id("stApp")
    expect(running).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
