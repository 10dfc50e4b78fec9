"""A model that reads pictures, against a real server that lies, refuses, hangs and is not there."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import pdfs
from support.openai_api import count_tokens
from support.openai_server import OpenAIServer
from support.pictures_api import PICTURE_TOKENS
from support.readers_of_scans import MATRIX, FakeEngine, page_of
from support.scans import easy_scan

from bookbrain.errors import BookBrainError, BusyError, ConfigError, UnavailableError
from bookbrain.library import Library
from bookbrain.model import Standing
from bookbrain.models.vision_api import PROMPT, VisionModel
from bookbrain.ocr.engine import OcrEngine, RecognisedPage, Substitute, is_bought, way_of
from bookbrain.ocr.pace import readers
from bookbrain.ocr.page_scan import PageScan, ScanPicture, UnreadPageError
from bookbrain.ocr.vision import LONGEST_SIDE, VisionEngine, jpeg_of
from bookbrain.paths import CATALOG, STORE, LibraryPaths
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.settings import EmbeddingSettings, Settings, VisionSettings
from bookbrain.store.flaws import flaws, store_flaws

SIZE = (620, 880)
JPEG = BytesIO()
Image.new("L", SIZE, 255).save(JPEG, "JPEG")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


def model_of(
    server: OpenAIServer, model: str = "gpt-4.1-mini", timeout: float = 20.0
) -> VisionModel:
    endpoint = EmbeddingSettings(api_key=server.key, base_url=server.url)
    return VisionModel(endpoint, VisionSettings(model, timeout))


# What is asked, and what it costs


def test_is_sent_a_picture_and_one_text(server: OpenAIServer) -> None:
    seen = []
    server.read_picture = lambda picture: seen.append(picture) or "What it says"
    with closing(model_of(server)) as model:
        assert model.read(JPEG.getvalue()) == "What it says"
        assert model.sent == PICTURE_TOKENS + count_tokens(PROMPT), "nothing else was sent"
        assert model.answered == 3
        assert model.dollars == pytest.approx((model.sent * 0.4 + 3 * 1.6) / 1e6)
    assert seen == [JPEG.getvalue()]
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"


def test_every_answer_is_in_the_journal_with_its_cost_and_without_a_word(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bookbrain.models.vision_api")
    server.read_picture = lambda picture: "walruses"
    with closing(model_of(server)) as model, closing(model_of(server, "a-model-of-mine")) as other:
        model.read(JPEG.getvalue())
        other.read(JPEG.getvalue())
        assert other.dollars is None
    events = [record.fields for record in caplog.records if hasattr(record, "fields")]
    assert [(event.event, event.dollars is None) for event in events] == [
        ("ocr", False), ("ocr", True),
    ]  # fmt: skip
    assert events[0].tokens == model.tokens > PICTURE_TOKENS
    assert "walrus" not in caplog.text


def test_what_it_will_cost_is_known_before() -> None:
    tokens, dollars = VisionSettings().estimate(350)
    assert (tokens, dollars) == (350 * 3588, pytest.approx(350 * (2588 * 0.4 + 1000 * 1.6) / 1e6))
    assert VisionSettings("a-model-of-mine").estimate(2) == (2 * 4100, None)


# Answers that are none


PAGES_OWN = {
    "refusal": "the model refused",
    "filtered": "the model refused",
    "empty": "empty",
    "stopped": "cut off",
    "long": "too long",
    "endless": "too long",
    "malformed": "malformed",
    "nested": "malformed",
    "object": "malformed",
    "bomb": "malformed",
    "escape": "owned",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAGES_OWN)
def test_no_text_of_this_page(server: OpenAIServer, kind: Any) -> None:
    server.read_picture = lambda picture: "What it says"
    with closing(model_of(server)) as model:
        server.fail(kind)
        with pytest.raises(UnreadPageError, match=PAGES_OWN[kind]) as failed:
            model.read(JPEG.getvalue())
        assert failed.value.message.isprintable()
        assert len(failed.value.message) < 400
        assert model.read(JPEG.getvalue()) == "What it says"


def test_what_was_paid_for_counts_whatever_it_says(server: OpenAIServer) -> None:
    with closing(model_of(server)) as model:
        for kind in ("refusal", "empty", "stopped"):
            server.fail(kind)
            with pytest.raises(UnreadPageError):
                model.read(JPEG.getvalue())
        assert model.sent > 3 * PICTURE_TOKENS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("hang", {"seconds": 3600}, "did not answer"),
        ("drip_head", {"seconds": 0.1}, "did not answer"),
        ("drip_body", {"seconds": 0.1}, "did not answer"),
        ("status", {"status": 429, "times": 3, "retry_after": 0.01}, "limits the rate"),
        ("status", {"status": 503, "times": 3}, "status 503"),
        ("cut", {"times": 3}, "cannot be reached"),
    ],
)
def test_a_page_has_no_luck_and_the_third_in_a_row_ends_it(
    server: OpenAIServer, kind: Any, options: dict[str, Any], reason: str
) -> None:
    server.read_picture = lambda picture: "What it says"
    with closing(model_of(server, timeout=10.0 if kind in ("status", "cut") else 1.0)) as model:
        server.fail(kind, **options)
        with pytest.raises(UnreadPageError, match=reason):
            model.read(JPEG.getvalue())
        assert model.read(JPEG.getvalue()) == "What it says"
        server.fail(kind, **options | {"times": None})
        for _ in range(2):
            with pytest.raises(UnreadPageError, match=reason):
                model.read(JPEG.getvalue())
        with pytest.raises((UnavailableError, BusyError), match=reason) as dead:
            model.read(JPEG.getvalue())
        assert "bookbrain ocr" in str(dead.value.hint)


def test_a_retry_after_a_limit_is_no_failure(server: OpenAIServer) -> None:
    server.fail("status", status=429, retry_after=0.01)
    with closing(model_of(server)) as model:
        assert model.read(JPEG.getvalue()) == "nothing"


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"status": 401}, ConfigError, "does not accept the API key"),
        ({"status": 403}, ConfigError, "does not accept the API key"),
        ({"status": 404}, ConfigError, "BOOKBRAIN_OCR_MODEL"),
        ({"status": 429, "code": "insufficient_quota", "times": 3, "retry_after": 0.01},
         BusyError, "no credit"),
    ],
)  # fmt: skip
def test_what_no_page_can_do_better_ends_it_at_once(
    server: OpenAIServer, options: dict[str, Any], error: type[BookBrainError], said: str
) -> None:
    server.fail("status", **options)
    with closing(model_of(server)) as model, pytest.raises(error) as failed:
        model.read(JPEG.getvalue())
    assert not isinstance(failed.value, UnreadPageError)
    assert said in str(failed.value)


def test_its_picture_goes_to_nobody_else(server: OpenAIServer) -> None:
    with OpenAIServer() as other, closing(model_of(server)) as model:
        server.fail("redirect", to=f"{other.url}/chat/completions")
        with pytest.raises(ConfigError, match="another address"):
            model.read(JPEG.getvalue())
        assert other.requests == []


@pytest.mark.slow
def test_nobody_listens() -> None:
    with OpenAIServer() as server:
        pass
    with closing(model_of(server)) as model:
        for _ in range(2):
            with pytest.raises(UnreadPageError):
                model.read(JPEG.getvalue())
        with pytest.raises(UnavailableError, match="cannot be reached"):
            model.read(JPEG.getvalue())


def test_no_error_shows_what_stands_behind_the_path_of_an_address(server: OpenAIServer) -> None:
    endpoint = EmbeddingSettings(api_key="wrong", base_url=f"{server.url}?key=walrus")
    model = VisionModel(endpoint, VisionSettings())
    with closing(model), pytest.raises(ConfigError) as failed:
        model.read(JPEG.getvalue())
    assert server.url in failed.value.message
    assert "walrus" not in failed.value.whole


def test_without_a_key_nobody_is_asked() -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        VisionModel(EmbeddingSettings(), VisionSettings())


# Pages of a library


@dataclass
class FakeTesseract:
    """Reads what `engine` does, on pictures of which the black part tells the page."""

    engine: FakeEngine
    version: str = "tesseract 5; Hangul 1; eng 1; 1.1"

    def recognise(self, scan: PageScan) -> RecognisedPage:
        return self.read(scan)[0]

    def read(self, scan: PageScan) -> tuple[RecognisedPage, ScanPicture]:
        width, height = SIZE
        pixels = np.full((height, width), 255, np.uint8)
        pixels[: 20 * scan.number] = 0
        pgm = b"P5\n%d %d\n255\n" % SIZE + pixels.tobytes()
        return self.engine.recognise(scan), ScanPicture(pgm, 72, MATRIX, pixels[::4, ::4] < 128)


def number_of(picture: bytes) -> int:
    """Which page of the book such a picture is of."""
    with Image.open(BytesIO(picture)) as image:
        return round(float((np.asarray(image) < 128).mean()) * image.height / 20)


@dataclass
class FakeModel:
    """Says what `says` makes of a page's number; `asked` are the pages in order."""

    says: Callable[[int], str] = lambda number: f"the scheduler of scan{number}x waits"
    model: str = "a model"
    asked: list[int] = field(default_factory=list)
    tokens: int = 0
    dollars: float | None = None

    def read(self, jpeg: bytes) -> str:
        number = number_of(jpeg)
        self.asked.append(number)
        self.tokens += 100
        return self.says(number)


