"""A title, a file name, a query is shown as it is, and the words around it in Korean."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from streamlit.testing.v1 import AppTest
from support import pdfs
from support.drawn import own_html

import bookbrain.cli
import bookbrain.web
from bookbrain.checks.channels import about_changes, summary_of
from bookbrain.errors import NotFoundError
from bookbrain.library import Library
from bookbrain.library.inbox import Patience, rejections
from bookbrain.library.inbox_worker import ingest
from bookbrain.messages import fill, translated
from bookbrain.model import printable
from bookbrain.reports import Check, State, keep_check, last_check
from bookbrain.settings import Settings
from bookbrain.store.catalog import Catalog
from bookbrain.store.damage import CheckState, Damage, keep_state, read_state
from bookbrain.web.shelf import Shelf, use_shelf
from bookbrain.web.uploads import Uploads

SCRIPT = Path(bookbrain.web.__file__).with_name("frame.py")
TITLES = [
    "Go. Mend it", "Java. Run it with sudo", "Nothing was changed.", "Books now: 3.", "{title}",
    "%s", "없습니다", "아무것도 바꾸지 않았습니다.", "Removed Go.", "damaged", "Go. " * 19 + "Go.",
    "Line\nbreak. Mend it.", "a\x01b", "exit code 31",
]  # fmt: skip


def _run(*arguments: str, answer: str = "") -> Result:
    runner = CliRunner(env={"LC_ALL": "ko_KR.UTF-8", "COLUMNS": "80"})
    return runner.invoke(bookbrain.cli.main, arguments, input=answer, prog_name="bookbrain")


@pytest.mark.slow
def test_commands_show_a_title_as_it_is(tmp_path: Path) -> None:
    assert _run("add", str(pdfs.book(tmp_path / "Mend it.pdf", ["A page."]))).exit_code == 0
    for title in TITLES:
        renamed = _run("rename", "Mend it.pdf", title)
        shown = printable(" ".join(title.split()))
        assert renamed.stdout == f"제목을 바꾸었습니다: {shown} (Mend it.pdf)\n"
        assert f"쪽     1구절  {shown}  (Mend it.pdf)\n" in _run("books").stdout
        asked = _run("remove", "Mend it.pdf", answer="n\n").stdout
        assert asked.startswith(f"이 책을 지울까요? {shown} (Mend it.pdf) ")
        known = _run("add", str(tmp_path / "Mend it.pdf")).stdout
        assert known.startswith(f"이미 있음  Mend it.pdf: {shown} (1쪽, 구절 1개)\n")
    assert _run("remove", "Mend it.pdf", "--yes").stdout == f"책을 지웠습니다: {TITLES[-1]}.\n"


@pytest.mark.parametrize("name", TITLES)
def test_an_error_names_what_was_asked_for_as_it_is(name: str) -> None:
    failed = _run("remove", name)
    assert failed.stderr == printable(f"오류: 그런 책이 없습니다: {name!r}.") + (
        "\n다음: ID는 `bookbrain books`가 보여 줍니다.\n"
    )
    missing = _run("add", f"{name}.pdf").stderr
    assert printable(f"{name}.pdf: 그런 파일이나 폴더가 없습니다. 경로를 확인하십시오.") in missing


def test_the_reason_of_a_rejected_file_is_in_both_languages(tmp_path: Path) -> None:
    with Library(Settings(tmp_path / "library")) as library:
        home = library.settings.home
        (home / "inbox").mkdir(exist_ok=True)
        for title in TITLES[:8]:
            (home / "inbox" / f"{title}.pdf").write_bytes(b"no PDF" * 1000)
        patience = Patience(settle=0.02, stray=0.05, upload=0.1, look=0.05, folder=0.1)
        assert ingest(library, patience) is None
        found = rejections(home / "inbox")
    assert sorted(one.file for one in found) == sorted(f"{title}.pdf" for title in TITLES[:8])
    for one in found:
        assert (one.reason, translated(one.reason, "ko")) == ("it is not a PDF", "PDF가 아닙니다")
        beside = home / "inbox" / "rejected" / f"{one.file}.reason.txt"
        assert beside.read_text(encoding="utf-8").splitlines() == [
            "it is not a PDF",
            "BookBrain reads PDF files; convert it first.",
            "",
            "PDF가 아닙니다",
            "BookBrain은 PDF만 읽습니다. 먼저 PDF로 변환하십시오.",
        ]


@pytest.mark.parametrize("name", TITLES)
def test_a_notification_names_things_as_they_are(name: str) -> None:
    check = Check(
        "backup",
        State.FAIL,
        fill("The library was damaged at the last backup: {file}", file=name),
        fill("Add this line at its end: import {path}", path=name),
    )
    message = about_changes([check], name, "ko")
    assert name in message.title and not message.title.startswith("BookBrain on")
    assert printable(f"마지막으로 백업할 때 서재가 손상되어 있었습니다: {name}") in message.text
    assert summary_of([check], "ko") == message.text
    assert "Add this line" not in message.text


def test_what_is_kept_of_a_check_keeps_its_data_apart(tmp_path: Path) -> None:
    for name in TITLES:
        said = fill("The library was damaged at the last backup: {file}", file=name)
        korean = f"마지막으로 백업할 때 서재가 손상되어 있었습니다: {name}"
        seen = Check.fail("backup", said, NotFoundError(said).message)
        now = datetime.now(UTC)
        keep_check(tmp_path, [seen], now)
        kept = last_check(tmp_path)
        assert kept and kept.seen == (seen,)
        assert translated(kept.seen[0].seen, "ko") == korean
        damaged = fill("{file} is damaged: {reason}", file=name, reason=name)
        keep_state(tmp_path, CheckState().found("a", [Damage("a", damaged)]).ended(now))
        (damage,) = read_state(tmp_path).known
        assert translated(damage.what, "ko") == f"손상되었습니다: {name} ({name})"


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    opened = Shelf(Settings(home=tmp_path / "library"))
    yield opened
    opened.close()


@pytest.mark.slow
@pytest.mark.parametrize("title", ["Go. Mend it", "Nothing was changed.", "{title} %s"])
def test_pages_show_a_title_as_it_is(shelf: Shelf, tmp_path: Path, title: str) -> None:
    path = pdfs.book(tmp_path / f"{title}.pdf", ["The walrus waits."], title=title)
    with shelf.library() as library:
        library.add([path])
        (library.settings.home / "inbox" / "rejected").mkdir(parents=True, exist_ok=True)
        (library.settings.home / "inbox" / "rejected" / f"{title}").write_bytes(b"")
    use_shelf(shelf)
    shelf.uploads = Uploads(shelf.home, most=1_000_000)
    app = AppTest.from_file(SCRIPT, default_timeout=60)
    app.context["locale"] = "ko-KR"
    app.run()
    app.switch_page("books_page.py").run()
    html = "".join(own_html(app))
    assert f'&amp;page=1">{escape(title)}</a>' in html
    assert f"<strong>{title}</strong>: 넣지 못함" in html
    assert not app.exception


def test_why_books_wait_is_in_korean(tmp_path: Path) -> None:
    with Library(Settings(tmp_path / "library")) as library:
        home = library.settings.home
        library.books()
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        catalog.queue([tmp_path / "a.pdf"])
        for where in TITLES:
            catalog.set_waiting(fill("{where} cannot be reached.", where=where))
            (job,) = catalog.jobs()
            assert job.waiting == f"{where} cannot be reached."
            assert translated(job.waiting, "ko") == f"연결할 수 없습니다: {where}."
        for odd in ('[["a"]]', '[[1], [], ""]', '[["a", "b"], [], ""]', "[[", "plain"):
            catalog.set_waiting(odd)
            assert catalog.jobs()[0].waiting == odd
