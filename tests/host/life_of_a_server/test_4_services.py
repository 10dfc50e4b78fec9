"""The services: they start, stop and heal as systemd's own do, and lose no book."""

import json
import os
import re
from pathlib import Path

import pytest
from host.server import Server
from support import pdfs
from support.scans import easy_scan

pytestmark = pytest.mark.timeout(600)

KEY = "sk-planted-0123456789abcdef"
INBOX = "var/lib/bookbrain/inbox"
CUTS = int(os.environ.get("BOOKBRAIN_POWER_CUTS", "1"))  # while scans are read, at most 5
WORDS = [
    first + second
    for first in ("lock", "queue", "cache", "retry", "buffer", "thread", "socket")
    for second in ("master", "writer", "reader", "keeper", "runner", "holder", "sender")
]


def active(server: Server, unit: str) -> bool:
    return server.host.run(f"systemctl is-active {unit}").stdout.strip() == "active"


def put(server: Server, book: Path) -> None:
    """A book in the inbox, at once."""
    part = server.host.root / INBOX / f".{book.name}"
    part.write_bytes(book.read_bytes())
    part.rename(part.with_name(book.name))


def test_stop_and_start_move_app_and_chroma(server: Server) -> None:
    server.run("systemctl stop bookbrain")
    assert not active(server, "bookbrain") and not active(server, "bookbrain-chroma")
    assert not active(server, "bookbrain-ingest.path")
    assert server.site.ask("/healthz").status == 503
    server.run("systemctl start bookbrain")
    assert active(server, "bookbrain") and active(server, "bookbrain-chroma")
    assert active(server, "bookbrain-ingest.path")
    assert server.is_up()
    assert "READY" not in server.run("journalctl --no-pager -u bookbrain")
    assert "Started bookbrain.service" in server.run("journalctl --no-pager -u bookbrain")


@pytest.mark.parametrize("unit", ["bookbrain", "bookbrain-chroma"])
def test_comes_back_when_killed(server: Server, unit: str) -> None:
    before = server.main_pid(unit)
    server.run(f"kill -9 {before}")
    server.wait(unit, lambda: active(server, unit) and server.main_pid(unit) not in (0, before))
    server.wait("the site", server.is_up)


def test_a_frozen_app_is_restarted_by_the_watchdog(server: Server) -> None:
    before = server.main_pid("bookbrain")
    server.run(f"kill -STOP {before}")
    server.wait("a new app", lambda: server.main_pid("bookbrain") not in (0, before), 60)
    server.wait("the site", server.is_up)
    assert "watchdog" in server.run("journalctl --no-pager -u bookbrain").lower()


def test_a_wrong_setting_does_not_loop(server: Server) -> None:
    settings = server.host.root / "etc/bookbrain/bookbrain.env"
    before = settings.read_text()
    settings.write_text(before + "BOOKBRAIN_FUSION=nuclear\n")
    try:
        assert server.host.run("systemctl restart bookbrain").returncode != 0
        shown = server.run("systemctl show -p ExecMainStatus,ActiveState,NRestarts bookbrain")
        assert "ExecMainStatus=78" in shown and "ActiveState=failed" in shown
        assert "BOOKBRAIN_FUSION" in server.run("journalctl --no-pager -n 20 -u bookbrain")
    finally:
        settings.write_text(before)
    server.run("systemctl restart bookbrain")


def test_a_book_in_the_inbox_is_added(server: Server, tmp_path: Path) -> None:
    put(server, pdfs.long_book(tmp_path / "one.pdf", 6, seed=1, language="mixed"))
    server.wait("the book", lambda: "one.pdf" in server.books())
    server.wait("the inbox", lambda: not (server.host.root / INBOX / "one.pdf").exists())
    assert re.search(r"one\.pdf", server.run("journalctl --no-pager -u bookbrain-ingest"))


def test_a_slow_upload_is_taken_when_it_is_whole(server: Server, tmp_path: Path) -> None:
    book = pdfs.long_book(tmp_path / "slow.pdf", 6, seed=2)
    (server.host.root / "root/slow.pdf").write_bytes(book.read_bytes())
    size = book.stat().st_size // 6 + 1
    slowly = f"dd if=/root/slow.pdf of=/{INBOX}/slow.pdf bs={size} count=1 seek=$n skip=$n"
    server.run(f"for n in 0 1 2 3 4 5; do {slowly} conv=notrunc status=none; sleep 1.5; done")
    server.wait("the book", lambda: "slow.pdf" in server.books())
    assert not (server.host.root / INBOX / "rejected/slow.pdf").exists()


