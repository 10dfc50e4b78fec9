"""How far a book is, for everybody who looks while another process works on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import pdfs

from bookbrain.errors import InputError
from bookbrain.library import Library
from bookbrain.library.jobs import Noted
from bookbrain.model import SILENT, Arrival, Progress, Step
from bookbrain.settings import Settings
from bookbrain.store.catalog import Catalog, Job


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library(Settings(home)) as opened:
        yield opened


class _Onlooker(Progress):
    """Asks another open library what is under way, at every step."""

    def __init__(self, other: Library) -> None:
        self.other = other
        self.told: list[tuple[Step, int, int]] = []
        self.seen: list[list[Arrival]] = []

    def step(self, step: Step, done: int, total: int) -> None:
        self.told.append((step, done, total))
        self.seen.append(self.other.under_way())


@pytest.mark.slow
def test_others_see_each_step_and_what_comes_after(library: Library, tmp_path: Path) -> None:
    first = pdfs.long_book(tmp_path / "first.pdf", 4)
    second = pdfs.book(tmp_path / "second.pdf", ["Locks."])
    with Library(library.settings) as other:
        onlooker = _Onlooker(other)
        library.add([first, second], onlooker)
        assert other.under_way() == []
    seen = [arrivals for arrivals in onlooker.seen if arrivals]  # no job is left at the very end
    assert seen[0] == [Arrival("first.pdf", *onlooker.told[0]), Arrival("second.pdf")]
    steps = {arrivals[0].step for arrivals in seen if arrivals[0].file == "first.pdf"}
    assert steps == {"reading", "analysing", "indexing"}
    assert [arrival.file for arrival in seen[-1]] == ["second.pdf"]


def test_not_every_page_is_noted_but_every_step_is(home: Path) -> None:
    home.mkdir()
    catalog = Catalog(home / "catalog.sqlite3")
    catalog.queue([Path("/a.pdf")])
    noted = Noted(SILENT, catalog, 1)
    seen = set()
    for done in range(2000):
        noted.step("reading", done, 2000)
        seen.add(catalog.jobs()[0].done)
    assert 0 in seen
    assert len(seen) < 1000
    noted.step("embedding", 0, 9)
    assert catalog.jobs()[0] == Job(1, "/a.pdf", "", "embedding", 0, 9)
    catalog.close()


def test_a_note_that_cannot_be_written_stops_nobody(home: Path) -> None:
    home.mkdir()
    catalog = Catalog(home / "catalog.sqlite3")
    catalog.close()
    told: list[int] = []

    class Told(Progress):
        def step(self, step: Step, done: int, total: int) -> None:
            told.append(done)

    Noted(Told(), catalog, 1).step("reading", 5, 9)
    assert told == [5]


def test_the_inbox_is_on_its_way_too(library: Library, home: Path) -> None:
    (home / "inbox" / "deep").mkdir(parents=True)
    (home / "inbox" / "b.pdf").write_bytes(b"%PDF-")
    (home / "inbox" / "deep" / "c.pdf").write_bytes(b"%PDF-")
    (home / "inbox" / ".upload-1.part").write_bytes(b"%PDF-")
    catalog = Catalog(home / "catalog.sqlite3")
    catalog.queue([home / "inbox" / "b.pdf", Path("/elsewhere/a.pdf")])
    catalog.note_progress(1, "embedding", 2, 9)
    catalog.set_waiting("OpenAI cannot be reached.")
    assert library.under_way() == [
        Arrival("b.pdf", "embedding", 2, 9, "OpenAI cannot be reached."),
        Arrival("a.pdf", waiting="OpenAI cannot be reached."),
        Arrival("deep/c.pdf"),
    ]
    catalog.close()


# Another title


@pytest.fixture
def walrus(library: Library, tmp_path: Path) -> str:
    book = pdfs.book(tmp_path / "walrus.pdf", ["The walrus waits."], title="Old")
    return library.add([book]).outcomes[0].book.id  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_new_title_is_everywhere_and_stays(library: Library, walrus: str) -> None:
    assert library.rename(walrus[:8], " <b>새\n제목</b>  ").title == "<b>새 제목</b>"
    assert library.search("walrus").hits[0].title == "<b>새 제목</b>"
    library.rebuild()
    with Library(library.settings) as other:
        assert [book.title for book in other.books()] == ["<b>새 제목</b>"]


@pytest.mark.slow
@pytest.mark.parametrize("title", ["", " \n\t", "x" * 301])
def test_what_is_no_title(library: Library, walrus: str, title: str) -> None:
    with pytest.raises(InputError, match="A title has"):
        library.rename(walrus, title)
    assert library.books()[0].title == "Old"


@pytest.mark.slow
def test_a_title_does_not_wait_for_who_adds(library: Library, walrus: str, tmp_path: Path) -> None:
    titles: list[str] = []

    class Renaming(Progress):
        def step(self, step: Step, done: int, total: int) -> None:
            with Library(library.settings) as other:
                titles.append(other.rename(walrus, f"{step} {done}").title)

    library.add([pdfs.book(tmp_path / "more.pdf", ["More."])], Renaming())
    assert titles
    assert library.books()[0].title == titles[-1]
