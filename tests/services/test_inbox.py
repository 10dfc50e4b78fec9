"""What lands in the inbox becomes a book or a reason why not; and root's `add` on a server."""

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import pdfs
from support.chroma_server import ChromaServer
from support.namespace import Namespace
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for

import bookbrain

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("inbox"),  # each server's home has the same name: one at a time
]


def _inbox(shelf: Shelf) -> Path:
    inbox = shelf.home / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    return inbox


def _put(shelf: Shelf, *books: Path) -> list[Path]:
    """Copies of the books in the inbox."""
    copies = [_inbox(shelf) / book.name for book in books]
    for book, copy in zip(books, copies, strict=True):
        copy.write_bytes(book.read_bytes())
    return copies


def _files(folder: Path) -> list[str]:
    """All files below, and empty folders."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() or not any(path.iterdir())
    )


def test_books_are_taken_and_bad_files_are_rejected(
    plain: Shelf, tmp_path: Path, english: list[Path]
) -> None:
    plain.add(english[1])
    _put(plain, english[0], english[1], pdfs.encrypted(tmp_path / "locked.pdf"))
    (_inbox(plain) / "notes.doc").write_text("Not a PDF at all.\n" * 100)
    (_inbox(plain) / "coming.pdf.part").write_bytes(english[2].read_bytes())
    (_inbox(plain) / ".hidden.pdf").write_bytes(english[2].read_bytes())
    done = plain.run("ingest-inbox")
    assert "INFO: begin file='book1.pdf'" in done.err
    assert "INFO: added file='book1.pdf' book=" in done.err
    assert " pages=8 passages=" in done.err
    assert "INFO: known file='book2.pdf' book=" in done.err
    assert "WARNING: rejected file='locked.pdf' reason='it is protected by a password'" in done.err
    assert "WARNING: rejected file='notes.doc' reason='it is not a PDF'" in done.err
    assert {book["file"] for book in plain.books()} == {"book1.pdf", "book2.pdf"}
    assert _files(_inbox(plain)) == [
        ".hidden.pdf", "coming.pdf.part", "rejected/locked.pdf", "rejected/locked.pdf.reason.txt",
        "rejected/notes.doc", "rejected/notes.doc.reason.txt",
    ]  # fmt: skip
    assert (_inbox(plain) / "rejected/notes.doc.reason.txt").read_text().splitlines() == [
        "it is not a PDF", "BookBrain reads PDF files; convert it first.", "",
        "PDF가 아닙니다", "BookBrain은 PDF만 읽습니다. 먼저 PDF로 변환하십시오.",
    ]  # fmt: skip
    listed = plain.run("books", "--json")
    assert len(listed.json()) == 2
    assert "not added  notes.doc: it is not a PDF. BookBrain reads PDF files" in listed.err
    assert f"Not added: 2. They are in {_inbox(plain)}/rejected." in listed.err


def test_a_file_that_is_still_written_is_waited_for(plain: Shelf, english: list[Path]) -> None:
    whole = english[0].read_bytes()
    slow = _inbox(plain) / "slow.pdf"
    slow.write_bytes(whole[: len(whole) // 2])
    process = plain.start("ingest-inbox")
    other_is_there = threading.Event()

    def upload() -> None:
        time.sleep(6)  # longer than a file must rest
        assert other_is_there.wait(60)
        with slow.open("ab") as file:
            file.write(whole[len(whole) // 2 :])

    writer = threading.Thread(target=upload)
    writer.start()
    wait_for((plain.home / "catalog.sqlite3").exists, "the start")
    _put(plain, english[1])  # is not held up
    wait_for(lambda: not (_inbox(plain) / "book2.pdf").exists(), "the other book")
    other_is_there.set()
    writer.join()
    done = plain.finish(process)
    assert "rejected" not in done.err
    assert {book["file"]: book["pages"] for book in plain.books()} == {
        "slow.pdf": 8,
        "book2.pdf": 8,
    }
    assert _files(_inbox(plain)) == []


def test_folders_are_emptied_and_go(plain: Shelf, english: list[Path]) -> None:
    java = _inbox(plain) / "Java"
    java.mkdir()
    (_inbox(plain) / "kept").mkdir()
    (_inbox(plain) / "kept" / "cover.jpg").touch()
    (java / "book.pdf").write_bytes(english[0].read_bytes())
    (java / "bad.pdf").write_text("no")
    os.utime(java / "bad.pdf", (0, 0))
    plain.run("ingest-inbox")
    assert [book["file"] for book in plain.books()] == ["book.pdf"]
    assert _files(_inbox(plain)) == [
        "kept/cover.jpg", "rejected/Java/bad.pdf", "rejected/Java/bad.pdf.reason.txt",
    ]  # fmt: skip


def test_killed_and_run_again(plain: Shelf, tmp_path: Path, english: list[Path]) -> None:
    long = pdfs.long_book(tmp_path / "long.pdf", 60, seed=7, language="en")
    for instant in (0.0, 0.15, 0.3, 0.45):
        _put(plain, *english, long)
        process = plain.start("ingest-inbox")
        wait_for(lambda p=process: plain.processes("pdf_child") or p.poll() == 0, "the first book")
        time.sleep(instant)
        process.kill()
        process.communicate()
    done = plain.run("ingest-inbox")
    assert "rejected" not in done.err
    assert len(plain.books()) == 4
    assert _files(_inbox(plain)) == []
    files = sorted(path.stem for path in (plain.home / "books").glob("*.pdf"))
    assert files == sorted(book["id"] for book in plain.books())


@pytest.fixture
def interrupted(plain: Shelf, tmp_path: Path) -> Path:
    """A book in the inbox whose taking was killed."""
    long = pdfs.long_book(tmp_path / "long.pdf", 200, seed=7, language="en")
    (copy,) = _put(plain, long)
    process = plain.start("ingest-inbox")
    wait_for(lambda: plain.processes("pdf_child"), "the reader")
    process.kill()
    process.communicate()
    return copy


def test_what_another_command_finished_is_known(plain: Shelf, interrupted: Path) -> None:
    assert "Interrupted before they were added: 1." in plain.run("books").err
    plain.run("add")
    assert interrupted.exists()
    assert "known file='long.pdf'" in plain.run("ingest-inbox").err
    assert not interrupted.exists()


def test_a_job_whose_file_was_taken_out_is_no_failure(plain: Shelf, interrupted: Path) -> None:
    interrupted.unlink()
    done = plain.run("ingest-inbox")
    assert "rejected" not in done.err
    assert plain.books() == []


def test_two_runs_at_once(plain: Shelf, english: list[Path]) -> None:
    _put(plain, *english)
    runs = [plain.start("ingest-inbox") for _ in range(2)]
    said = "".join(plain.finish(run).err for run in runs)
    assert said.count(" added file=") == 3
    assert "rejected" not in said
    assert len(plain.books()) == 3
    assert _files(_inbox(plain)) == []


def test_a_service_that_is_gone_leaves_all_for_later(
    shelf: Shelf, openai: OpenAIProcess, english: list[Path]
) -> None:
    _put(shelf, *english[:2])
    shelf.run("ingest-inbox", code=78, OPENAI_API_KEY="sk-wrong")
    gone = shelf.run("ingest-inbox", code=69, CHROMA_URL="http://127.0.0.1:9")
    assert gone.err.count("Error: ") == 1
    assert _files(_inbox(shelf)) == ["book1.pdf", "book2.pdf"]
    assert "In the inbox, on their way: 2 (book1.pdf, book2.pdf)." in shelf.run("books").err
    shelf.run("ingest-inbox")
    assert len(shelf.books()) == 2
    assert _files(_inbox(shelf)) == []


# Root on a server

_UID = 64123  # nobody's


class Server:
    """A machine of its own, as far as its users, /etc and /var/lib go; commands are root's."""

    def __init__(self, folder: Path, namespace: Namespace, chroma: ChromaServer) -> None:
        self.namespace = namespace
        self.home = folder / "lib" / "bookbrain"  # from outside; inside it is in /var/lib
        folder.mkdir()
        self._make_reachable(folder)
        self._make_etc(folder / "etc", chroma.url)
        self.home.mkdir(parents=True)
        os.chown(self.home, _UID, _UID)
        namespace.run("mount", "--bind", str(self.home.parent), "/var/lib")
        self.shelf = Shelf(Path("/var/lib/bookbrain"), None, namespace.inside)
        self.shelf.env["PYTHONDONTWRITEBYTECODE"] = "1"
        for name in ("BOOKBRAIN_HOME", "BOOKBRAIN_EMBEDDING_DIMENSIONS"):
            del self.shelf.env[name]

    def _make_etc(self, etc: Path, chroma_url: str) -> None:
        subprocess.run(["cp", "-a", "/etc", etc], check=True)
        for file, line in (
            ("passwd", f"bookbrain:x:{_UID}:{_UID}::/var/lib/bookbrain:/bin/false\n"),
            ("group", f"bookbrain:x:{_UID}:\n"),
        ):
            with (etc / file).open("a") as entries:
                entries.write(line)
        (etc / "bookbrain" / "credentials").mkdir(parents=True)
        (etc / "bookbrain" / "credentials").chmod(0o700)
        settings = etc / "bookbrain" / "bookbrain.env"
        settings.write_text(f"CHROMA_URL={chroma_url}\nBOOKBRAIN_EMBEDDING_DIMENSIONS=61\n")
        settings.chmod(0o600)
        self.namespace.run("mount", "--bind", str(etc), "/etc")

    def _make_reachable(self, folder: Path) -> None:
        """The interpreter and this checkout, where only root or their owner may look."""
        places = {Path(sys.base_prefix), Path(sys.prefix), Path(bookbrain.__file__).parents[1]}
        hidden = {place: top for place in places if (top := _closed(place))}
        outer = [p for p in hidden if not hidden.keys() & set(p.parents)]
        asides = {place: folder / f"aside{number}" for number, place in enumerate(outer)}
        for place, aside in asides.items():
            aside.mkdir()
            self.namespace.run("mount", "--rbind", str(place), str(aside))
        for top in {hidden[place] for place in outer}:
            self.namespace.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(top))
        for place, aside in asides.items():
            self.namespace.run("mkdir", "-p", str(place))
            self.namespace.run("mount", "--rbind", str(aside), str(place))
        service = ("setpriv", f"--reuid={_UID}", f"--regid={_UID}", "--clear-groups")
        try:
            self.namespace.run(*service, sys.executable, "-P", "-c", "import bookbrain.cli")
        except subprocess.CalledProcessError:
            pytest.skip("only root may read this checkout: chmod -R go+rX .")

    def use(self, openai: OpenAIProcess) -> None:
        """Embed there; the key is in a file that only root reads."""
        etc = self.home.parent.parent / "etc" / "bookbrain"
        with (etc / "bookbrain.env").open("a") as settings:
            settings.write(f"OPENAI_BASE_URL={openai.url}\n")
        key = etc / "credentials" / "openai-api-key"
        key.touch(0o600)
        key.write_text(openai.key)

    def owners(self) -> set[int]:
        return {path.lstat().st_uid for path in (self.home, *self.home.rglob("*"))}


