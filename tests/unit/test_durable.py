"""Files that are whole or not there, and locks that end with their process: with real processes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bookbrain.files import PART, file_lock, is_locked, open_file, remove, write_file

_SIZE = 300_000

_WRITER = f"""if True:
    import sys
    from pathlib import Path
    from bookbrain.files import write_file
    number = 0
    while True:
        number += 1
        write_file(Path(sys.argv[1]), b"%d\\n" % number * ({_SIZE} // len(b"%d\\n" % number)))
        print(number, flush=True)
"""

_HOLDER = """if True:
    import sys, time
    from pathlib import Path
    from bookbrain.files import file_lock
    with file_lock(Path(sys.argv[1]), shared=sys.argv[2] == "shared"):
        print("has it", flush=True)
        sys.stdin.read()
"""


@contextmanager
def _python(program: str, *arguments: str | Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A child process; it is killed at the end, if it is still there."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _killed_after(process: "subprocess.Popen[bytes]", lines: int, pause: float) -> int:
    """Read some lines, wait, kill; the last number that the process could tell us of."""
    assert process.stdout
    for _ in range(lines):
        assert process.stdout.readline()
    time.sleep(pause)
    process.kill()
    last = process.stdout.read().split()
    assert process.wait() == -signal.SIGKILL
    return int(last[-1]) if last else lines


@contextmanager
def _holder(lock: Path, kind: str = "exclusive") -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that has the lock until its stdin ends."""
    with _python(_HOLDER, lock, kind) as process:
        assert process.stdout
        assert process.stdout.readline() == b"has it\n"
        yield process


# Files


@pytest.mark.slow
@pytest.mark.parametrize("step", range(8))
def test_a_kill_leaves_the_old_content_or_the_new(tmp_path: Path, step: int) -> None:
    file = tmp_path / "file"
    with _python(_WRITER, file) as process:
        told = _killed_after(process, 2 + step, step * 0.0007)
    lines = file.read_bytes().splitlines()
    assert len(set(lines)) == 1, "a mix of two"
    number = int(lines[0])
    assert len(lines) == _SIZE // (len(str(number)) + 1), "cut short"
    assert number in (told, told + 1), "what was told was not kept"
    assert {path.name for path in tmp_path.iterdir()} <= {"file", "file" + PART, "home"}


def test_what_a_kill_leaves_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "file"
    (tmp_path / f"file{PART}").write_bytes(b"left over, and longer than the new one")
    write_file(file, b"old")
    assert file.read_bytes() == b"old"
    write_file(file, b"")
    assert file.read_bytes() == b""
    assert not (tmp_path / f"file{PART}").exists()


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_file(file, b"old")
    program = """if True:
        import resource, sys
        from pathlib import Path
        from bookbrain.files import write_file
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_file(Path(sys.argv[1]), b"x" * 100_000)
        except OSError:
            sys.exit(7)
    """
    with _python(program, file) as process:
        assert process.wait() == 7
    assert file.read_bytes() == b"old"


def test_a_file_is_its_owners_alone_unless_said(tmp_path: Path) -> None:
    write_file(tmp_path / "one", b"x")
    write_file(tmp_path / "two", b"x", 0o400)
    assert oct((tmp_path / "one").stat().st_mode & 0o777) == "0o600"
    assert oct((tmp_path / "two").stat().st_mode & 0o777) == "0o400"


def test_a_reader_keeps_the_file_that_it_opened(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_file(file, b"old")
    with file.open("rb") as opened:
        write_file(file, b"new")
        assert opened.read() == b"old"
    assert file.read_bytes() == b"new"


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here: apt-get install strace")
def test_the_data_is_synced_before_the_name_and_the_name_after(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from bookbrain.files import write_file; "
    done = subprocess.run(
        ["strace", "-y", "-e", "trace=fsync,rename,renameat,renameat2", sys.executable, "-c",
         program + "write_file(Path(sys.argv[1]), b'x')", tmp_path / "file"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "ptrace" in done.stderr:
        pytest.skip("strace is not allowed here: run it in a container with CAP_SYS_PTRACE")
    calls = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert [re.split("[(]", call)[0][:6] for call in calls] == ["fsync", "rename", "fsync"]
    assert f"<{tmp_path}/file{PART}>" in calls[0]
    assert f"<{tmp_path}>" in calls[2]


def test_remove_takes_files_folders_and_links_but_not_what_they_point_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for folder in (kept, tmp_path / "folder"):
        folder.mkdir()
        write_file(folder / "file", b"x")
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    write_file(tmp_path / "file", b"x")
    for name in ("folder", "link", "broken", "file", "nothing"):
        remove(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "home"}
    assert (kept / "file").read_bytes() == b"x"


# Locks


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        with file_lock(tmp_path / "lock", on_wait=lambda: said.append("wait")):
            assert is_locked(tmp_path / "lock")
        assert not is_locked(tmp_path / "lock")
    assert said == []
    assert not is_locked(tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_a_lock_waits_for_the_other_process_and_says_so_once(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    said: list[bool] = []
    with _holder(lock) as other:
        assert is_locked(lock)

        def let_go() -> None:
            said.append(other.poll() is None)
            assert other.stdin
            other.stdin.close()

        with file_lock(lock, on_wait=let_go):
            assert said == [True]
            assert is_locked(lock)


@pytest.mark.slow
def test_a_lock_is_not_had_before_the_other_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    waiting, has = threading.Event(), threading.Event()

    def take() -> None:
        with file_lock(lock, on_wait=waiting.set):
            has.set()

    with _holder(lock) as other:
        taker = threading.Thread(target=take)
        taker.start()
        try:
            assert waiting.wait(60)
            assert not has.wait(0.2)
        finally:
            assert other.stdin
            other.stdin.close()
            taker.join()
        assert has.is_set()


def test_a_lock_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with _holder(lock) as other:
        os.kill(other.pid, signal.SIGKILL)
        with file_lock(lock):
            assert other.wait() == -signal.SIGKILL
    assert not is_locked(lock)


def test_a_lock_ends_with_its_block_however_it_ends(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), file_lock(tmp_path / "lock"):
        raise KeyboardInterrupt
    with (
        pytest.raises(ZeroDivisionError),
        _holder(tmp_path / "lock"),
        file_lock(tmp_path / "lock", on_wait=lambda: 1 / 0),
    ):
        pytest.fail("somebody else has it")
    assert not is_locked(tmp_path / "lock")


def test_a_lock_is_not_inherited_by_programs(tmp_path: Path) -> None:
    with file_lock(tmp_path / "lock"):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert not is_locked(tmp_path / "lock")
    finally:
        child.kill()
        child.wait()


def test_shared_locks_are_had_together_and_keep_out_an_exclusive_one(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    said: list[str] = []
    with _holder(lock, "shared") as one, _holder(lock, "shared") as two:
        with file_lock(lock, shared=True, on_wait=lambda: said.append("shared")):
            assert said == []
        assert is_locked(lock)

        def let_go() -> None:
            said.append("exclusive")
            for holder in (one, two):
                assert holder.stdin
                holder.stdin.close()

        with file_lock(lock, on_wait=let_go):
            assert said == ["exclusive"]
            assert (one.wait(60), two.wait(60)) == (0, 0)


def test_an_exclusive_lock_keeps_out_shared_ones(tmp_path: Path) -> None:
    said: list[str] = []
    with _holder(tmp_path / "lock") as other:

        def let_go() -> None:
            said.append("shared")
            other.kill()

        with file_lock(tmp_path / "lock", shared=True, on_wait=let_go):
            assert said == ["shared"]


# Whoever may change the folder


@pytest.mark.parametrize(
    "plant", [os.mkfifo, lambda path: path.symlink_to("/dev/null"), Path.mkdir]
)
def test_nothing_is_written_through_what_is_planted(
    tmp_path: Path, plant: Callable[[Path], object]
) -> None:
    plant(tmp_path / "file.part")
    with pytest.raises(OSError):
        write_file(tmp_path / "file", b"mine", shared=True)
    assert not (tmp_path / "file").exists()


def test_nothing_is_written_into_a_file_of_another_name(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "file.part").hardlink_to(tmp_path / "theirs")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "file", b"mine", shared=True)
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    "plant", [os.mkfifo, lambda path: path.symlink_to("/dev/null"), Path.mkdir]
)
def test_only_a_plain_file_is_read_or_locked(
    tmp_path: Path, plant: Callable[[Path], object]
) -> None:
    plant(tmp_path / "file")
    with pytest.raises(OSError):
        open_file(tmp_path / "file")
    with pytest.raises(OSError), file_lock(tmp_path / "file"):
        pass


@pytest.mark.slow
def test_a_lock_is_waited_for_as_long_as_is_said(tmp_path: Path) -> None:
    waited = []
    with (
        file_lock(tmp_path / "lock"),
        pytest.raises(TimeoutError),
        file_lock(tmp_path / "lock", seconds=0.2, on_wait=lambda: waited.append(1)),
    ):
        pass
    assert waited == [1]
    with file_lock(tmp_path / "lock", seconds=0.2):
        pass
