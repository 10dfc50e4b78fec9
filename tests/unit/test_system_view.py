"""The system page on a real library, with and without what a server's health check kept."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from support import pdfs

import bookbrain.web
from bookbrain.checks import Door
from bookbrain.checks.checklist import check_open_library, look_at_library
from bookbrain.library import Library
from bookbrain.model import EmbeddingSpace, text_digest
from bookbrain.paths import Layout, LibraryPaths
from bookbrain.reports import (
    Check,
    LastCheck,
    Use,
    figures_of,
    keep_check,
    keep_use,
    last_check,
)
from bookbrain.search.exam import exam
from bookbrain.settings import EmbeddingSettings, Settings
from bookbrain.store.embeddings import EmbeddingStore
from bookbrain.web.shelf import Shelf, use_shelf

pytestmark = pytest.mark.slow

PAGES = Path(bookbrain.web.__file__).parent
NOW = datetime.now(UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "library")
    with Library(settings) as library:
        library.add([pdfs.book(tmp_path / "a.pdf", ["The walrus waits."], title="Walrus")])
    return settings


def page(settings: Settings, locale: str = "en-US") -> str:
    """Its HTML."""
    shelf = Shelf(settings)
    use_shelf(shelf)
    app = AppTest.from_file(PAGES / "system_page.py", default_timeout=30)
    app.context["locale"] = locale
    app.run()
    shelf.close()
    assert not app.exception
    return "".join(element.proto.body for element in app.get("html"))


def test_at_home_it_says_what_applies(settings: Settings) -> None:
    shown = page(settings)
    assert '<p class="verdict ok" role="status">All is well.</p>' in shown
    assert "books: 1, pages: 1, passages: 1" in shown
    assert "off, for there is no key" in shown
    assert "Set OPENAI_API_KEY" in shown
    assert "GB free of" in shown
    assert "BookBrain " in shown
    assert "certificate" not in shown
    assert "backup" not in shown


def test_the_page_needs_nothing_that_only_a_server_has() -> None:
    script = (
        "import sys\nsys.modules.update(bcrypt=None, caddy_api_client=None, systemd=None)\n"
        "import bookbrain.checks.checklist\n"
    )
    subprocess.run([sys.executable, "-P", "-c", script], check=True)


def test_it_asks_as_the_health_check_does(settings: Settings) -> None:
    """Nothing is said in other words on the page: each check of its own is one of the health's."""
    with Library(settings) as library:
        own = check_open_library(library)
    health = {check.name: check for check in look_at_library(settings, Door.HEALTH, None)}
    said = [check for check in own if check.name not in ("disk", "search")]
    assert [check.name for check in own] == ["library", "search", "meaning", "check", "disk"]
    assert said == [health[check.name] for check in said]


def test_a_fault_is_first_and_has_its_next_step(settings: Settings) -> None:
    keep_check(
        settings.home,
        [
            Check.ok("clock", "it is right"),
            Check.warn("backup", "a.tar.zst, 9 days old", "sudo bookbrain-admin backup"),
            Check.fail("service", "<b>bookbrain-chroma</b> has failed", "Restart it."),
            Check.fail("library", "of an hour ago: the page sees this itself", ""),
        ],
        NOW,
    )
    shown = page(settings)
    assert '<p class="verdict fail" role="status">Something is wrong: 1.</p>' in shown
    places = [shown.index(f"<strong>{name}<") for name in ("service", "backup", "clock")]
    assert places == sorted(places)
    assert '<p class="next">Next: Restart it.</p>' in shown
    assert "&lt;b&gt;bookbrain-chroma&lt;/b&gt;" in shown
    assert "of an hour ago" not in shown


def test_an_old_check_says_so(settings: Settings) -> None:
    keep_check(settings.home, [Check.ok("clock", "right")], NOW - timedelta(hours=2))
    shown = page(settings)
    assert '<p class="verdict warn" role="status">It works. To look at: 1.</p>' in shown
    assert "The last health check was at 20" in shown


