"""What a person waits for in the browser, through Caddy with a password.

    PYTHONPATH=tests python tests/bench/web.py [--times 27] [--against CHECKOUT] [--searches 300]
    PYTHONPATH=tests python tests/bench/web.py --tabs 20 --minutes 10

Headless Chromium, `bookbrain serve` on twelve manuals of 5,000 pages that the stand-in for OpenAI
embedded, and a Caddy with BookBrain's own site in front of it. The times are taken in the page, at
each frame that it draws: what waits from outside looks again after half a second. With the checkout
of another version each serves a library of its own, and they are visited in turn. `--searches`
searches so often in one tab, `--tabs` in so many at once for some minutes; both say what the memory
of the server does meanwhile.
"""

import argparse
import itertools
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, sync_playwright
from support.app import serving
from support.caddy import CADDIES, PASSWORD, caddy_site
from support.debian_books import LIBRARY, fetch, needed
from support.openai_process import OpenAIProcess
from support.shelf import Shelf

ROOT = Path(__file__).parents[2]
MANUALS = (
    "pgfmanual.pdf", "source2e.pdf", "pgfplots.pdf", "hyperref.pdf", "nicematrix.pdf",
    "debian-reference.en.pdf", "circuitikzmanual.pdf", "babel.pdf", "install.ko.pdf",
    "lshort-ko.pdf", "install.en.pdf", "developers-reference.pdf",
)  # fmt: skip
HELD = 30  # turns of a key that is held down
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
_OPEN = f"""(which) => {{
  {_UNTIL}
  [...document.querySelectorAll(".hit a.open")].at(which).click();
  return until(() => {{
    const reader = document.getElementById("bookbrain-reader")?.contentDocument ?? document;
    const picture = reader.querySelector("#picture, .sheet img");
    const marked = reader.querySelector("#marks i, .sheet img");
    return picture && marked && picture.complete && picture.naturalWidth;
  }});
}}"""
# A page on by its button, as often as that; the page that is shown in the end, and when it was.
_TURN = f"""async ([times, pause]) => {{
  {_UNTIL}
  const reader = document.getElementById("bookbrain-reader")?.contentDocument ?? document;
  const picture = () => reader.querySelector("#picture, .sheet img");
  const place = () => reader.defaultView.bookbrain?.place;
  const number = () => Number(place() ? new URLSearchParams(place().split("?")[1]).get("page")
    : reader.querySelector(".stNumberInput input").value);
  const next = () => reader.querySelector("[aria-label^='Next page'], .st-key-after button")
    ?? [...reader.querySelectorAll("button")].find((one) => one.textContent.includes("Next page"));
  const begun = performance.now(), first = number(), before = picture().src;
  for (let turn = 0; turn < times; turn++) {{
    if (turn) await new Promise((done) => setTimeout(done, pause));
    next().click();
  }}
  let shown = first, since = performance.now();
  await until(() => {{
    if (number() !== shown) [shown, since] = [number(), performance.now()];
    const drawn = picture()?.src !== before && picture()?.complete && picture()?.naturalWidth;
    return (drawn && shown === first + times) || performance.now() - since > 5000;
  }});
  return [shown - first, performance.now() - begun - (times - 1) * pause];
}}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=len(QUERIES))
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--searches", type=int, default=0)
    parser.add_argument("--tabs", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    with needed():
        found = {path.name: path for package in LIBRARY for path in fetch(package)}
    books = [found[name] for name in MANUALS]
    checkouts = {"this": ROOT} | ({"other": options.against} if options.against else {})
    with ExitStack() as until_end:
        folder = Path(until_end.enter_context(TemporaryDirectory()))
        openai = until_end.enter_context(OpenAIProcess())
        playwright = until_end.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        until_end.callback(browser.close)
        apps, urls = {}, {}
        for name, checkout in checkouts.items():
            code = {"PYTHONPATH": str(checkout.resolve())}
            shelf = until_end.enter_context(Shelf(folder / name, openai))
            shelf.finish(shelf.start("add", *books, **code))
            apps[name] = until_end.enter_context(serving(shelf, **code))
            urls[name] = until_end.enter_context(
                _published(folder / f"{name}.caddy", apps[name].port)
            )
        if options.tabs:
            show_tabs(browser, urls["this"], apps["this"].process.pid, options)
            return 0
        show(browser, urls, options.times)
        if options.searches:
            for name, app in apps.items():
                show_memory(browser, name, urls[name], app.process.pid, options.searches)
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
        **opened(page, query),
    }


def opened(page: Page, query: str) -> dict[str, float]:
    """A hit that nobody has seen yet, one that was in view for a second, and pages turned there."""
    out_of_view = float(page.evaluate(_OPEN, -1))
    load(page)
    find(page, query)
    page.wait_for_timeout(1000)
    in_view = float(page.evaluate(_OPEN, 0))
    page.wait_for_timeout(1000)
    _, turned = page.evaluate(_TURN, [1, 0])
    page.wait_for_timeout(1000)
    pages, held = page.evaluate(_TURN, [HELD, 30])
    return {
        "hit in view to page": in_view,
        "other hit to page": out_of_view,
        "page turn": turned,
        "pages of 30 turns": pages,
        "last of 30 turns": held,
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


def show_tabs(browser: Browser, url: str, pid: int, options: argparse.Namespace) -> None:
    """So many tabs search and open pages in turn; memory by the minute, and what went wrong."""
    sizes, taken, wrong = [], [], []
    with ExitStack() as until_end:
        tabs = [until_end.enter_context(visitor(browser, url)) for _ in range(options.tabs)]
        for tab in tabs:
            tab.on("console", lambda said: said.type == "error" and wrong.append(said.text))
            tab.on("pageerror", lambda error: wrong.append(str(error)))
            load(tab)
        begun = time.monotonic()
        for turn in itertools.count():
            if (time.monotonic() - begun) / 60 >= len(sizes):
                sizes.append(_resident(pid))
            if time.monotonic() - begun > 60 * options.minutes:
                break
            tab = tabs[turn % len(tabs)]
            taken.append(find(tab, f"{QUERIES[turn % len(QUERIES)]} {turn % 97}"))
            tab.evaluate(_OPEN, 0)
            tab.goto("/", wait_until="commit")
            tab.wait_for_function("window.usable")
    print(f"memory by the minute: {', '.join(f'{size:.0f}' for size in sizes)} MB")
    print(f"{len(taken)} searches in {len(tabs)} tabs: median {statistics.median(taken):.0f} ms, "
          f"p95 {sorted(taken)[int(0.95 * (len(taken) - 1))]:.0f} ms")  # fmt: skip
    print(f"errors: {len(wrong)} {wrong[:3]}")


def _resident(pid: int) -> float:
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return int(fields["VmRSS"].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