PAGES = 12


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with Library(Settings(folder / "library")) as library:
        library.add([pdfs.scanned(folder / "book.pdf", PAGES)])
    return folder


@pytest.fixture
def home(_made: Path, tmp_path: Path) -> Path:
    shutil.copytree(_made / "library", tmp_path / "library")
    return tmp_path / "library"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library(Settings(home)) as opened:
        yield opened


@pytest.fixture
def fake() -> FakeEngine:
    return FakeEngine(read=lambda book, n: page_of(f"the schedu1er of scan{n}x waits"))


@pytest.fixture
def tesseract(fake: FakeEngine) -> OcrEngine:
    return FakeTesseract(fake)  # type: ignore[return-value]


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def engine(model: FakeModel, tesseract: OcrEngine) -> VisionEngine:
    return VisionEngine(model, tesseract)  # type: ignore[arg-type]


def _finds(library: Library, query: str) -> set[int]:
    return {hit.page for hit in library.search(query, k=PAGES, mode="keyword").hits}


def _engines(library: Library) -> dict[int, set[str]]:
    (book,) = library.books()
    with closing(ConnectedStores(library.settings)) as stores:
        return stores.embeddings.recognised.engines(book.id)


def _is_sound(home: Path) -> bool:
    return not [*flaws(home / CATALOG), *flaws(home / STORE), *store_flaws(home)]