def with_a_model(settings: Settings, knows: bool) -> Settings:
    """Settings of a model whose vectors of the exam are there, where it `knows` English."""
    embedding = EmbeddingSettings(base_url="http://127.0.0.1:9/v1", model="pears", dimensions=64)
    draw = np.random.default_rng(1)
    vectors = {text: draw.normal(size=64).astype(np.float32) for text in exam().texts}
    english = exam().english
    for question, passage in zip(english.questions, english.passages, strict=True):
        vectors[question] = vectors[passage]
    store = EmbeddingStore(LibraryPaths(settings.home).embeddings)
    if knows:
        store.put(
            EmbeddingSpace("pears", 64), {text_digest(text): v for text, v in vectors.items()}
        )
    store.close()
    return replace(settings, embedding=embedding)


def test_what_a_model_understands_is_said_in_words(settings: Settings) -> None:
    settings = with_a_model(settings, knows=True)
    assert "pears understands English well, Korean not at all, English answers" in page(settings)
    assert "pears 모델의 이해도: 영어 잘함, 한국어 전혀 못함, " in page(settings, "ko-KR")
    weighed = page(replace(settings, vector_weight=0.4))
    assert "meaning counts 0.4, as it is set" in weighed
    assert "pears understands" not in weighed


def test_a_model_without_an_exam_says_what_to_do(settings: Settings) -> None:
    shown = page(with_a_model(settings, knows=False))
    assert "pears has not taken it: meaning counts little." in shown
    assert "Run <code>bookbrain embed</code>" in shown


def test_a_book_that_meaning_does_not_see_is_one_to_look_at(settings: Settings) -> None:
    key = EmbeddingSettings(api_key="sk-x", base_url="http://127.0.0.1:1/v1")
    shown = page(Settings(home=settings.home, embedding=key))
    assert "Books that are not embedded with text-embedding-3-small: 1." in shown
    assert "Run <code>bookbrain embed</code>" in shown


def test_korean(settings: Settings) -> None:
    keep_check(settings.home, [Check.warn("certificate", "x", "Mend or remove it.")], NOW)
    shown = page(settings, "ko-KR")
    assert "잘 돌아가고 있습니다. 살펴볼 것: 1가지." in shown
    assert "<strong>인증서</strong>" in shown
    assert "다음: 고치거나 지우십시오." in shown
    assert "버전" in shown


def test_a_server_shows_the_use_of_the_last_days(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.logs.mkdir(parents=True)
    settings = Settings(home=layout.home)
    with Library(settings):
        assert "Use in" not in page(settings)
    quiet = [(date(2026, 3, day), Use()) for day in range(1, 30)]
    busy = Use(searches=1200, degraded=12, p50=3.21, p95=45.6, tokens=5, dollars=None)
    keep_use(layout.logs, [*quiet, (date(2026, 3, 30), busy)])
    shown = page(settings, "ko-KR")
    assert "최근 30일의 사용 현황" in shown
    figures = "".join(f"<td>{figure}</td>" for figure in figures_of(busy))
    assert f'<tr><th scope="row">03-30</th>{figures}</tr>' in shown
    assert "<td>1,200</td><td>3.2 ms</td><td>46 ms</td><td>1.0%</td>" in shown
    assert shown.count("<tr>") == 31
    shelf = Shelf(settings)
    use_shelf(shelf)
    app = AppTest.from_file(PAGES / "system_page.py", default_timeout=30).run()
    shelf.close()
    searches, slow = app.get("vega_lite_chart")
    assert (searches.proto.alt, slow.proto.alt) == (
        "Searches a day", "p95 in ms: 19 of 20 searches were quicker"
    )  # fmt: skip


# What is kept


def test_what_was_seen_is_kept(tmp_path: Path) -> None:
    assert last_check(tmp_path) is None
    seen = (Check.warn("디스크", "가득", "비우십시오"), Check.ok("clock", ""))
    keep_check(tmp_path, seen, NOW)
    assert last_check(tmp_path) == LastCheck(NOW, seen)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"at": "x", "seen": []}', '{"at": 1, "seen": [1]}']
)
def test_what_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "last-check.json").write_text(text)
    assert last_check(tmp_path) is None
