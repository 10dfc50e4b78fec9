"""Releases: this checkout after an edit, as the next one may be, and one of its history."""

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from host.lab import Lab
from host.machine import CHECKOUT
from host.network import do

_OLD = "c9d7596ba7af56786cbb0532f8f02a61168c0452"
Edit = Callable[[Path], None]

_MIGRATION = """

def m900_colors_of_books(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE color (book_id TEXT PRIMARY KEY, color TEXT NOT NULL)")


MIGRATIONS = (*MIGRATIONS, m900_colors_of_books)
"""


def release_of(lab: Lab, edit: Edit) -> Path:
    """The folder of a release that was edited."""

    def make(tree: Path) -> None:
        ignored = shutil.ignore_patterns("dist", ".cache")
        shutil.copytree(lab.folder / "release", tree, ignore=ignored)
        (tree / ".cache").mkdir()
        tools = ".cache/release-tools"
        (tree / tools).symlink_to(lab.folder / "release" / tools)
        edit(tree)
        do(str(tree / "packaging/release"))

    return lab.made_once(f"release-{edit.__name__}", make) / "dist"


def old_release(lab: Lab) -> Path | None:
    """The folder of the one that servers have had; None where this checkout has no history."""
    git = ["git", "-C", str(CHECKOUT), "archive", _OLD]
    done = subprocess.run(git, capture_output=True, check=False)
    if done.returncode:
        return None

    def make(tree: Path) -> None:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as packed:
            packed.extractall(tree, filter="data")
        do(str(tree / "packaging/release"))

    return lab.made_once("release-old", make) / "dist"


def working(tree: Path) -> None:
    _set_version(tree, "9.0.0")


def broken(tree: Path) -> None:
    """It has another schema, and its commands for the administrator do not run."""
    _set_version(tree, "9.1.0")
    _migrate(tree)
    (tree / "systemd/bookbrain-new.timer").write_text("[Timer]\nOnCalendar=yearly\n")
    health = tree / "bookbrain/checks/condition.py"
    health.write_text(health.read_text() + "\n\nraise SystemExit('this version is ill')\n")


def crashing(tree: Path) -> None:
    _set_version(tree, "9.2.0")
    app = tree / "bookbrain/web/__init__.py"
    app.write_text(app.read_text() + "\nraise SystemExit('this version does not start')\n")


def migrated(tree: Path) -> None:
    """It has another schema, and works."""
    _set_version(tree, "9.3.0")
    _migrate(tree)


def _set_version(tree: Path, version: str) -> None:
    file = tree / "bookbrain/__init__.py"
    text = file.read_text()
    before = text.split('__version__ = "')[1].split('"')[0]
    file.write_text(text.replace(before, version))
    for unit in ("bookbrain.service", "bookbrain-logs.timer"):
        with (tree / "systemd" / unit).open("a") as placed:
            placed.write(f"# {version}\n")


def _migrate(tree: Path) -> None:
    file = tree / "bookbrain/store/catalog.py"
    file.write_text(file.read_text() + _MIGRATION)