def _closed(place: Path) -> Path | None:
    """The uppermost folder on the way to `place` that the service's user may not enter."""
    way = [*reversed(place.parents), place]
    return next((folder for folder in way if not folder.stat().st_mode & stat.S_IXOTH), None)


@pytest.fixture
def server(tmp_path: Path, chroma: ChromaServer) -> Iterator[Server]:
    if os.geteuid() != 0:
        pytest.skip("run it as root: only root becomes the service's user")
    with Namespace("mount") as namespace:
        made = Server(tmp_path / "server", namespace, chroma)
        with made.shelf:
            yield made


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder that only root can look into."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    return folder


def test_root_adds_what_only_root_can_read(
    server: Server, openai: OpenAIProcess, private: Path, english: list[Path]
) -> None:
    server.use(openai)
    for number, book in enumerate(english[:2]):
        (private / str(number)).mkdir()
        path = private / str(number) / "same name.pdf"
        path.write_bytes(book.read_bytes())
        path.chmod(0o600)
    bad = pdfs.encrypted(private / "locked.pdf")
    done = server.shelf.add(private, private / "none.pdf", code=1)
    assert "added      same name.pdf: Manual 1 (8 pages" in done.out
    assert "added      same name (2).pdf: Manual 2 (8 pages" in done.out
    assert "2 added, 0 already there, 2 not added." in done.out
    assert f"not added  {bad}: it is protected by a password." in done.err
    assert f"not added  {private / 'none.pdf'}: there is no such file or folder." in done.err
    assert openai.requests
    assert _files(server.home / "inbox") == []
    again = server.shelf.add("--json", private / "0", private / "1").json()
    assert [(o["path"], o["status"]) for o in again] == [
        (str(private / "0" / "same name.pdf"), "known"),
        (str(private / "1" / "same name.pdf"), "known"),
    ]
    assert server.owners() == {_UID}
    assert not list(private.glob("*/*.part"))


