"""Pages of other sites, in a real Chromium: they read and change nothing."""

import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support import pdfs
from support.app import App, serving
from support.openai_process import OpenAIProcess
from support.shelf import Shelf
from support.stand_in import StandIn

from .conftest import new_visitor, settle

REBOUND = "evil.example"
WORDS = "walrus unheard-of"

# What a page tries with the app at `base`: what it could read, by what it tried. "" is nothing.
_TRIES = """async ([base, book, query]) => {
  const read = async (path, options) => {
    try {
      const answer = await fetch(base + path, {credentials: "include", ...options});
      return answer.ok ? await answer.text() : "";
    } catch { return ""; }
  };
  const loads = (tag, path) => new Promise((resolve) => {
    const element = document.createElement(tag);
    element.onload = () => resolve("loaded");
    element.onerror = () => resolve("");
    element[tag === "link" ? "href" : "src"] = base + path;
    if (tag === "link") element.rel = "stylesheet";
    document.body.append(element);
  });
  const opens = (path) => new Promise((resolve) => {
    const socket = new WebSocket(base.replace("http", "ws") + path, ["streamlit"]);
    socket.onopen = () => resolve("opened");
    socket.onerror = () => resolve("");
  });
  const form = new FormData();
  form.append("file", new Blob(["%PDF-1.4"]), "evil.pdf");
  const upload = "/_stcore/upload_file/session/file";
  const found = {
    page: await read("/books"),
    books: await read("/api/books"),
    search: await read("/api/search?q=" + query),
    citations: await read("/api/search.md?q=" + query),
    picture: await read(`/page/${book}/1.png`),
    pdf: await read(`/book/${book}.pdf`),
    health: await read("/healthz"),
    settings: await read("/_stcore/host-config"),
    simple: await read("/api/books", {mode: "no-cors"}),
    put: await read(upload, {method: "PUT", body: form}),
    post: await read(upload, {method: "POST", body: form, mode: "no-cors"}),
    delete: await read(upload, {method: "DELETE"}),
    socket: await opens("/_stcore/stream"),
    image: await loads("img", `/page/${book}/1.png`),
    script: await loads("script", "/_stcore/host-config"),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value));
}"""


@pytest.fixture(scope="module")
def openai() -> Iterator[OpenAIProcess]:
    with OpenAIProcess() as process:
        yield process


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, openai: OpenAIProcess) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("origin")
    with Shelf(folder / "library", openai) as made:
        made.add(pdfs.book(folder / "secret.pdf", [f"The {WORDS}."], title="Secret"))
        yield made


@pytest.fixture(scope="module")
def app(shelf: Shelf) -> Iterator[App]:
    with serving(shelf) as started:
        yield started


@pytest.fixture(scope="module")
def book(app: App) -> str:
    """The id of the only book."""
    return str(json.loads(app.get("/api/books")[1])[0]["id"])


@pytest.fixture(scope="module")
def rebound(browser: Browser) -> Iterator[Browser]:
    """A Chromium that is told that the name of another site leads to this machine."""
    launched = browser.browser_type.launch(
        executable_path=shutil.which("chromium"),
        args=[
            "--no-sandbox", "--disable-dev-shm-usage",
            f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
        ],
    )  # fmt: skip
    yield launched
    launched.close()


def _other_site() -> StandIn:
    """Another site: any page, empty."""
    return StandIn(lambda path: (200, b"<!doctype html><title>other</title><body></body>"))


@pytest.fixture(scope="module")
def other() -> Iterator[int]:
    """The port of another site on this machine."""
    with _other_site() as site:
        yield site.server_port


@pytest.fixture
def visitor(rebound: Browser) -> Iterator[Page]:
    page = new_visitor(rebound, f"http://{REBOUND}")
    yield page
    page.context.close()


class Answers:
    """What the app at `port` answered a visitor, also what the browser kept from the page."""

    def __init__(self, page: Page, port: int) -> None:
        self._page, self._port = page, port
        self._asked: dict[str, str] = {}
        self._answered: list[tuple[str, int]] = []
        network = page.context.new_cdp_session(page)
        network.on("Network.requestWillBeSent", self._note_request)
        network.on("Network.responseReceivedExtraInfo", self._note_answer)
        network.send("Network.enable")

    def _note_request(self, event: dict[str, Any]) -> None:
        self._asked[event["requestId"]] = event["request"]["url"]

    def _note_answer(self, event: dict[str, Any]) -> None:
        self._answered.append((event["requestId"], event["statusCode"]))

    def forget(self) -> None:
        self._answered.clear()

    def statuses(self) -> dict[str, set[int]]:
        """By path; the browser tells of requests and answers in any order."""
        self._page.wait_for_timeout(500)
        seen: dict[str, set[int]] = {}
        for request, status in self._answered:
            place, _, path = self._asked.get(request, "").partition("://")[2].partition("/")
            if place.endswith(f":{self._port}"):
                seen.setdefault(path.partition("?")[0], set()).add(status)
        return seen


@pytest.fixture
def answers(visitor: Page, app: App) -> Answers:
    return Answers(visitor, app.port)


def _tries(page: Page, base: str, book: str) -> dict[str, Any]:
    """Its queries are new each time: what was bought once is not bought again."""
    return dict(page.evaluate(_TRIES, [base, book, f"walrus {secrets.token_hex(8)}"]))