def test_a_bad_one_is_put_aside_with_the_reason(server: Server) -> None:
    (server.host.root / INBOX / "bad.pdf").write_text("this is no PDF")
    rejected = server.host.root / INBOX / "rejected"
    server.wait("the reason", (rejected / "bad.pdf.reason.txt").exists)
    assert (rejected / "bad.pdf").exists()
    assert "bad.pdf" in server.run("bookbrain books")


def test_root_works_as_the_service_user(server: Server, tmp_path: Path) -> None:
    folder = server.host.root / "root/shelf"
    folder.mkdir(mode=0o700)
    pdfs.long_book(folder / "mine.pdf", 4, seed=3)
    assert "1 added" in server.run("bookbrain add /root/shelf")
    assert "mine.pdf" in server.books()
    assert server.run("find /var/lib/bookbrain -user root") == ""
    assert (folder / "mine.pdf").exists()


def test_the_power_is_cut_while_a_book_is_added(server: Server, tmp_path: Path) -> None:
    put(server, pdfs.long_book(tmp_path / "cut.pdf", 150, seed=4))
    server.wait("the job", lambda: active(server, "bookbrain-ingest"), 30)
    server.wait("its reading", lambda: "cut" in journal(server), 30)
    server.host.cut_power()
    server.host.boot()
    server.wait("the site", server.is_up, 120)
    server.wait("the book", lambda: "cut.pdf" in server.books(), 180)
    assert sorted(server.books()) == ["cut.pdf", "mine.pdf", "one.pdf", "slow.pdf"]


@pytest.mark.only_on("bookworm")
def test_the_power_is_cut_while_scans_are_read(server: Server, tmp_path: Path) -> None:
    """What was kept before a cut is not read again; in the end each page is found."""
    words = WORDS[: 6 + 8 * CUTS]
    put(server, easy_scan(tmp_path / "scan.pdf", *words))
    kept = 0
    for _ in range(CUTS):
        server.wait("more pages", lambda least=kept: pages_read(server) > least, 180)
        kept = pages_read(server)
        server.host.cut_power()
        server.host.boot()
        server.wait("the site", server.is_up, 120)
    server.wait("all pages", lambda: pages_read(server) == len(words), 300)
    server.wait("the end", lambda: not active(server, "bookbrain-ocr"), 60)
    (last,) = re.findall(r"read pages=(\d+) unread=0", journal(server, "bookbrain-ocr"))
    assert int(last) <= len(words) - kept
    for number, word in enumerate(words, start=1):
        found = json.loads(server.run(f"bookbrain search --json --mode keyword {word} 2>/dev/null"))
        assert [hit["page"] for hit in found["hits"]] == [number], word
    server.run("bookbrain-admin check; bookbrain remove --yes scan.pdf")


def pages_read(server: Server) -> int:
    books = json.loads(server.run("bookbrain books --json 2>/dev/null"))
    return sum(book["recognised"] for book in books)


def journal(server: Server, unit: str = "bookbrain-ingest") -> str:
    return server.run(f"journalctl --no-pager -b -u {unit}")


def test_the_key_is_nowhere_to_be_read(server: Server) -> None:
    server.run(f"bookbrain-admin key <<< {KEY}; systemctl restart bookbrain")
    server.wait("the site", server.is_up)
    leaks = (
        "ps axeww",
        "systemctl show '*' --all",
        "journalctl --no-pager -a",
        "cat /proc/*/cmdline",
        "cat /proc/*/environ",
        "find / -xdev -type f -perm /o=r -newer /etc/bookbrain/Caddyfile -exec cat {} +",
    )
    for command in leaks:
        # Its own command line is not counted: the pattern is not the key.
        found = server.host.run(f"({command}) 2>/dev/null | grep -ac 'sk-planted-[0-9]'").stdout
        assert found.strip() == "0", command
    inside = server.run(f"tr '\\0' '\\n' </proc/{server.main_pid('bookbrain')}/environ")
    assert "sk-planted" not in inside
    mode = (server.host.root / "etc/bookbrain/credentials/openai-api-key").stat().st_mode
    assert mode & 0o077 == 0
    server.run("bookbrain-admin key --remove; systemctl restart bookbrain")
