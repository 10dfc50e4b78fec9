"""Backups by their units: under load, late, on a full disk; and what the logs say."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from host.lab import Lab
from host.meaning import KEY, PORT, QUERIES, answers, embedding
from host.owner import Owner
from host.server import WORD, Server
from host.site import password
from support import pdfs

pytestmark = pytest.mark.timeout(900)

HOME, BACKUPS = "/var/lib/bookbrain", "/var/backups/bookbrain"


@pytest.fixture(scope="module", autouse=True)
def stand_in(server: Server) -> Iterator[None]:
    """Its library of five books is embedded by a stand-in for OpenAI."""
    with embedding(server):
        names = ["fifth.pdf", *(f"more{seed}.pdf" for seed in range(6, 10 - len(server.books())))]
        for seed, name in enumerate(names, start=5):
            pdfs.long_book(server.host.root / "root" / name, 40, seed=seed)
        server.run(f"cd /root && bookbrain add {' '.join(names)}", timeout=300)
        server.run("bookbrain embed --yes && systemctl restart bookbrain", timeout=300)
        server.wait("the site", server.is_up)
        yield


def archives(server: Server) -> list[str]:
    """Everything that lies among the backups."""
    return sorted(path.name for path in (server.host.root / BACKUPS[1:]).iterdir())


@contextmanager
def visited(server: Server) -> Iterator[dict[str, list[object]]]:
    """While somebody searches ten times a second; filled with what came of it at the end."""
    seen: dict[str, list[object]] = {}
    command = [
        *("ip", "netns", "exec", server.host.network.name, sys.executable, "-m"),
        *("support.visitor", "http://127.0.0.1:8501", *QUERIES),
    ]
    visitor = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        yield seen
        seen |= json.loads(visitor.communicate(timeout=120)[0])
    finally:
        visitor.kill()
        visitor.communicate()


def p95(seen: dict[str, list[object]]) -> float:
    times = [float(str(ms)) for ms in seen["ms"]]
    return times[int(len(times) * 0.95)]


def test_nobody_notices_backup_verify_and_rotation(server: Server) -> None:
    with visited(server) as quiet:
        server.run("sleep 10")
    with visited(server) as busy:
        for _ in range(5):
            server.run("systemctl start bookbrain-backup", timeout=300)
        server.run("systemctl start bookbrain-verify", timeout=300)
    for seen in (quiet, busy):
        late = [one for one in seen["wrong"] if "did not answer in" in str(one)]  # a busy machine
        assert seen["wrong"] == late
        assert len(seen["ms"]) > max(50, 10 * len(late))
    print(f"p95: quiet {p95(quiet):.1f} ms, busy {p95(busy):.1f} ms, {p95(busy) / p95(quiet):.2f}×")
    assert len(archives(server)) == 4
    listed = json.loads(server.run("bookbrain-admin backups --json"))
    assert [one["books"] for one in listed] == [5] * 4
    verified = server.run("journalctl --no-pager -o cat -u bookbrain-verify")
    assert re.search(r"is good: books 5, queries asked [1-9]", verified), verified


def test_the_manifest_names_no_secret(server: Server) -> None:
    newest = archives(server)[-1]
    unpacked = server.host.root / "root/unpacked"
    unpacked.mkdir()
    server.run("apt-get -qq -y install zstd >&2", timeout=300)
    server.run(f"zstd -dc {BACKUPS}/{newest} | tar -x -C /root/unpacked")  # by any tar
    assert (unpacked / "settings/bookbrain.env").exists()
    assert server.host.run(f"grep -rlE '{KEY}|{WORD}' /root/unpacked").stdout == ""
    assert len(list((unpacked / "books").iterdir())) == 5
    shutil.rmtree(unpacked)


def test_one_book_comes_back(server: Server) -> None:
    before = sorted(server.books())
    server.run("bookbrain remove fifth.pdf --yes")
    assert "fifth.pdf" not in server.books()
    newest = archives(server)[-1]
    said = server.run(f"bookbrain-admin restore {BACKUPS}/{newest} --book fifth.pdf --yes")
    assert "Books now: 5" in said
    assert sorted(server.books()) == before
    assert server.run(f"find {HOME} -user root") == ""


def test_a_missed_week_is_made_up_once(server: Server) -> None:
    drop_in = server.host.root / "etc/systemd/system/bookbrain-backup.timer.d"
    drop_in.mkdir()
    (drop_in / "soon.conf").write_text("[Timer]\nRandomizedDelaySec=0\n")
    stamp = "/var/lib/systemd/timers/stamp-bookbrain-backup.timer"
    server.run(f"systemctl stop bookbrain-backup.timer; touch -d '8 days ago' {stamp}")
    before = archives(server)
    server.host.restart()
    server.wait("the site", server.is_up, 120)
    server.wait("the backup", lambda: archives(server)[-1] > before[-1], 120)
    server.run("sleep 5")
    runs = server.run("journalctl --no-pager -b -o cat -u bookbrain-backup | grep -c 'Backup made'")
    assert int(runs) == 1
    assert len(archives(server)) == 4
    (drop_in / "soon.conf").unlink()
    drop_in.rmdir()
    server.run("systemctl daemon-reload; systemctl restart bookbrain-backup.timer")


# Full disks


@contextmanager
def full(server: Server, folder: str) -> Iterator[None]:
    """What is in `folder` is on a disk of its own, on which a few kB are left."""
    server.run("systemctl stop bookbrain")
    server.run("mkdir /mnt/disk; mount -t tmpfs -o size=400M none /mnt/disk; chmod 0755 /mnt/disk")
    server.run(f"cp -a {folder} /mnt/disk/it; mount --bind /mnt/disk/it {folder}")
    server.run("systemctl start bookbrain")
    server.wait("the site", server.is_up)
    server.host.run("dd if=/dev/zero of=/mnt/disk/filler bs=64k")
    server.run("truncate -s -40k /mnt/disk/filler")
    try:
        yield
    finally:
        server.run("systemctl stop 'bookbrain*'")
        server.run(f"rm /mnt/disk/filler; umount {folder}; find {folder} -mindepth 1 -delete")
        server.run(f"cp -a /mnt/disk/it/. {folder}")
        server.run("umount /mnt/disk; rmdir /mnt/disk")
        server.run("systemctl reset-failed; systemctl start bookbrain")
        server.run("systemctl start bookbrain-{backup,health,logs,verify}.timer")
        server.wait("the site", server.is_up)


def told(owner: Owner) -> str:
    return "\n".join(f"{message['title']}\n{message['text']}" for message in owner.told)


@pytest.mark.only_on("trixie")
def test_no_room_for_a_backup(server: Server, owner: Owner) -> None:
    before = archives(server)
    with full(server, BACKUPS):
        assert server.host.run("systemctl start bookbrain-backup").returncode != 0
        server.wait("the message", lambda: "not enough room" in told(owner))
        assert archives_inside(server) == before
        assert server.is_up()
    assert archives(server) == before


def archives_inside(server: Server) -> list[str]:
    """As the host's processes see them, with its mounts."""
    return sorted(server.run(f"ls -A {BACKUPS}").split())


