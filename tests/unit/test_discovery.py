"""Which files are meant, and what is said of those that cannot be books."""

import os
from pathlib import Path

import pytest

from bookbrain.errors import InputError
from bookbrain.formats.format import find_books
from bookbrain.formats.pdf import open_pdf


def touch(path: Path, data: bytes = b"%PDF-1.7") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_folders_are_searched_by_name(tmp_path: Path) -> None:
    names = ["b.pdf", "a.PDF", "sub/c.Pdf", "sub/deep/d.pdf", "한글 책.pdf"]
    books = [touch(tmp_path / name) for name in names]
    for name in ("e.txt", ".hidden.pdf", ".trash/f.pdf", "pdf"):
        touch(tmp_path / name)
    found = find_books([tmp_path])
    assert found.unusable == ()
    assert found.files == tuple(sorted(books))


def test_a_hidden_folder_that_is_named_counts(tmp_path: Path) -> None:
    book = touch(tmp_path / ".books" / "a.pdf")
    assert find_books([tmp_path / ".books"]).files == (book,)


def test_files_are_taken_as_they_are_named_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, text = touch(tmp_path / "a.pdf"), touch(tmp_path / "notes.txt")
    monkeypatch.chdir(tmp_path)
    assert find_books(["notes.txt", tmp_path, "./a.pdf", str(book)]).files == (text, book)


def test_a_link_keeps_its_name(tmp_path: Path) -> None:
    book = touch(tmp_path / "store" / "0001")
    link = tmp_path / "Kernel.pdf"
    link.symlink_to(book)
    assert find_books([link]).files == (link,)


def test_what_cannot_be_used_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    book = touch(tmp_path / "a.pdf")
    missing = ["nothing.pdf", "x" * 300, "a\0b", "~nobody-of-this-name/x.pdf"]
    found = find_books([*missing, tmp_path / "empty", book])
    assert found.files == (book,)
    assert [path for path, _ in found.unusable] == [*missing, str(tmp_path / "empty")]
    assert {error.message for _, error in found.unusable} == {
        "there is no such file or folder",
        "there is no PDF in this folder",
    }


def test_tilde_is_home_only_where_it_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = touch(Path(os.environ["HOME"]) / "a.pdf")
    odd = touch(tmp_path / "~odd.pdf")
    monkeypatch.chdir(tmp_path)
    assert find_books(["~/a.pdf", "~odd.pdf"]).files == (book, odd)


def test_a_name_in_another_encoding_is_refused_alone(tmp_path: Path) -> None:
    latin = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pdf")
    touch(Path(latin))
    book = touch(tmp_path / "z.pdf")
    found = find_books([tmp_path])
    assert found.files == (book,)
    ((name, error),) = found.unusable
    assert name == f"{tmp_path}/caf?.pdf"
    assert "UTF-8" in error.message


def test_a_folder_that_is_too_deep_is_named(tmp_path: Path) -> None:
    book = touch(tmp_path / "books" / "a.pdf")
    deep = tmp_path / "books"
    for number in range(70):
        deep = deep / str(number)
    touch(deep / "c.pdf")
    found = find_books([tmp_path / "books"])
    assert found.files == (book,)
    ((_, error),) = found.unusable
    assert error.message == "it cannot be opened (too many folders in folders)"


def test_linked_folders_are_taken_once(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    own, other = touch(shelf / "own" / "a.pdf"), touch(tmp_path / "nas" / "deep" / "b.pdf")
    (shelf / "own" / "loop").symlink_to("..")
    (shelf / "nas").symlink_to(tmp_path / "nas")
    (shelf / "again").symlink_to(tmp_path / "nas" / "deep")
    (shelf / "same").symlink_to(shelf / "own")
    (shelf / ".hidden").symlink_to(tmp_path / "nas")
    (shelf / "link.pdf").symlink_to(other)
    (tmp_path / "nas" / "back").symlink_to(shelf)
    found = find_books([shelf])
    assert found.unusable == ()
    assert set(found.files) == {own, shelf / "again" / "b.pdf", shelf / "link.pdf"}


def test_links_to_folders_are_named_where_none_is_followed(tmp_path: Path) -> None:
    book, other = touch(tmp_path / "books" / "a.pdf"), touch(tmp_path / "other" / "b.pdf")
    (tmp_path / "books" / "more").symlink_to(other.parent)
    found = find_books([tmp_path / "books"], links=False)
    assert found.files == (book,)
    ((name, error),) = found.unusable
    assert name == str(tmp_path / "books" / "more")
    assert (error.message, error.hint) == (
        "it is a link to a folder", "Name the folder that it leads to."
    )  # fmt: skip


@pytest.mark.parametrize("links", [True, False])
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, links: bool) -> None:
    book = touch(tmp_path / "a.pdf")
    (tmp_path / "nas").symlink_to(tmp_path / "gone")
    (tmp_path / "notes.txt").symlink_to(tmp_path / "gone.txt")  # nobody meant that
    found = find_books([tmp_path], links=links)
    assert found.files == (book,)
    ((name, error),) = found.unusable
    assert (name, error.message) == (str(tmp_path / "nas"), "it is a link that leads nowhere")


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("run it as another user: root can read everything")
    book = touch(tmp_path / "a.pdf")
    touch(tmp_path / "closed" / "b.pdf").parent.chmod(0)
    found = find_books([tmp_path])
    (tmp_path / "closed").chmod(0o700)
    assert found.files == (book,)
    ((name, error),) = found.unusable
    assert (name, error.message) == (
        str(tmp_path / "closed"), "it cannot be opened (Permission denied)"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"just text", "not a PDF"), (b"\0" * 5000 + b"%PDF-1.4", "not a PDF")],
)
def test_what_is_no_pdf(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        open_pdf(touch(tmp_path / "x.pdf", data)).close()
    assert error.value.hint


def test_what_may_be_one(tmp_path: Path) -> None:
    open_pdf(touch(tmp_path / "a", b"%PDF-1.7 and so on")).close()
    open_pdf(touch(tmp_path / "b", b"From: a mail header\n%PDF-1.2")).close()


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pdf")
    (tmp_path / "gone.pdf").symlink_to(tmp_path / "nowhere")
    for name in ("pipe.pdf", "gone.pdf", ".", "missing.pdf"):
        with pytest.raises(InputError, match=r"not a file|no such file"):
            open_pdf(tmp_path / name).close()
