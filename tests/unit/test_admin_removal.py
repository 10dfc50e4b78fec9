"""`bookbrain-admin uninstall`: asked for, and survived by nothing but its exit code."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

import bookbrain
from bookbrain.admin import main
from bookbrain.admin.uninstall import find_installation, remove_program
from bookbrain.errors import ConfigError
from bookbrain.paths import Layout
from bookbrain.processes import run_in_terminal
from bookbrain.server.caddy import Machine

# An installer that says how it was called, and takes away the program that calls it.
_INSTALLER = """#!/bin/false
cd "$(dirname "$0")"
echo "$*|$BOOKBRAIN_UNPACKED|$BOOKBRAIN_PURGE|$(cat beside)" >>"$LOG"
rm -rf "$PROGRAM"
echo "What it says"
exit 3
"""
_COMMAND = """
import sys
from pathlib import Path
from bookbrain.admin import main
from bookbrain.server.caddy import Machine
from bookbrain.paths import Layout
main(["uninstall", *sys.argv[2:]], obj=Machine(Layout(Path(sys.argv[1]))))
"""


def _write_installation(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "install.sh").write_text(_INSTALLER)
    (folder / "beside").write_text("beside it")


@dataclass(frozen=True)
class _Installed:
    """A release with its own copy of the program."""

    folder: Path

    @property
    def program(self) -> Path:
        return self.folder / "release/bookbrain"

    @property
    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text() if file.exists() else ""

    def uninstall(
        self, *options: str, typed: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", _COMMAND, str(self.folder / "root"), *options],
            input=typed, capture_output=True, text=True, check=False, cwd="/",
            env={**os.environ, "PYTHONPATH": str(self.program.parent), "LOG": f"{self.folder}/log",
                 "PROGRAM": str(self.program), "TMPDIR": str(self.folder / "tmp"), **env},
        )  # fmt: skip


@pytest.fixture
def installed(tmp_path: Path) -> _Installed:
    made = _Installed(tmp_path)
    package = Path(bookbrain.__file__).parent
    shutil.copytree(
        package, made.program, ignore=shutil.ignore_patterns("__pycache__", "installation", "web")
    )
    _write_installation(made.program / "installation")
    (tmp_path / "root/etc/bookbrain").mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "typed", "called"),
    [
        (["--yes"], "", "--uninstall|1||beside it\n"),
        ([], "y\n", "--uninstall|1||beside it\n"),
        (["--purge", "--yes"], "", "--uninstall --purge|1||beside it\n"),
        (["--purge"], "purge\n", "--uninstall --purge|1||beside it\n"),
    ],
)
def test_the_program_removes_itself(
    installed: _Installed, options: list[str], typed: str, called: str
) -> None:
    done = installed.uninstall(*options, typed=typed, BOOKBRAIN_PURGE="1", LC_ALL="ko_KR.UTF-8")
    errors = [line for line in done.stderr.splitlines() if "setlocale" not in line]
    assert (done.returncode, errors) == (3, [])
    assert installed.log == called
    assert not installed.program.exists()
    assert list((installed.folder / "tmp").iterdir()) == []
    assert done.stdout.startswith("지울 것: ")
    assert ("되살릴 수 없게" in done.stdout) == ("--purge" in options)
    assert done.stdout.endswith("What it says\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "typed", "code"),
    [([], "n\n", 1), ([], "", 1), (["--purge"], "y\n", 65), (["--purge"], "", 1)],
)
def test_nothing_is_removed_without_a_word(
    installed: _Installed, options: list[str], typed: str, code: int
) -> None:
    done = installed.uninstall(*options, typed=typed)
    assert done.returncode == code
    assert f"{installed.folder}/root/var/lib/bookbrain" in done.stdout
    assert installed.log == ""
    assert installed.program.exists()


def test_a_removal_without_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _write_installation(tmp_path / "installation")
    (tmp_path / "program").mkdir()
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("PROGRAM", str(tmp_path / "program"))
    assert remove_program(tmp_path / "installation", purge=False) == 3
    assert capfd.readouterr().out == "What it says\n"
    assert (tmp_path / "log").read_text() == "--uninstall|1||beside it\n"
    assert not (tmp_path / "program").exists()


def test_a_clone_has_its_installer_beside_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="runs from a clone") as raised:
        find_installation()
    assert raised.value.hint == "Run it there: sudo ./install.sh --uninstall"
    (tmp_path / "etc/bookbrain").mkdir(parents=True)
    done = CliRunner().invoke(main, ["uninstall", "--yes"], obj=Machine(Layout(tmp_path)))
    assert done.exit_code == 78
    assert "./install.sh --uninstall" in done.stderr


def test_exit_codes_of_what_runs_in_the_terminal() -> None:
    assert run_in_terminal(["sh", "-c", 'exit "$CODE"'], {**os.environ, "CODE": "7"}) == 7
    assert run_in_terminal(["sh", "-c", "kill -TERM $$"], os.environ) == 143
