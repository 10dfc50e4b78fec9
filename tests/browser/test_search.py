"""Searching, as a person does it."""

from playwright.sync_api import Page, expect


def test_typing_finds(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Search your books").fill("스냅샷")
    expect(page.locator("article.hit").first).to_contain_text("로그와 스냅샷")
    expect(page).to_have_url("/?q=%EC%8A%A4%EB%83%85%EC%83%B7")