def _left(library: Library, engine: OcrEngine, **wish: Any) -> int:
    return sum(plan.pages for plan in library.plan_recognition(engine=engine, **wish))


ALL = set(range(1, PAGES + 1))


@pytest.mark.slow
def test_what_tesseract_has_read_the_model_reads_too_and_its_text_counts(
    library: Library, engine: VisionEngine, tesseract: OcrEngine, fake: FakeEngine,
    model: FakeModel, home: Path,
) -> None:  # fmt: skip
    read = fake.read
    fake.read = lambda book, n: page_of(f"{read(book, n).text} 스캔한 쪽")
    model.says = lambda number: f"{FakeModel.says(number)} 스캔한 쪽"
    assert library.recognise(engine=tesseract).pages == PAGES
    assert (_finds(library, "schedu1er"), _finds(library, "scheduler")) == (ALL, set())
    assert (_left(library, tesseract), _left(library, engine)) == (0, PAGES)
    assert model.asked == [], "a plan costs nothing"
    pace = LibraryPaths(home).ocr_pace.read_bytes()
    report = library.recognise_by(engine, PAGES)
    assert (report.pages, report.unread, report.substituted, report.stopped) == (PAGES, 0, (), None)
    assert (report.tokens, report.dollars) == (100 * PAGES, None)
    assert sorted(model.asked) == sorted(ALL)
    assert LibraryPaths(home).ocr_pace.read_bytes() == pace, "that of tesseract stays"
    assert (_finds(library, "schedu1er"), _finds(library, "scheduler")) == (set(), ALL)
    assert all(is_bought(version) for found in _engines(library).values() for version in found)
    assert (_left(library, tesseract), _left(library, engine)) == (0, 0)
    assert library.recognition().pages == 0
    library.rebuild()
    assert _finds(library, "scheduler") == ALL
    assert _is_sound(home)


