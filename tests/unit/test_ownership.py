"""What lands in the inbox is given away, and nothing else is: the group may change it any time."""

import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bookbrain.paths import Layout
from bookbrain.privileges import give_inbox

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="run it as root: only root can give files away"
)

SERVICE = pwd.getpwnam("nobody")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = Layout(tmp_path).inbox
    folder.mkdir(parents=True)
    folder.chmod(0o2770)
    return folder


def owner(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid


def give(tmp_path: Path) -> None:
    give_inbox(Layout(tmp_path), SERVICE)


def test_files_and_folders_are_given(inbox: Path, tmp_path: Path) -> None:
    book = inbox / "shelf/row/book.pdf"
    book.parent.mkdir(parents=True)
    book.write_text("a book")
    book.chmod(0o600)
    give(tmp_path)
    for path in (book, book.parent, inbox / "shelf", inbox):
        assert owner(path) == (65534, 65534), path
    assert stat.S_IMODE(inbox.stat().st_mode) == 0o2770
    assert book.read_text() == "a book"


@pytest.mark.parametrize(
    "plant",
    [
        lambda path, secret: path.symlink_to(secret),
        lambda path, secret: path.symlink_to(secret.parent),
        lambda path, secret: path.hardlink_to(secret),
        lambda path, _: os.mkfifo(path),
        lambda path, _: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
    ],
    ids=["link to a file", "link to a folder", "another name", "pipe", "device"],
)
def test_nothing_outside_is_given(
    inbox: Path, tmp_path: Path, plant: Callable[[Path, Path], object]
) -> None:
    secret = tmp_path / "etc/secret"
    secret.parent.mkdir()
    secret.write_text("root's")
    (inbox / "folder").mkdir()
    for path in (inbox / "x.pdf", inbox / "folder/x.pdf"):
        plant(path, secret)
    (inbox / "z.pdf").touch()
    give(tmp_path)
    assert owner(secret) == owner(secret.parent) == (0, 0)
    assert owner(inbox / "x.pdf") == (0, 0)
    assert owner(inbox / "z.pdf") == (65534, 65534)


@pytest.mark.parametrize("name", ["inbox", "bookbrain"])
def test_a_link_in_place_of_the_inbox_leads_nowhere(inbox: Path, tmp_path: Path, name: str) -> None:
    folder = inbox if name == "inbox" else inbox.parent
    other = tmp_path / "other"
    folder.rename(other)
    (other / "inbox").mkdir(exist_ok=True)
    folder.symlink_to(other)
    give(tmp_path)
    assert owner(other) == (0, 0)


def test_it_goes_only_so_deep(inbox: Path, tmp_path: Path) -> None:
    folder = inbox
    for _ in range(200):
        folder = folder / "d"
        folder.mkdir()
    give(tmp_path)
    assert owner(inbox / "d" / "d") == (65534, 65534)
    assert owner(folder) == (0, 0)
