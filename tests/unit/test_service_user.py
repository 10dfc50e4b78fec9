"""Root's rights are given up for good, and only where the library is a service's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from bookbrain.cli.command import sources_of_root
from bookbrain.errors import ConfigError
from bookbrain.paths import Layout
from bookbrain.privileges import become_service, become_service_user, works_for_service

_NOBODY = 65534

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="run it as root: only root becomes somebody else"
)

# In a process of its own, for there is no way back. `folder` is argv[1]; all is imported before:
# the user may not be able to read the interpreter's files.
_HEAD = """
import logging, os, pwd, sys, tempfile
from pathlib import Path
import bookbrain.cli
from bookbrain.settings import Settings, load_settings
from bookbrain.errors import ConfigError
from bookbrain.model import AddReport, Outcome
from bookbrain.library.inbox import Patience
from bookbrain.library.inbox_worker import ingest
from bookbrain.paths import Layout, with_server_defaults
from bookbrain.privileges import become_service_user, works_for_service

folder = Path(sys.argv[1])
layout = Layout(folder)
nobody = pwd.getpwnam("nobody")
def refused(act, *arguments):
    try:
        act(*arguments)
    except PermissionError:
        return True
    return False
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike the test's own."""
    folder = Path(mkdtemp(prefix="bookbrain-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    rmtree(folder)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A server, as far as its settings go."""
    made = Layout(tmp_path / "server")
    made.etc.mkdir(parents=True)
    made.settings.write_text("BOOKBRAIN_FUSION=rrf\n")
    return made


def _run(program: str, folder: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _HEAD + program, folder],
        env=os.environ | env, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@needs_root
def test_root_is_given_up_for_good(open_folder: Path) -> None:
    _run(
        """
become_service_user(layout, nobody)
assert os.getresuid() == os.getresgid() == (65534, 65534, 65534)
assert 0 not in os.getgroups()
assert refused(os.setuid, 0) and refused(os.setgid, 0) and refused(os.setgroups, [0])
assert refused(os.listdir, "/root") or os.stat("/root").st_mode & 0o005
assert refused(open, "/etc/shadow")
assert os.environ["HOME"] == str(layout.home)
assert not {"TMPDIR", "XDG_RUNTIME_DIR"} & os.environ.keys()
assert os.getcwd() == "/"
os.chdir(tempfile.mkdtemp())
Path("file").touch()
Path("folder").mkdir()
assert [Path(name).stat().st_mode & 0o777 for name in ("file", "folder")] == [0o640, 0o750]
assert not works_for_service({}, layout), "only root does"
""",
        open_folder, TMPDIR="/root/tmp", XDG_RUNTIME_DIR="/run/user/0",
    )  # fmt: skip


@pytest.mark.slow
@needs_root
def test_the_key_is_read_before_and_goes_nowhere_else(open_folder: Path) -> None:
    layout = Layout(open_folder)
    layout.credentials.mkdir(parents=True, mode=0o700)
    layout.settings.write_text("OPENAI_BASE_URL=http://localhost:1/v1\n")
    layout.settings.chmod(0o600)
    key = layout.credentials / "openai-api-key"
    key.write_text("sk-for-root-only\n")
    key.chmod(0o600)
    _run(
        """
settings = load_settings(with_server_defaults({}, layout))
become_service_user(layout, nobody)
assert settings.embedding.api_key == "sk-for-root-only"
assert settings.home == layout.home
assert refused(open, layout.credentials / "openai-api-key")
assert not [name for name, value in os.environ.items() if "sk-for-root-only" in value]
""",
        open_folder,
    )


@pytest.mark.slow
@needs_root
def test_what_the_service_cannot_read_or_remove_is_left(open_folder: Path) -> None:
    inbox = open_folder / "inbox"
    (inbox / "of root").mkdir(parents=True)
    os.chown(open_folder, _NOBODY, _NOBODY)
    os.chown(inbox, _NOBODY, _NOBODY)
    unreadable, stuck = inbox / "unreadable.pdf", inbox / "of root" / "stuck.pdf"
    for path in (unreadable, stuck):
        path.write_bytes(b"%PDF-1.7\n%%EOF\n")
    unreadable.chmod(0o600)
    said = _run(
        """
class Library:
    settings, added = Settings(folder), []
    unfinished, waiting, doubtful = lambda self: 0, lambda self: (0, ""), lambda self: []
    def add(self, paths, progress, doubtful):
        self.added += paths
        return AddReport((Outcome(str(paths[0]), "known"),))

become_service_user(layout, nobody)
logging.basicConfig(format="%(message)s")
library = Library()
assert ingest(library, Patience(0.02, 0.3, 0.02, 0.02)) is None
assert [path.name for path in library.added] == ["stuck.pdf"]
""",
        open_folder,
    )
    assert said.count("left file=") == 2
    assert f"left file='{unreadable}': it cannot be read or moved (Permission denied)" in said
    assert unreadable.exists()
    assert stuck.exists()


@needs_root
def test_a_server_without_the_user_says_so(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    from pwd import getpwnam

    monkeypatch.delenv("BOOKBRAIN_HOME")
    try:
        getpwnam("bookbrain")
    except KeyError:
        pass
    else:
        pytest.skip("this machine has the user")
    for attempt in (lambda: become_service_user(layout), lambda: become_service(layout)):
        with pytest.raises(ConfigError) as failed:
            attempt()
        assert failed.value.message == "This server has no user bookbrain."
        assert failed.value.hint == "Run install.sh again."
    assert os.geteuid() == 0


@needs_root
def test_only_root_without_a_library_of_its_own_works_for_the_service(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert works_for_service({}, layout)
    assert not works_for_service({"BOOKBRAIN_HOME": "/x"}, layout)
    assert not works_for_service({}, Layout(tmp_path))
    with sources_of_root([tmp_path / "none.pdf"], layout) as sources:
        assert sources is None, "BOOKBRAIN_HOME is set"
    assert become_service(layout).home == tmp_path / "home" / "library"
    monkeypatch.delenv("BOOKBRAIN_HOME")
    with sources_of_root([tmp_path / "none.pdf"], layout) as sources:
        assert sources
        assert [outcome.reason for outcome in sources.refused] == [
            "there is no such file or folder"
        ]