def _books(app: App) -> list[str]:
    return [book["file"] for book in json.loads(app.get("/api/books")[1])]


def test_a_rebound_name_shows_nothing_and_gets_no_cookie(visitor: Page, app: App) -> None:
    for path in ("/", "/books", "/system", "/read", "/?q=walrus", "/api/books", "/healthz"):
        answer = visitor.goto(f"http://{REBOUND}:{app.port}{path}")
        assert answer
        assert answer.status == 421
        assert "set-cookie" not in answer.headers
        assert "Secret" not in visitor.content()
    expect(visitor.locator("body")).to_contain_text("BOOKBRAIN_ALLOWED_HOSTS")
    assert visitor.context.cookies() == []


def test_a_page_that_was_there_before_its_name_was_rebound(
    visitor: Page, shelf: Shelf, book: str, openai: OpenAIProcess
) -> None:
    with _other_site() as site:
        port = site.server_port
        visitor.goto(f"http://{REBOUND}:{port}/")
    with serving(shelf, port=port) as app:
        answers = Answers(visitor, port)
        bought = len(openai.requests)
        assert _tries(visitor, f"http://{REBOUND}:{port}", book) == {}
        assert set().union(*answers.statuses().values()) == {421}
        answers.forget()
        for own in ("localhost", "127.0.0.1"):
            assert _tries(visitor, f"http://{own}:{port}", book) == {}
        assert set().union(*answers.statuses().values()) == {403}
        assert len(openai.requests) == bought
        assert _books(app) == ["secret.pdf"]
        assert visitor.context.cookies() == []


@pytest.mark.parametrize("site", ["localhost", "127.0.0.1", REBOUND])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_page_of_another_site(
    visitor: Page, app: App, book: str, other: int, openai: OpenAIProcess,
    answers: Answers, site: str, name: str,
) -> None:  # fmt: skip
    """Another program of this machine is another site, too."""
    base = f"http://{name}:{app.port}"
    visitor.goto(f"{base}/")  # who has been there has its cookies
    settle(visitor)
    answers.forget()
    visitor.goto(f"http://{site}:{other}/")
    answers.forget()
    bought = len(openai.requests)
    assert _tries(visitor, base, book) == {}
    statuses = answers.statuses()
    assert set().union(*statuses.values()) == {403}
    assert {"api/search", f"book/{book}.pdf", "_stcore/upload_file/session/file"} <= statuses.keys()
    assert len(openai.requests) == bought
    assert _books(app) == ["secret.pdf"]


@pytest.mark.parametrize("tag", ["iframe", "embed", "object"])
def test_nothing_is_framed(visitor: Page, app: App, book: str, other: int, tag: str) -> None:
    visitor.goto(f"http://localhost:{other}/")
    for path in ("/", "/books", f"/book/{book}.pdf", f"/page/{book}/1.png", "/api/books"):
        visitor.evaluate(
            """([tag, address]) => {
              const frame = document.createElement(tag);
              frame[tag === "object" ? "data" : "src"] = address;
              document.body.replaceChildren(frame);
            }""",
            [tag, f"http://localhost:{app.port}{path}"],
        )
        visitor.wait_for_timeout(300)
        for frame in visitor.frames[1:]:
            text = frame.evaluate("document.body ? document.body.innerText : ''")
            assert "Secret" not in text
            assert frame.locator("[data-testid=stApp]").count() == 0


@pytest.mark.parametrize("site", ["localhost", REBOUND])
def test_a_link_of_another_site_leads_to_a_page_that_works(
    visitor: Page, app: App, other: int, openai: OpenAIProcess, site: str
) -> None:
    visitor.goto(f"http://{site}:{other}/")
    _follow(visitor, f"http://127.0.0.1:{app.port}/books")
    expect(visitor.get_by_text("Secret", exact=True).first).to_be_visible()
    visitor.goto(f"http://{site}:{other}/")
    bought = len(openai.requests)
    _follow(visitor, f"http://127.0.0.1:{app.port}/api/search?q=walrus")
    expect(visitor.locator("body")).to_contain_text("A page of another site asked for this.")
    assert len(openai.requests) == bought


def _follow(page: Page, address: str) -> None:
    page.evaluate("address => { location.href = address; }", address)
    page.wait_for_url(address)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_its_own_page_may_do_all_of_it(
    visitor: Page, app: App, book: str, openai: OpenAIProcess, name: str
) -> None:
    """So that the refusals above are those of another origin, and of nothing else."""
    base = f"http://{name}:{app.port}"
    visitor.goto(f"{base}/")
    settle(visitor)
    bought = len(openai.requests)
    found = _tries(visitor, base, book)
    assert len(openai.requests) > bought
    assert found.keys() >= {
        "page", "books", "search", "citations", "picture", "pdf", "health", "settings", "simple",
        "socket", "image",
    }  # fmt: skip
    assert "Secret" in found["books"]


def test_its_own_page_uploads(visitor: Page, app: App, tmp_path: Path) -> None:
    visitor.goto(f"http://localhost:{app.port}/books")
    settle(visitor)
    if not visitor.locator("input[type=file]").count():
        visitor.get_by_text("Add books").first.click()
    visitor.locator("input[type=file]").set_input_files(
        pdfs.book(tmp_path / "more.pdf", ["More of it."], title="More")
    )
    expect(visitor.locator("p.plan")).to_have_count(1)