def test_every_command_of_root_leaves_files_of_the_service_only(
    server: Server, private: Path, english: list[Path]
) -> None:
    golden = private / "golden.jsonl"
    golden.write_text('{"id": "1", "query": "the lock", "book": "book1.pdf", "pages": [1]}\n')
    golden.chmod(0o600)
    book = private / "book1.pdf"
    book.write_bytes(english[0].read_bytes())
    plan = server.shelf.add("--dry-run", private, private / "none.pdf", code=1)
    assert "would be added   book1.pdf: Manual 1 (8 pages" in plan.out
    assert "cannot be added  " in plan.err
    assert server.shelf.books() == []
    server.shelf.add(book, "--sample")
    assert server.shelf.search("lock")["hits"]
    assert server.shelf.run("eval", golden, "--json").json()["n"] == 1
    server.shelf.run("rebuild")
    server.shelf.run("remove", "--yes", "book1.pdf")
    _put(Shelf(server.home), book)  # a file of root's
    (server.home / "inbox" / "book1.pdf").chmod(0o644)
    assert "added file='book1.pdf'" in server.shelf.run("ingest-inbox").err
    assert server.owners() == {_UID}
    assert not [path for path in Path("/var/tmp").glob("bookbrain-*") if path.stat().st_uid == _UID]