def test_no_better_tesseract_takes_its_place(engine: VisionEngine) -> None:
    assert way_of(engine.version) > way_of("tesseract 99; 99.99")
    engine.reader.model = "evil\x00\n; 0" + "m" * 10_000  # type: ignore[misc]
    assert way_of(engine.version) == (100, 1)
    assert engine.version.isprintable()
    assert len(engine.version) < 300


@pytest.mark.slow
def test_not_more_than_was_agreed_to(
    library: Library, engine: VisionEngine, model: FakeModel, _made: Path, tmp_path: Path
) -> None:
    def says(number: int) -> str:
        if len(model.asked) == 2:
            with Library(library.settings) as other:
                other.add([easy_scan(tmp_path / "new.pdf", "semaphore")])
        return FakeModel.says(number)

    assert library.recognise_by(engine, 0).pages == 0
    model.says = says
    assert library.recognise_by(engine, 7).pages == 7
    assert len(model.asked) == 7
    assert _left(library, engine) == PAGES + 1 - 7


def _fails_at(*numbers: int) -> Callable[[int], str]:
    def says(number: int) -> str:
        if number in numbers:
            raise UnreadPageError("the model refused to read it")
        return FakeModel.says(number)

    return says


@pytest.mark.slow
def test_a_page_that_it_fails_on_is_as_tesseract_read_it_and_has_another_chance(
    library: Library, engine: VisionEngine, tesseract: OcrEngine, model: FakeModel, home: Path
) -> None:
    fails = _fails_at(3, 9)
    model.says = lambda number: "Once upon a time there was." if number == 5 else fails(number)
    report = library.recognise_by(engine, PAGES)
    assert (report.pages, report.unread, report.stopped) == (PAGES, 0, None)
    assert sorted((page, str(why)) for _, page, why in report.substituted) == [
        (3, "the model refused to read it"),
        (5, "what the model says is not what is on the page"),
        (9, "the model refused to read it"),
    ]
    assert _finds(library, "schedu1er") == {3, 5, 9}
    assert _finds(library, "scheduler") == ALL - {3, 5, 9}
    assert _finds(library, "time") == set()
    assert (_left(library, tesseract), _left(library, engine)) == (0, 3)
    model.asked.clear()
    model.says = FakeModel.says
    assert library.recognise_by(engine, 3).substituted == ()
    assert model.asked == [3, 5, 9]
    assert _finds(library, "scheduler") == ALL
    assert _is_sound(home)


@pytest.mark.slow
def test_a_page_without_a_word_is_not_sent_nor_one_that_cannot_be_read(
    library: Library, engine: VisionEngine, tesseract: OcrEngine, fake: FakeEngine, model: FakeModel
) -> None:
    good = fake.read

    def read(book: str, number: int) -> RecognisedPage:
        if number == 4:
            raise UnreadPageError("its picture is too large")
        return page_of() if number == 6 else good(book, number)

    fake.read = read
    report = library.recognise_by(engine, PAGES)
    assert (report.pages, report.unread) == (PAGES, 1)
    assert set(model.asked) == ALL - {4, 6}
    assert (_left(library, tesseract), _left(library, engine)) == (0, 0)


@pytest.mark.slow
def test_an_endpoint_that_is_gone_ends_it_and_what_was_bought_is_kept(
    library: Library, engine: VisionEngine, tesseract: OcrEngine, model: FakeModel, home: Path
) -> None:
    def says(number: int) -> str:
        if number == 8:
            raise UnavailableError("It cannot be reached.", "Later.")
        return FakeModel.says(number)

    model.says = says
    report = library.recognise_by(engine, PAGES)
    assert str(report.stopped) == "It cannot be reached. Later."
    bought = set(model.asked) - {8}
    assert _finds(library, "scheduler") == bought
    assert len(model.asked) < PAGES
    model.says = FakeModel.says
    assert library.recognise(engine=tesseract).pages == PAGES - len(bought)
    assert _finds(library, "scheduler") == bought
    assert library.recognise_by(engine, PAGES).pages == PAGES - len(bought)
    assert sorted(model.asked) == sorted([*ALL, 8]), "nothing was paid for twice"
    assert _is_sound(home)


