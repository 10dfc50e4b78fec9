"""What a person waits for in the browser: medians, through Caddy with a password.

    PYTHONPATH=tests python tests/bench/web.py [--times 9] [--against CHECKOUT] [--turns 300]

Headless Chromium, `bookbrain serve` on five Debian books that the stand-in for OpenAI embedded, and
a Caddy with BookBrain's own site in front of it. The times are taken in the page, at each frame
that it draws: what waits from outside looks again after half a second. With the checkout of another
version both serve at once and are visited in turn. `--turns` searches so often in one tab, and says
what the memory of the server does meanwhile.
"""

import argparse
import shutil
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, sync_playwright
from support.app import serving
from support.caddy import CADDIES, PASSWORD, caddy_site
from support.debian_books import fetch, needed
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

QUERIES = (
    "partition", "네트워크 설정", "preseed file", "boot loader", "커널 모듈", "package signature",
    "encrypted volumes", "로그", "wireless firmware",
)  # fmt: skip


# The page's own clock, from the navigation on, when the search box is there.
_USABLE = """
addEventListener("DOMContentLoaded", () => {
  const look = () => {
    const box = document.querySelector(".stTextInput input, #box");
    // A box of plain HTML is there before its script is: that has run when it has a name.
    if (box?.getAttribute("aria-label")) window.usable = performance.now();
    else requestAnimationFrame(look);
  };
  look();
});
"""
_UNTIL = """
const until = (there) => new Promise((resolve) => {
  const begun = performance.now();
  const look = () => there() ? resolve(performance.now() - begun) : requestAnimationFrame(look);
  look();
});
"""
_FIND = f"""(query) => {{
  {_UNTIL}
  const box = document.querySelector(".stTextInput input, #box");
  const setter = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  box.focus();
  setter.call(box, query);
  box.dispatchEvent(new Event("input", {{bubbles: true}}));
  return until(() => {{
    const shown = document.querySelector(".hits:has(.hit)")?.dataset.query ?? "";
    return [shown, decodeURIComponent(shown)].includes(query);
  }});
}}"""
_OPEN = f"""() => {{
  {_UNTIL}
  document.querySelector(".hit a.open").click();
  return until(() => {{
    const reader = document.getElementById("bookbrain-reader")?.contentDocument ?? document;
    const picture = reader.querySelector("#picture, .sheet img");
    const marked = reader.querySelector("#marks i, .sheet img");
    return picture && marked && picture.complete && picture.naturalWidth;
  }});
}}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=len(QUERIES))
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--turns", type=int, default=0)
    options = parser.parse_args()
    with needed():
        guides = {path.name: path for path in fetch("installation-guide-amd64")}
        books = [guides["install.en.pdf"], guides["install.ko.pdf"], guides["install.de.pdf"]]
        books += [*fetch("developers-reference")[:1], *fetch("debian-reference-en")[:1]]
    with ExitStack() as until_end:
        folder = Path(until_end.enter_context(TemporaryDirectory()))
        openai = until_end.enter_context(OpenAIProcess())
        shelf = until_end.enter_context(Shelf(folder / "library", openai))
        shelf.add(*books)
        playwright = until_end.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        until_end.callback(browser.close)
        apps = {"this": until_end.enter_context(serving(shelf))}
        if options.against:
            apps["other"] = until_end.enter_context(
                serving(shelf, PYTHONPATH=str(options.against.resolve()))
            )
        urls = {
            name: until_end.enter_context(_published(folder / name, app.port))
            for name, app in apps.items()
        }
        show(browser, urls, options.times)
        if options.turns:
            for name, app in apps.items():
                show_memory(browser, name, urls[name], app.process.pid, options.turns)
    return 0


@contextmanager
def _published(folder: Path, port: int) -> Iterator[str]:
    """The address of the app at `port` behind Caddy, where there is one."""
    caddy = next((str(path) for path in CADDIES.values() if path.exists()), None)
    if not caddy:
        print("Without Caddy: tests/run fetches it.")
        yield f"http://127.0.0.1:{port}"
        return
    with caddy_site(folder, caddy, port) as site:
        yield f"https://localhost:{site.https}"


def show(browser: Browser, urls: dict[str, str], times: int) -> None:
    """A line for each thing that is waited for, and how many times as long the other takes; ms."""
    taken: dict[str, dict[str, list[float]]] = {}
    for turn in range(times):
        for version, url in urls.items():
            with visitor(browser, url) as page:
                for name, milliseconds in visit(page, QUERIES[turn % len(QUERIES)]).items():
                    taken.setdefault(name, {}).setdefault(version, []).append(milliseconds)
    for name, versions in taken.items():
        medians = {version: statistics.median(seen) for version, seen in versions.items()}
        for version, seen in versions.items():
            print(
                f"{name:22} {version:5} median {medians[version]:5.0f}, "
                f"p95 {sorted(seen)[int(0.95 * (len(seen) - 1))]:5.0f}, "
                f"worst {max(seen):5.0f} of {len(seen)}"
            )
        if "other" in medians:
            print(f"{name:22} other / this {medians['other'] / medians['this']:.2f}")


@contextmanager
def visitor(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(
        base_url=url, ignore_https_errors=True, locale="en-US",
        http_credentials={"username": "ann", "password": PASSWORD},
    )  # fmt: skip
    context.add_init_script(_USABLE)
    yield context.new_page()
    context.close()


def visit(page: Page, query: str) -> dict[str, float]:
    """Milliseconds by what was waited for, and the kB of the first load."""
    loaded = [0.0]
    network = page.context.new_cdp_session(page)
    network.on("Network.loadingFinished", lambda one: loaded.append(one["encodedDataLength"]))
    network.send("Network.enable")
    cold = load(page)
    page.wait_for_load_state("networkidle")
    sent = sum(loaded) / 1000
    return {
        "first load to usable": cold,
        "first load, kB": sent,
        "second load to usable": load(page),
        "typing to new hits": find(page, query),
        "hit to marked page": float(page.evaluate(_OPEN)),
    }


def load(page: Page) -> float:
    page.goto("/", wait_until="commit")
    return float(page.wait_for_function("window.usable", timeout=60_000).json_value())


def find(page: Page, query: str) -> float:
    return float(page.evaluate(_FIND, query))


def show_memory(browser: Browser, name: str, url: str, pid: int, turns: int) -> None:
    """The server's resident memory after each tenth of `turns` searches in one tab."""
    sizes, taken = [], []
    with visitor(browser, url) as page:
        page.goto("/")
        page.wait_for_function("window.usable", timeout=60_000)
        for turn in range(turns):
            taken.append(find(page, f"{QUERIES[turn % len(QUERIES)]} {turn % 7}"))
            if turn % max(turns // 10, 1) == 0:
                sizes.append(_resident(pid))
    print(f"memory of {name}: {', '.join(f'{size:.0f}' for size in sizes)} MB")
    print(f"typing to new hits in one tab, {name}: median {statistics.median(taken):.0f} ms")


def _resident(pid: int) -> float:
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return int(fields["VmRSS"].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