@pytest.mark.only_on("trixie")
def test_no_room_for_a_book_a_restore_or_the_logs(
    server: Server, owner: Owner, tmp_path: Path
) -> None:
    before = sorted(server.books())
    book = pdfs.long_book(tmp_path / "sixth.pdf", 30, seed=6)
    newest = f"{BACKUPS}/{archives(server)[-1]}"
    (server.host.root / "root/sixth.pdf").write_bytes(book.read_bytes())
    server.run("bookbrain remove fifth.pdf --yes")
    with full(server, HOME):
        added = server.host.run("bookbrain add /root/sixth.pdf")
        assert added.returncode == 1
        assert "The disk is full" in added.stdout, added.stdout
        restored = server.host.run(f"bookbrain-admin restore {newest} --yes")
        assert restored.returncode == 1
        assert "not enough room" in restored.stdout, restored.stdout
        exported = server.host.run("bookbrain-admin logs --export /mnt/disk/it/logs.jsonl")
        assert exported.returncode == 1
        assert "The disk is full" in exported.stdout, exported.stdout
        assert server.is_up()
        server.host.run("systemctl start bookbrain-health")
        server.wait("the message", lambda: "disk" in told(owner))
        assert "fifth.pdf" not in server.books()
        server.host.run("dd if=/dev/zero of=/mnt/disk/more bs=4k")
        asked = server.site.ask(
            "/api/search?q=a+new+question", Authorization=password("alice", WORD)
        )
        assert asked.status == 200, asked
        server.run("rm /mnt/disk/more /mnt/disk/filler; touch /mnt/disk/filler")
        server.run("bookbrain add /root/sixth.pdf", timeout=300)
        server.run(f"bookbrain-admin restore {newest} --book fifth.pdf --yes", timeout=300)
    assert sorted(server.books()) == sorted([*before, "sixth.pdf"])
    server.run("bookbrain remove sixth.pdf --yes")


