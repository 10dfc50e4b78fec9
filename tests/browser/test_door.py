"""The page behind Caddy, which asks for the password: who is removed is out, the others go on."""

from collections.abc import Iterator

import pytest
from browser.conftest import new_visitor, settle
from playwright.sync_api import Browser, Locator, Page, expect
from support.app import App
from support.caddy import CADDIES, PASSWORD, CaddySite, caddy_site


@pytest.fixture(scope="module", params=CADDIES)
def site(
    request: pytest.FixtureRequest, app: App, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CaddySite]:
    """In front of the app, for ann and bob."""
    program = CADDIES[request.param]
    if not program.exists():
        pytest.skip(f"no {program}: tests/run fetches it")
    with caddy_site(tmp_path_factory.mktemp("door"), str(program), app.port) as made:
        made.admin("users", "add", "bob", "--password-file", "-", given=f"{PASSWORD}\n")
        yield made


def open_page(browser: Browser, site: CaddySite, name: str) -> Page:
    page = new_visitor(
        browser, f"https://localhost:{site.https}", ignore_https_errors=True,
        http_credentials={"username": name, "password": PASSWORD},
    )  # fmt: skip
    page.goto("/")
    settle(page)
    return page


def box(page: Page) -> Locator:
    return page.get_by_role("searchbox")


def test_an_open_page_goes_on_when_somebody_else_is_removed(
    browser: Browser, site: CaddySite
) -> None:
    anns, bobs = open_page(browser, site, "ann"), open_page(browser, site, "bob")
    for page in (anns, bobs):
        box(page).fill("트랜잭션")
        expect(page.get_by_text("로그와 스냅샷").first).to_be_visible()
    site.admin("users", "remove", "bob")
    for page in (anns, bobs):
        box(page).fill("스냅샷")
    expect(anns.get_by_text("한 시점의 상태를 보존하고").first).to_be_visible()
    expect(bobs.get_by_role("alert")).to_contain_text("You are not signed in any more.")
    expect(bobs.get_by_text("한 시점의 상태를 보존하고")).to_have_count(0)
    assert f'"{anns.url.partition("?")[0]}?q=' in anns.request.get("/opensearch.xml").text()
    assert bobs.request.get("/api/books").status == 401
    assert anns.request.get("/api/books").status == 200
