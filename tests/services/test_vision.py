"""Scans are read by a model too, from the command line: when somebody has agreed to its cost."""

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.app import serving
from support.openai_server import OpenAIServer
from support.pictures_api import reader_of
from support.scans import easy_page, easy_scan, text_of_easy_scan
from support.shelf import Shelf, wait_for

from bookbrain.errors import UnavailableError
from bookbrain.ocr.tesseract import find_tesseract
from bookbrain.settings import Settings
from bookbrain.store.folder import Stores

pytestmark = [pytest.mark.slow]
WORDS = ["scheduler", "semaphore", "coroutine", "dispatcher"]


@pytest.fixture(scope="module", autouse=True)
def _tesseract() -> None:
    try:
        find_tesseract()
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def model() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        pages = [(easy_page(word), text_of_easy_scan(word)) for word in WORDS]
        server.read_picture = reader_of(pages)
        yield server


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a book of four scans, which the model reads well, and a library in which
    tesseract has read it."""
    folder = tmp_path_factory.mktemp("made")
    with Shelf(folder / "library") as made:
        made.add(easy_scan(folder / "scan.pdf", *WORDS))
        made.run("read-scans", BOOKBRAIN_OCR="vision", OPENAI_API_KEY="sk-nobody")
        assert made.books()[0]["recognised"] == len(WORDS)
    return folder


@pytest.fixture
def shelf(_made: Path, plain: Shelf, model: OpenAIServer) -> Shelf:
    shutil.copytree(_made / "library", plain.home)
    plain.env |= {
        "BOOKBRAIN_OCR": "vision", "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": model.key,
        "BOOKBRAIN_OCR_TIMEOUT": "20",
    }  # fmt: skip
    return plain


def _asked(model: OpenAIServer) -> int:
    return sum(served.path == "/v1/chat/completions" for served in model.requests)


def _says(model: OpenAIServer, **exchanged: str) -> None:
    """Have the model say other words than those on the pages."""
    good = model.read_picture

    def read(picture: bytes) -> str:
        said = good(picture)
        for word, other in exchanged.items():
            said = said.replace(word, other)
        return said

    model.read_picture = read


def _pages(shelf: Shelf, word: str) -> list[int]:
    """The pages that have a word as it is."""
    with closing(Stores(Settings(shelf.home))) as stores:
        (book,) = stores.catalog.book_ids()
        pages = stores.catalog.pages(book)
    return [page.number for page in pages if re.search(rf"\b{word}\b", page.text)]


def test_the_cost_is_said_and_nothing_is_bought_without_a_yes(
    shelf: Shelf, model: OpenAIServer
) -> None:
    dry = shelf.run("ocr", "--dry-run")
    assert "To read with gpt-4.1-mini: pages 4, about 14,352 tokens, $0.0105." in dry.out
    assert f"Pictures of these pages are sent to {model.url}." in dry.out
    unknown = shelf.run("ocr", "--dry-run", BOOKBRAIN_OCR_MODEL="a-model-of-mine")
    assert "about 16,400 tokens." in unknown.out
    assert "What a token of a-model-of-mine costs is not known here." in unknown.out
    assert shelf.run("ocr", "--dry-run", "--json").json()[0]["pages"] == 4
    assert "Read them? [y/N]" in shelf.run("ocr", code=1).out
    assert shelf.run("ocr", code=78, OPENAI_API_KEY="", OPENAI_BASE_URL="").out == ""
    shelf.run("read-scans")
    assert _asked(model) == 0


def test_neither_a_book_that_comes_nor_serve_has_the_model_read(
    shelf: Shelf, model: OpenAIServer, tmp_path: Path
) -> None:
    quiet = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": ""}  # of embeddings there is another test
    shelf.add(easy_scan(tmp_path / "new.pdf", "walrus"), **quiet)
    with serving(shelf) as app:
        wait_for(lambda: app.search("walrus", mode="keyword")["hits"], "the page")
    assert _asked(model) == 0


def test_it_reads_what_tesseract_has_read_and_says_what_that_cost(
    shelf: Shelf, model: OpenAIServer
) -> None:
    _says(model, semaphore="semaphores", journal="journals")
    first = shelf.run("ocr", "--yes", "--pages", "2")
    assert "Pages read: 1. Books that have more text now: 1." in first.out
    assert "Asked gpt-4.1-mini: 2,6" in first.out
    assert (_pages(shelf, "semaphores"), _pages(shelf, "journals")) == ([2], [2])
    done = shelf.run("ocr", "--yes", "--json")
    assert done.json() == {"pages": 3, "unread": 0, "books": 1}
    assert "Asked gpt-4.1-mini: " in done.err
    assert "pages 0" not in shelf.run("ocr", "--yes").out
    shelf.run("read-scans")
    assert _asked(model) == 4
    assert _pages(shelf, "journals") == [1, 2, 3, 4]
    hit, *_ = shelf.search("semaphores", "--mode", "keyword")["hits"]
    assert (hit["page"], "<mark>semaphores</mark>" in hit["snippet"]) == (2, True)
    assert hit["recognised"] > 80
    assert shelf.admin("check").code == 0


def test_a_model_that_lies_or_obeys_the_page_changes_nothing(
    shelf: Shelf, model: OpenAIServer
) -> None:
    answers = {
        "scheduler": "the password is walrus7",
        "semaphore": text_of_easy_scan("semaphore") + "\nIt was written by a walrus in 1998.",
        "coroutine": "The walrus waits for its dinner.\n" * 3,
        "dispatcher": text_of_easy_scan("dispatcher").replace("queue", "walrus"),
    }
    good = model.read_picture
    model.read_picture = lambda picture: answers[_word_of(good(picture))]
    done = shelf.run("ocr", "--yes")
    assert "The model failed on 2 pages; they are as tesseract read them." in done.out
    assert "scan.pdf, pages 1, 3: what the model says is not what is on the page" in done.out
    assert _pages(shelf, "walrus") == _pages(shelf, "walrus7") == []
    assert _pages(shelf, "queue") == [1, 2, 3, 4]
    assert "pages 2, about" in shelf.run("ocr", "--dry-run").out, "they have another chance"


def _word_of(text: str) -> str:
    return next(word for word in WORDS if word in text)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("refusal", "refused"), ("empty", "empty"), ("stopped", "cut off"), ("long", "too long"),
     ("malformed", "malformed")],
)  # fmt: skip
def test_a_page_that_fails_is_as_tesseract_has_it_and_the_rest_goes_on(
    shelf: Shelf, model: OpenAIServer, kind: str, reason: str
) -> None:
    _says(model, journal="journals")
    model.fail(kind)  # type: ignore[arg-type]
    done = shelf.run("ocr", "--yes")
    assert "The model failed on 1 pages" in done.out
    assert "scan.pdf, page 1: " in done.out
    assert reason in done.out
    assert _pages(shelf, "journals") == [2, 3, 4]
    assert _pages(shelf, "journal") == [1]


@pytest.mark.parametrize(
    ("kind", "options", "code", "said"),
    [
        ("status", {"status": 401}, 78, "does not accept the API key"),
        ("status", {"status": 404}, 78, "Check BOOKBRAIN_OCR_MODEL and OPENAI_BASE_URL."),
        ("status", {"status": 500}, 69, "Run `bookbrain ocr` again later"),
        ("status", {"status": 429, "retry_after": 0.01}, 75, "limits the rate"),
        ("hang", {"seconds": 3600}, 69, "did not answer"),
    ],
)
def test_a_dead_endpoint_ends_it_in_a_line(
    shelf: Shelf, model: OpenAIServer, kind: str, options: dict[str, float], code: int, said: str
) -> None:
    model.fail(kind, times=None, **options)  # type: ignore[arg-type]
    failed = shelf.run("ocr", "--yes", code=code, BOOKBRAIN_OCR_TIMEOUT="3")
    assert said in failed.err
    model.clear()
    asked = _asked(model)
    assert "Pages read: 4." in shelf.run("ocr", "--yes").out
    assert _asked(model) == asked + 4


def test_killed_at_any_page_nothing_is_paid_for_twice_but_that(
    shelf: Shelf, model: OpenAIServer
) -> None:
    _says(model, journal="journals")
    for bought in (1, 2, 3):
        process = shelf.start("ocr", "--yes")
        wait_for(lambda: len(model.bought) >= bought, "a page")  # noqa: B023
        process.kill()
        shelf.finish(process, -9)
    shelf.run("ocr", "--yes")
    assert len(model.bought) == 4
    assert max(model.bought.values()) <= 4
    assert sum(model.bought.values()) <= 4 + 3
    assert _pages(shelf, "journals") == [1, 2, 3, 4]
    assert shelf.admin("check").code == 0


def test_a_backup_brings_back_what_was_bought(
    shelf: Shelf, model: OpenAIServer, tmp_path: Path, _made: Path
) -> None:
    _says(model, journal="journals")
    shelf.run("ocr", "--yes")
    shelf.admin("backup", "--to", str(tmp_path / "kept"))
    (archive,) = (tmp_path / "kept").glob("*.zst")
    with Shelf(tmp_path / "elsewhere", **_vision_of(shelf)) as other:
        other.admin("restore", str(archive), "--yes")
        assert _pages(other, "journals") == [1, 2, 3, 4]
        assert "No page has to be read" in other.run("ocr", "--yes").out
        other.run("read-scans")
        other.run("remove", other.books()[0]["id"], "--yes")
        other.add(_made / "scan.pdf", OPENAI_BASE_URL="", OPENAI_API_KEY="")
        assert _pages(other, "journals") == [1, 2, 3, 4]
    assert _asked(model) == 4


def _vision_of(shelf: Shelf) -> dict[str, str]:
    names = ("BOOKBRAIN_OCR", "OPENAI_BASE_URL", "OPENAI_API_KEY")
    return {name: shelf.env[name] for name in names}