@pytest.mark.parametrize("says", ["", "I see no picture here. Please send me one."])
def test_a_model_that_is_of_no_use_is_not_asked_for_ever(
    engine: VisionEngine, model: FakeModel, says: str
) -> None:
    model.says = lambda number: says
    for _ in range(19):
        assert isinstance(engine.recognise(PageScan("book.pdf", 3)), Substitute)
    with pytest.raises(UnavailableError) as failed:
        engine.recognise(PageScan("book.pdf", 3))
    assert "BOOKBRAIN_OCR_MODEL" in failed.value.hint


def test_a_model_that_was_of_use_once_is_asked_on(engine: VisionEngine, model: FakeModel) -> None:
    engine.recognise(PageScan("book.pdf", 3))
    model.says = lambda number: ""
    for _ in range(30):
        assert isinstance(engine.recognise(PageScan("book.pdf", 3)), Substitute)


class _EndedError(BaseException):
    """As Ctrl-C."""


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 6])
def test_ended_at_any_page_nothing_is_paid_for_twice(
    library: Library, engine: VisionEngine, model: FakeModel, home: Path, at: int
) -> None:
    def hear(standing: Standing) -> None:
        if standing.done == at:
            raise _EndedError

    with pytest.raises(_EndedError):
        library.recognise_by(engine, PAGES, hear)
    assert len(model.asked) < PAGES
    library.recognise_by(engine, PAGES)
    assert len(model.asked) - PAGES <= readers()
    assert _finds(library, "scheduler") == ALL
    assert _is_sound(home)


@pytest.mark.slow
def test_a_redo_is_of_the_model_also_when_it_was_ended(
    library: Library, engine: VisionEngine, tesseract: OcrEngine, model: FakeModel, home: Path
) -> None:
    library.recognise_by(engine, PAGES)
    model.asked.clear()
    model.says = lambda number: f"the scheduler of scan{number}x awaits"

    def hear(standing: Standing) -> None:
        if standing.done == 5:
            raise _EndedError

    with pytest.raises(_EndedError):
        library.recognise_by(engine, PAGES, hear, redo="book.pdf")
    assert (_left(library, tesseract), library.recognition().pages) == (0, 0)
    library.recognise(engine=tesseract)
    assert _finds(library, "scheduler") == ALL, "what was bought is not read over"
    begun = len(model.asked)
    assert _left(library, engine, redo="book.pdf") <= PAGES - 5
    library.recognise_by(engine, PAGES, redo="book.pdf")
    assert len(model.asked) <= PAGES + begun - 5
    assert _finds(library, "awaits") == ALL
    model.says = _fails_at(*ALL)
    assert library.recognise_by(engine, 3, redo="book.pdf", pages=[1, 2, 3]).pages == 3
    assert _finds(library, "awaits") == ALL, "a failure takes no place of what was bought"
    assert _is_sound(home)


@pytest.mark.slow
def test_a_redo_by_tesseract_takes_its_place_when_somebody_wants_that(
    library: Library, engine: VisionEngine, tesseract: OcrEngine, home: Path
) -> None:
    library.recognise_by(engine, PAGES)
    assert library.recognise(redo="book.pdf", engine=tesseract).pages == PAGES
    assert _finds(library, "schedu1er") == ALL
    assert (_left(library, tesseract), _left(library, engine)) == (0, PAGES)
    assert _is_sound(home)


def test_what_is_sent_is_grey_and_no_larger_than_models_look_at() -> None:
    size = (2480, 3508)
    pgm = b"P5\n%d %d\n255\n" % size + bytes(size[0] * size[1])
    sent = jpeg_of(ScanPicture(pgm, 300, MATRIX, np.zeros((2, 2), bool)))
    with Image.open(BytesIO(sent)) as image:
        assert (image.format, image.mode, max(image.size)) == ("JPEG", "L", LONGEST_SIDE)
    tall = b"P5\n1 9000\n255\n" + bytes(9000)
    assert jpeg_of(ScanPicture(tall, 300, MATRIX, np.zeros((2, 2), bool)))