def test_a_full_disk_leaves_no_copies(server: Server, private: Path) -> None:
    book = pdfs.long_book(private / "long.pdf", 200, language="en")
    size = book.stat().st_size // 1024 // 2 + 500
    namespace, home = server.namespace, "/var/lib/bookbrain"
    namespace.run("mount", "-t", "tmpfs", "-o", f"size={size}k,uid={_UID},mode=750", "tmpfs", home)
    server.shelf.books()
    filler = f"head -c {size * 1024 - book.stat().st_size // 2} /dev/zero > {home}/filler; true"
    namespace.run("sh", "-c", filler)
    done = server.shelf.add(book, code=1)
    assert "Error: The disk is full." in done.err
    listed = subprocess.run(
        [*namespace.inside, "ls", "-A", f"{home}/inbox"], capture_output=True, check=True
    )
    assert listed.stdout == b""
    namespace.run("mount", "-o", "remount,size=200m", home)
    server.shelf.add(book)
    assert len(server.shelf.books()) == 1


def test_killed_while_roots_books_are_added(
    server: Server, openai: OpenAIProcess, private: Path, english: list[Path]
) -> None:
    server.use(openai)
    long = pdfs.long_book(private / "long.pdf", 200, seed=7, language="en")
    process = server.shelf.start("add", long, english[0])
    wait_for(lambda: server.shelf.processes("pdf_child"), "the reader")
    for reader in server.shelf.processes("pdf_child"):
        assert Path(f"/proc/{reader}").stat().st_uid == _UID
    for pid in server.shelf.processes():
        for what in ("environ", "cmdline"):
            assert openai.key.encode() not in Path(f"/proc/{pid}/{what}").read_bytes()
    process.kill()
    process.communicate()
    assert _files(server.home / "inbox") == ["book1.pdf", "long.pdf"]
    (server.home / "inbox" / ".bookbrain-0.part").touch()
    assert "rejected" not in server.shelf.run("ingest-inbox").err
    assert len(server.shelf.books()) == 2
    assert _files(server.home / "inbox") == []
