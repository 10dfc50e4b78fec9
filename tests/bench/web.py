"""What a person waits for in the browser: medians, through Caddy with a password.

    PYTHONPATH=tests python tests/bench/web.py [--times 9]

Headless Chromium, `bookbrain serve` on five Debian books that the stand-in for OpenAI embedded, and
a Caddy with BookBrain's own site in front of it.
"""

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright
from support.app import serving
from support.caddy import CADDIES, PASSWORD, caddy_site
from support.debian_books import NoBooks, fetch
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

QUERIES = (
    "partition", "네트워크 설정", "preseed file", "boot loader", "커널 모듈", "package signature",
    "encrypted volumes", "로그", "wireless firmware",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=len(QUERIES))
    options = parser.parse_args()
    caddy = next((str(path) for path in CADDIES.values() if path.exists()), None)
    try:
        guides = {path.name: path for path in fetch("installation-guide-amd64")}
        books = [guides["install.en.pdf"], guides["install.ko.pdf"], guides["install.de.pdf"]]
        books += [*fetch("developers-reference")[:1], *fetch("debian-reference-en")[:1]]
    except NoBooks as reason:
        print(f"No books to measure with: {reason}", file=sys.stderr)
        return 69
    with (
        TemporaryDirectory() as folder,
        OpenAIProcess() as openai,
        Shelf(Path(folder) / "library", openai) as shelf,
        sync_playwright() as playwright,
    ):
        shelf.add(*books)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        with serving(shelf) as app:
            if not caddy:
                print("Without Caddy: tests/run fetches it.")
                show(browser, f"http://127.0.0.1:{app.port}", options.times)
                return 0
            with caddy_site(Path(folder) / "caddy", caddy, app.port) as site:
                show(browser, f"https://localhost:{site.https}", options.times)
        browser.close()
    return 0


def show(browser: Browser, url: str, times: int) -> None:
    """A line for each thing that is waited for."""
    taken: dict[str, list[float]] = {}
    for turn in range(times):
        context = browser.new_context(
            base_url=url, ignore_https_errors=True, locale="en-US",
            http_credentials={"username": "ann", "password": PASSWORD},
        )  # fmt: skip
        page = context.new_page()
        for name, work in (
            ("first load to usable", load),
            ("typing to new hits", find(QUERIES[turn % len(QUERIES)])),
            ("hit to marked page", open_first),
        ):
            started = time.perf_counter()
            work(page)
            taken.setdefault(name, []).append(time.perf_counter() - started)
        context.close()
    for name, seconds in taken.items():
        median, worst = statistics.median(seconds), max(seconds)
        print(f"{name:22} median {median:.2f} s, worst {worst:.2f} s of {len(seconds)}")


def load(page: Page) -> None:
    page.goto("/", wait_until="commit")
    page.get_by_role("searchbox").wait_for()


def find(query: str) -> Callable[[Page], None]:
    def work(page: Page) -> None:
        page.get_by_role("searchbox").fill(query)
        page.locator(f'.hits[data-query="{quote(query)}"] .hit').first.wait_for()

    return work


def open_first(page: Page) -> None:
    page.locator(".hit a.open").first.click()
    page.wait_for_function(
        "document.querySelector('.sheet img')?.complete"
        " && document.querySelector('.sheet img').naturalWidth > 0"
    )


if __name__ == "__main__":
    sys.exit(main())
