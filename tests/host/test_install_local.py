"""`./install.sh --local` on machines that have nothing but Debian's base system and a clone."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from host.lab import Lab, listing
from host.machine import Host

pytestmark = pytest.mark.timeout(900)

INSTALL = "/srv/book brain/install.sh --local".replace(" ", r"\ ", 1)
UNINSTALL = INSTALL.replace("--local", "--uninstall")
COMMAND = ".local/bin/bookbrain"
SCANNED_PAGE = "A page from a scanner"  # its heading
# What a running system changes by itself.
RESTLESS = ("dev", "proc", "run", "sys", "tmp", "var/log", "var/tmp", "var/lib/systemd")
SQLITE_SCRATCH = re.compile(r"\.sqlite3-(wal|shm)$")


@pytest.fixture(scope="module")
def bookworm(lab: Lab) -> Iterator[Host]:
    """Debian 12 with systemd running."""
    with lab.host("bookworm", systemd=True) as host:
        host.copy_checkout("/srv/book brain")
        yield host


@pytest.fixture(scope="module")
def trixie(lab: Lab) -> Iterator[Host]:
    """Debian 13 without systemd running; an ordinary user, and a clone that is not the user's."""
    with lab.host("trixie", systemd=False) as host:
        host.copy_checkout("/srv/book brain")
        host.add_user("reader")
        yield host


def succeeded(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout
    return done.stdout


def hits_of_each_search(output: str) -> list[int]:
    """How many pages are named below each `bookbrain search` that the installer shows."""
    searches = re.split(r"^==> bookbrain search .*$", output, flags=re.MULTILINE)[1:]
    shown = (search.split("\n==> ")[0] for search in searches)
    return [len(re.findall(r"\bp(?:age|\.) ?\d+|\d+ ?쪽", search)) for search in shown]


def ends_with_hits(output: str) -> bool:
    """Both searches found pages, and what follows them is only what to try next."""
    found = hits_of_each_search(output)
    return len(found) == 2 and all(found) and COMMAND in output.rsplit("==> ", 1)[1]


class TestDebian12WithSystemd:
    """One machine, in the order of its life."""

    def test_dry_run_changes_nothing(self, bookworm: Host) -> None:
        before = listing(bookworm.root, RESTLESS)
        output = succeeded(bookworm.run(f"{INSTALL} --dry-run"))
        assert "apt-get" in output and "pipx install" in output
        assert listing(bookworm.root, RESTLESS) == before

    def test_installs_and_shows_hits(self, bookworm: Host) -> None:
        clone = bookworm.root / "srv/book brain"
        before = listing(clone)
        output = succeeded(bookworm.run(INSTALL, timeout=600))
        assert ends_with_hits(output), output
        assert SCANNED_PAGE in output, "a hit on the handbook's last page, which is a picture"
        assert listing(clone) == before

    def test_second_run_is_quick_and_changes_nothing(self, bookworm: Host) -> None:
        before = listing(bookworm.root, RESTLESS)
        start = time.monotonic()
        output = succeeded(bookworm.run(INSTALL))
        took = time.monotonic() - start
        assert ends_with_hits(output), output
        assert unlike(before, listing(bookworm.root, RESTLESS)) == []
        assert took < 20, f"{took:.1f} s"  # 5 s on two idle cores

    def test_changed_clone_upgrades(self, bookworm: Host) -> None:
        package = bookworm.root / "srv/book brain/bookbrain/__init__.py"
        package.write_text(package.read_text() + "\nUPGRADED = True\n")
        output = succeeded(bookworm.run(INSTALL))
        assert ends_with_hits(output), output
        installed = (bookworm.root / "root").rglob("site-packages/bookbrain/__init__.py")
        assert ["UPGRADED" in file.read_text() for file in installed] == [True]

    def test_uninstall_keeps_only_the_library(self, bookworm: Host) -> None:
        output = succeeded(bookworm.run(UNINSTALL))
        assert " /root/.local/share/bookbrain." in output
        ours = [file for file in files_below(bookworm.root / "root") if "bookbrain" in file]
        assert ours
        assert all(file.startswith(".local/share/bookbrain/") for file in ours), ours

    def test_purge_leaves_nothing(self, bookworm: Host) -> None:
        succeeded(bookworm.run(f"{UNINSTALL} --purge"))
        assert not [file for file in files_below(bookworm.root / "root") if ".local" in file]


class TestDebian13AsAUser:
    """One machine without systemd, and a user who is not root, in the order of their day."""

    def test_says_what_root_must_install(self, trixie: Host) -> None:
        asked = trixie.run(INSTALL, user="reader")
        assert asked.returncode == 69, asked.stdout
        command = re.search(r"^ +(apt-get update && apt-get install .*)$", asked.stdout, re.M)
        assert command, asked.stdout
        assert files_below(trixie.root / "home/reader/.local") == []
        succeeded(trixie.run(f"export DEBIAN_FRONTEND=noninteractive; {command[1]}"))

    def test_lost_network_is_said(self, trixie: Host) -> None:
        log = trixie.root / "home/reader/.local/share/bookbrain-install/install.log"
        impatient = {"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "5"}
        running = trixie.start(INSTALL, user="reader", env=impatient)
        try:
            wait_for_downloads(log, running)
            trixie.network.cut()
            output, _ = running.communicate(timeout=120)
        finally:
            running.kill()
            trixie.network.mend()
        assert running.returncode == 1, output
        assert "network" in output.rsplit("install.sh:", 1)[1]
        assert not (trixie.root / "home/reader" / COMMAND).is_symlink()

    def test_next_run_finishes(self, trixie: Host) -> None:
        output = succeeded(
            trixie.run(INSTALL, user="reader", env={"LANG": "ko_KR.UTF-8"}, timeout=600)
        )
        assert ends_with_hits(output), output
        assert "내 책" in output
        again = succeeded(trixie.run(f"./{COMMAND} search 'asynchronous steps'", user="reader"))
        assert "thenCompose" in again


def wait_for_downloads(log: Path, running: "subprocess.Popen[str]") -> None:
    """Until pip is among the libraries, well before their end."""
    for _ in range(1200):
        if log.exists() and "Collecting chromadb" in log.read_text():
            return
        assert running.poll() is None, running.communicate()[0]
        time.sleep(0.1)
    raise AssertionError("the download never began")


def files_below(folder: Path) -> list[str]:
    """What is there that is not a folder."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(str(path.relative_to(folder)) for path in found)


def unlike(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The paths that came, went or changed, apart from SQLite's own scratch files."""
    paths = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    return sorted(path for path in paths if not SQLITE_SCRATCH.search(path))
