"""What the books page shows and does, run by Streamlit's own test harness on real libraries."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from support import pdfs
from support.drawn import Drawn, own_html

import bookbrain.web
from bookbrain.errors import BusyError
from bookbrain.files import file_lock
from bookbrain.library import Library
from bookbrain.messages import fill
from bookbrain.model import Plan
from bookbrain.settings import EmbeddingSettings, Settings
from bookbrain.store.catalog import Catalog
from bookbrain.web.books_page import plan
from bookbrain.web.shelf import Shelf, the_shelf, use_shelf
from bookbrain.web.uploads import Uploads

TITLED = '<p class="titled">'

pytestmark = pytest.mark.slow

SCRIPT = Path(bookbrain.web.__file__).with_name("frame.py")
EVIL = "<script>alert(1)</script> **bold** $x$ :red[no] [a](b)"


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    opened = Shelf(Settings(home=tmp_path / "library"))
    yield opened
    opened.close()


@pytest.fixture
def walrus(shelf: Shelf, tmp_path: Path) -> Path:
    """A book that is in the library."""
    path = pdfs.book(tmp_path / "walrus.pdf", ["The walrus waits."], title=EVIL)
    with shelf.library() as library:
        library.add([path])
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Twenty-five books; no test changes them."""
    folder = tmp_path_factory.mktemp("many")
    settings = Settings(home=folder / "library")
    with Library(settings) as library:
        for n in range(25):  # the last one added is "Title 00" in z00.pdf
            title, file = f"Title {24 - n:02}", f"z{24 - n:02}.pdf"
            library.add([pdfs.book(folder / file, [f"Page of {n}"], title=title)])
    opened = Shelf(settings)
    yield opened
    opened.close()


def run(shelf: Shelf, locale: str = "en-US") -> AppTest:
    use_shelf(shelf)
    shelf.uploads = Uploads(shelf.home, most=1_000_000)
    app = AppTest.from_file(SCRIPT, default_timeout=60)
    app.context["locale"] = locale
    app.run()
    app.switch_page("books_page.py").run()
    assert not app.exception
    return app


def lines(app: AppTest) -> list[str]:
    """The page's own lines but the titles, read as a browser does; no tags but ours are in them."""
    read = [Drawn(body) for body in own_html(app) if TITLED not in body]
    assert set().union(*(element.tags for element in read)) <= {"p", "strong", "img"}
    return [element.text for element in read if element.text]


def titles(app: AppTest) -> list[str]:
    """Of the books that are listed: what their links say."""
    read = [Drawn(body) for body in own_html(app) if TITLED in body]
    assert all(element.tags == {"p", "a"} for element in read)
    return [element.text for element in read]