def test_it_can_move(server: Server, lab: Lab) -> None:
    """What the other host takes over: `test_5_moving`."""
    found = answers(server)
    server.run("bookbrain-admin backup", timeout=300)
    newest = server.host.root / BACKUPS[1:] / archives(server)[-1]
    books = json.loads(server.run("bookbrain books --json 2>/dev/null"))  # one was rejected
    moving = lab.folder / f"{server.suite}.tar.zst"
    moving.with_suffix(".json").write_text(json.dumps({"books": books, "answers": found}))
    shutil.copyfile(newest, moving.with_suffix(".part"))
    moving.with_suffix(".part").rename(moving)


# Other faults


def _renamed(year: str, other: str) -> str:
    """The command that gives the backups of one year the same times of another one."""
    return (
        f"for file in {BACKUPS}/bookbrain-{year}*; do "
        f"mv $file {BACKUPS}/bookbrain-{other}${{file#*bookbrain-{year}}}; done"
    )


@pytest.mark.only_on("trixie")
def test_what_may_pass_by_itself_is_told_when_it_stays(server: Server, owner: Owner) -> None:
    year = server.run("date +%Y").strip()
    faults = (
        _renamed(year, "2020"),  # the age of a backup is in its name
        f"iptables -I OUTPUT -p tcp --dport {PORT} -j REJECT",
        "systemctl kill -s STOP bookbrain-chroma",
    )
    ends = (
        _renamed("2020", year),
        f"iptables -D OUTPUT -p tcp --dport {PORT} -j REJECT",
        "systemctl kill -s CONT bookbrain-chroma",
    )
    server.run("; ".join(faults))
    try:
        for _ in range(3):
            server.host.run("systemctl start bookbrain-health")
            a_minute_later(server)
    finally:
        server.run("; ".join(ends))
    (message,) = about_chroma(owner)  # all in one
    assert message["level"] == "fail"
    for check in ("backup", "endpoint", "Chroma"):
        assert f"{check}: " in message["text"], message["text"]
    server.wait("the site", server.is_up)
    server.run("systemctl start bookbrain-health")
    assert [told["level"] for told in about_chroma(owner)] == ["fail", "ok"], owner.told


def a_minute_later(server: Server) -> None:
    """As if the last check had been then: what it saw is that much older."""
    file = server.host.root / HOME[1:] / "health.json"
    history = json.loads(file.read_text())
    for check in history["checks"].values():
        check["since"] -= 65
    file.write_text(json.dumps(history))


def about_chroma(owner: Owner) -> list[dict[str, str]]:
    return [told for told in owner.told if "Chroma: " in told["text"]]


# What the logs say


def test_the_logs_show_a_planted_error_and_nothing_else(server: Server) -> None:
    now = datetime.fromisoformat(server.run("sleep 1; date -Iseconds").strip())
    server.run("systemd-cat -t bookbrain -p err echo a planted error")
    server.run("systemd-cat -t bookbrain -p warning echo a planted warning")
    server.run("systemd-cat -t sshd -p err echo an error of somebody else")
    server.run("journalctl --sync")
    found = server.run(f"bookbrain-admin logs --errors --since '{now.isoformat()}'").splitlines()
    assert len(found) == 1, found
    assert found[0].endswith("bookbrain: a planted error")


def test_the_logs_hold_no_secret_and_no_book(server: Server) -> None:
    server.run("bookbrain-admin logs --export /root/all.jsonl.gz")
    everything = server.run("journalctl --no-pager -a -o verbose; zcat /root/all.jsonl.gz", 300)
    assert "Backup made" in everything and "BOOKBRAIN_QUERY_MS" in everything
    lines = {line.strip() for page in pdfs_texts() for line in page.splitlines()}
    queries = [query for query in QUERIES if " " in query]
    for secret in (WORD, KEY, "sk-planted", *queries, *(line for line in lines if len(line) > 25)):
        assert secret not in everything, secret


def pdfs_texts() -> list[str]:
    """The pages of the books of this server."""
    from support.prose import technical_pages

    return [page for seed in range(1, 7) for page in technical_pages(6, seed)]


def test_the_report_of_the_month(server: Server) -> None:
    said = server.run("bookbrain-admin report")
    assert re.search(r"[1-9]\d\d+", said), said  # hundreds of searches
    server.run("systemctl start bookbrain-logs")
    days = json.loads(server.run("runuser -u bookbrain -- cat /var/log/bookbrain/use.json"))
    assert sum(day["searches"] for day in days) > 100


def test_the_archive_of_the_logs(server: Server) -> None:
    server.run("systemctl start bookbrain-logs")
    assert server.run("systemctl show -p Result --value bookbrain-logs").strip() == "success"