def choose(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    app.file_uploader[0].set_value(
        [("upload.pdf", _sent(*file).encode(), "application/pdf") for file in files]
    )
    return app.run()


def _sent(name: str, data: bytes) -> str:
    """What stands for a file that a browser has sent."""
    uploads = the_shelf().uploads
    upload = uploads.begin("session", name)
    with uploads.open(upload) as file:
        uploads.write(upload, file, data)
    upload.name = name
    return upload.token


def click(app: AppTest, label: str) -> AppTest:
    (button,) = [button for button in app.button if button.label == label]
    return button.click().run()


# The list


def test_an_empty_library_says_how_to_begin(shelf: Shelf) -> None:
    assert lines(run(shelf)) == [
        "No books yet. Drop your PDFs below: what it costs is shown first.",
        "Or run `bookbrain add ~/Books` in a terminal.",
    ]
    assert lines(run(shelf, "ko-KR"))[0].startswith("아직 책이 없습니다.")


def test_a_book_and_its_problems_are_text(shelf: Shelf, walrus: Path, tmp_path: Path) -> None:
    with shelf.library() as library:
        library.add([pdfs.mixed(tmp_path / "<i>scan.pdf", ["text", "scan"], title="Half a scan")])
    app = run(shelf)
    assert titles(app) == ["Half a scan", EVIL]
    total, reading, scan, problem, first = lines(app)
    assert total.startswith("books: 2, pages: 3, passages: ")
    assert reading.startswith("Pages that text recognition is still to read: 1.")
    assert scan.startswith("<i>scan.pdf · pages: 2, passages: 1 · Added on 20")
    assert problem == "page 2: no text (a scan)"
    assert first.startswith("walrus.pdf · pages: 1, passages: 1")
    assert "Problems: 1" in [expander.label for expander in app.expander]


def test_few_books_need_no_filter(shelf: Shelf, walrus: Path) -> None:
    assert not run(shelf).text_input


def test_many_books_are_turned_over_looked_for_and_put_in_order(many: Shelf) -> None:
    app = run(many)
    assert titles(app) == [f"Title {n:02}" for n in range(20)]
    app.get("pagination")[0].set_value(2).run()
    assert titles(app) == [f"Title {n:02}" for n in range(20, 25)]
    app.selectbox(key="order").set_value("Title").run()
    app.text_input(key="filter").set_value("TITLE z1").run()
    assert titles(app) == [f"Title {n}" for n in range(10, 20)]
    app.text_input(key="filter").set_value("no such").run()
    assert titles(app) == []
    assert lines(app)[-1] == "No book is called that."


def test_books_that_are_not_embedded_are_counted(shelf: Shelf, walrus: Path) -> None:
    with shelf.library() as library:
        home = library.settings.home
    keyed = Shelf(Settings(home=home, embedding=EmbeddingSettings(api_key="sk-x")))
    assert lines(run(keyed))[1] == (
        "Books that are not found by meaning yet: 1. Run `bookbrain embed`."
    )
    keyed.close()


# Upload


def test_what_was_chosen_is_told_and_only_what_is_new_is_added(
    shelf: Shelf, walrus: Path, tmp_path: Path
) -> None:
    new = pdfs.book(tmp_path / "new.pdf", ["Locks wait."], title="<b>New</b>").read_bytes()
    app = choose(
        run(shelf), ("again.pdf", walrus.read_bytes()), ("new.pdf", new), ("<i>.pdf", b"no book")
    )
    assert "they would be found by keyword, at no cost." in lines(app)[4]
    assert lines(app)[1:4] == [
        f"again.pdf: already there, {EVIL}",
        "new.pdf: <b>New</b> · pages: 1, passages: 1",
        "<i>.pdf: not added, it is not a PDF. BookBrain reads PDF files; convert it first.",
    ]
    with shelf.library() as library:
        inbox = library.settings.home / "inbox"
    assert not inbox.exists()
    click(app, "Add 1 book")
    assert {path.name: path.read_bytes() for path in inbox.iterdir()} == {"new.pdf": new}
    assert not app.file_uploader[0].value
    assert "new.pdf · waits for its turn" in lines(app)


def test_what_finds_no_room_is_named_with_the_limit_and_the_others_are_added(
    shelf: Shelf, tmp_path: Path
) -> None:
    good = pdfs.book(tmp_path / "new.pdf", ["Locks wait."], title="New").read_bytes()
    app = choose(run(shelf), ("new.pdf", good), ("<i>.pdf", b"%PDF-" + bytes(1_000_000)))
    (line,) = [line for line in lines(app) if "<i>.pdf" in line]
    assert line == (
        "<i>.pdf: not added, there is no room for it: what is uploaded at one time may have 0 MB "
        "in all. Add or take away what was uploaded, then choose it again."
    )
    click(app, "Add 1 book")
    assert [path.name for path in (shelf.home / "inbox").iterdir()] == ["new.pdf"]
    assert not list((shelf.home / ".uploads").glob("[!.]*/*"))


def test_an_upload_that_is_there_no_more_is_to_be_chosen_again(
    shelf: Shelf, tmp_path: Path
) -> None:
    app = choose(run(shelf), ("a.pdf", b"%PDF-"))
    the_shelf().uploads.forget_absent(lambda session: True)
    the_shelf().uploads.take_away("session", "a.pdf")
    app.run()
    assert any("its upload is there no more. Choose it again." in line for line in lines(app))


def test_while_uploads_are_read_the_shelf_is_free(shelf: Shelf, tmp_path: Path) -> None:
    """Two readers at the desk, and a third upload that waits for one of them."""
    app = run(shelf)
    busy = BusyError("Other uploads are being read just now.", "Try again.")
    desk = Shelf(Settings(home=shelf.home), most=1, patience=0.1, busy=busy)
    one = Shelf(Settings(home=shelf.home), most=1, patience=0.1)
    use_shelf(one, desk)
    good = pdfs.book(tmp_path / "new.pdf", ["Locks wait."], title="New").read_bytes()
    with desk.library():
        app = choose(app, ("new.pdf", good))
        assert "Other uploads are being read just now." in "".join(lines(app))
    with one.library():
        plan = _planned_alone(good)
    assert plan.title == "New"
    desk.close()
    one.close()


def _planned_alone(data: bytes) -> Plan:
    """What the page asks for, while somebody has the last place of the shelf."""
    upload = the_shelf().uploads.find(_sent("new.pdf", data).encode())
    assert upload
    return plan(upload)


def test_a_book_that_is_called_as_one_that_is_there(shelf: Shelf, tmp_path: Path) -> None:
    for number, title in enumerate(("Walruses", "Seals"), start=1):
        with shelf.library() as library:
            library.add([pdfs.book(tmp_path / f"{number}.pdf", [title], title=title)])
    data = [
        pdfs.book(tmp_path / f"new{n}.pdf", [f"The {n}nd edition."], title=title).read_bytes()
        for n, title in enumerate(("Walruses", "Otters"), start=2)
    ]
    app = choose(run(shelf), ("a.pdf", data[0]), ("2.pdf", data[1]), ("b.pdf", data[1]))
    said = [line for line in lines(app) if "is there" in line]
    assert len(said) == 2
    assert said[0].startswith("another book of this title or file name is there: 1 pages, added")


def test_what_it_costs_is_told_for_each_and_for_all(tmp_path: Path) -> None:
    embedding = EmbeddingSettings(api_key="sk-x", price=2.0)
    shelf = Shelf(Settings(home=tmp_path / "library", embedding=embedding))
    data = [pdfs.long_book(tmp_path / f"{n}.pdf", 3, seed=n).read_bytes() for n in (1, 2)]
    app = choose(run(shelf), ("1.pdf", data[0]), ("2.pdf", data[1]))
    one, two, both = [line for line in lines(app) if "tokens" in line]
    tokens = [int(line.partition("about ")[2].split()[0].replace(",", "")) for line in (one, two)]
    assert both.startswith(f"In all about {sum(tokens):,} tokens, $0.0")
    shelf.close()


def test_nothing_to_add_is_no_button_to_press(shelf: Shelf) -> None:
    app = choose(run(shelf), ("x.pdf", b"no book"))
    assert [button.disabled for button in app.button] == [True]


# On its way


def test_what_is_under_way_and_what_waits(shelf: Shelf, walrus: Path) -> None:
    with shelf.library() as library:
        home = library.settings.home
    catalog = Catalog(home / "catalog.sqlite3")
    catalog.queue([Path("/a/**first**.pdf"), Path("/a/second.pdf")])
    catalog.note_progress(1, "embedding", 3, 12)
    app = run(shelf, "ko-KR")
    (bar,) = app.get("progress")
    assert bar.proto.value == 25
    assert bar.proto.text.replace("\\", "") == "**first**.pdf · 임베딩하는 중 3/12"
    assert "second.pdf · 차례를 기다리는 중" in lines(app)
    catalog.set_waiting(fill("{where} cannot be reached.", where="OpenAI"))
    app.run()
    assert not app.get("progress")
    assert "**first**.pdf · 연결할 수 없습니다: OpenAI." in lines(app)
    catalog.close()


def test_what_was_rejected_stays_until_it_is_deleted(shelf: Shelf, walrus: Path) -> None:
    with shelf.library() as library:
        rejected = library.settings.home / "inbox" / "rejected"
    rejected.mkdir(parents=True)
    for name in ("a.pdf", "<b>.pdf"):
        (rejected / name).write_text("no book")
        (rejected / f"{name}.reason.txt").write_text("it is not a PDF\nConvert <i>it</i>.\n")
    app = run(shelf)
    reasons = [line for line in lines(app) if "not added" in line]
    assert reasons == [f"{n}: not added, it is not a PDF. Convert <i>it</i>." for n in
                       ("<b>.pdf", "a.pdf")]  # fmt: skip
    app.button(key="dismiss-0").click().run()
    assert [line for line in lines(app) if "not added" in line] == reasons[1:]
    assert sorted(path.name for path in rejected.iterdir()) == ["a.pdf", "a.pdf.reason.txt"]


# Changes


def ask(app: AppTest, change: str) -> AppTest:
    return app.menu_button[0].set_value(change).run()


def test_another_title(shelf: Shelf, walrus: Path) -> None:
    app = ask(run(shelf), "Rename")
    assert app.text_input[0].value == EVIL
    app.text_input[0].set_value("   ")
    click(app, "Save")
    assert "A title has 1 to 300 characters. Choose another." in lines(app)
    app.text_input[0].set_value("$$ new $$")
    click(app, "Save")
    assert titles(app) == ["$$ new $$"]
    assert not app.text_input


def test_a_title_that_stays_after_all(shelf: Shelf, walrus: Path) -> None:
    app = ask(run(shelf), "Rename")
    assert titles(app) == []  # the field has its place
    app.text_input[0].set_value("Another")
    click(app, "Cancel")
    assert titles(app) == [EVIL]


def test_the_end_of_a_book_is_asked_for(shelf: Shelf, walrus: Path) -> None:
    app = ask(run(shelf), "Remove")
    assert f"{EVIL} (walrus.pdf)" in lines(app)
    assert titles(app) == [EVIL]
    click(app, "Remove")
    assert titles(app) == []


def test_while_another_writes_a_book_stays_and_the_page_says_so(shelf: Shelf, walrus: Path) -> None:
    app = ask(run(shelf), "Remove")
    with shelf.library() as library:
        lock = library.settings.home / "library.lock"
    with file_lock(lock):
        click(app, "Remove")
    assert "Another book is being added just now. Try again when that is done." in lines(app)
    assert titles(app) == [EVIL]
    click(app, "Remove")
    assert titles(app) == []
