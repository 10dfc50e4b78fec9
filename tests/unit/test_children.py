"""Child processes: what they may take, how they end, and that they end."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bookbrain.processes import (
    Bounds,
    describe_exit,
    end,
    run_in_bounds,
    start_module,
    start_program,
)

_SECONDS = 60  # a safety net: nothing here takes one

_HUNGRY = """if True:
    import json, resource, sys
    from bookbrain.processes import limit_this_process

    def take(megabytes):
        try:
            return bool(bytearray(megabytes << 20))
        except MemoryError:
            return False

    before = take(600)
    limit_this_process(600)
    said = {"before": before, "much": take(600), "little": take(50), "core":
            resource.getrlimit(resource.RLIMIT_CORE),
            "for good": resource.getrlimit(resource.RLIMIT_AS)[1] == 600 << 20}
    try:
        with open(sys.argv[1], "wb") as file:
            file.write(b"x")
        said["written"] = True
    except OSError:
        said["written"] = False
    print(json.dumps(said))
"""

_FORKS = """if True:
    import json, os, signal, sys
    from bookbrain.processes import run_forked

    def fail():
        raise ValueError

    ways = [os.getpid, fail, lambda: os.kill(os.getpid(), signal.SIGSEGV), lambda: os._exit(7)]
    print(json.dumps([run_forked(way) for way in ways]), flush=True)
    run_forked(lambda: (print(os.getpid(), flush=True), signal.pause()))
"""

_PARENT = """if True:
    import os, sys, time
    from pathlib import Path
    from bookbrain.processes import start_program
    pipe = int(sys.argv[1])
    os.set_inheritable(pipe, True)
    with open(sys.argv[2], "wb") as log:
        start_program(
            ["/bin/sh", "-c", f"echo up >/dev/fd/{pipe}; exec sleep 600"],
            cwd="/", stdout=log, env={},
        )
    time.sleep(600)
"""

_STUBBORN = """if True:
    import signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("up", flush=True)
    time.sleep(600)
"""

_OBEDIENT = """if True:
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
    print("up", flush=True)
    time.sleep(600)
"""

_PROBE = """
import json, os, sys
print(json.dumps({"args": sys.argv[1:], "session": os.getsid(0), "pid": os.getpid(),
                  "stdin": sys.stdin.read(), "pipe": os.environ.get("PROBE_FD")
                  and os.read(int(os.environ["PROBE_FD"]), 9).decode()}))
"""


@contextmanager
def _running(program: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A child that has said that it is up."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout
            assert child.stdout.readline() == b"up\n"
            yield child
        finally:
            child.kill()


@pytest.mark.slow
def test_a_limited_process_cannot_take_more_nor_write_files(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HUNGRY, tmp_path / "file"],
        capture_output=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert json.loads(done.stdout) == {
        "before": True, "much": False, "little": True, "core": [0, 0], "for good": True,
        "written": False,
    }  # fmt: skip
    assert (tmp_path / "file").read_bytes() == b""


# How they end


@pytest.mark.slow
def test_end_kills_a_child_that_ignores_sigterm() -> None:
    with _running(_STUBBORN) as child:
        assert end(child, grace=0.2) == -signal.SIGKILL


def test_end_lets_a_child_finish_in_its_own_way() -> None:
    with _running(_OBEDIENT) as child:
        assert end(child, grace=_SECONDS) == 5


def test_end_without_grace_kills_at_once() -> None:
    with _running(_OBEDIENT) as child:
        assert end(child) == -signal.SIGKILL


def test_end_of_one_that_ended_is_its_own_code() -> None:
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert end(child, grace=_SECONDS) == 3
    assert end(child) == 3


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-signal.SIGSEGV, "signal SIGSEGV"),
        (-signal.SIGKILL, "signal SIGKILL"),
        (-signal.SIGXFSZ, "signal SIGXFSZ"),
        (-40, "signal 40"),
    ],
)
def test_an_exit_is_described(code: int, said: str) -> None:
    assert describe_exit(code) == said


def test_the_exit_of_a_real_child_is_described() -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGABRT)"
    child = subprocess.Popen([sys.executable, "-c", program])
    assert describe_exit(child.wait()) == "signal SIGABRT"


# start_program


def _read(pipe: int) -> bytes | None:
    """What comes; nothing, where every process that had the other end is gone."""
    readable, _, _ = select.select([pipe], [], [], _SECONDS)
    return os.read(pipe, 9) if readable else None


@pytest.mark.slow
def test_a_program_dies_with_its_parent_however_that_dies(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(theirs), tmp_path / "log"], pass_fds=[theirs]
    )
    try:
        assert _read(ours) == b"up\n", "the program has the pipe"
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        assert len(children) == 1
        os.close(theirs)
        assert not select.select([ours], [], [], 0.2)[0], "it lives as long as its parent"
        parent.kill()
        parent.wait()
        came = _read(ours)
        if came is None:
            os.kill(int(children[0]), signal.SIGKILL)
        assert came == b"", "it outlives its parent"
    finally:
        parent.kill()
        parent.wait()
        os.close(ours)


def test_a_program_has_its_folder_its_environment_its_log_and_nothing_to_read(
    tmp_path: Path,
) -> None:
    with (tmp_path / "log").open("wb") as log:
        program = start_program(
            ["/bin/sh", "-c", 'pwd; echo "$NAME:$HOME"; cat; echo wrong >&2; exit 4'],
            cwd=str(tmp_path),
            stdout=log,
            env={"NAME": "이름"},
        )
        assert program.wait(_SECONDS) == 4
    assert (tmp_path / "log").read_text("utf-8") == f"{tmp_path}\n이름:\nwrong\n"


# run_forked


@pytest.fixture
def forks() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", _FORKS], stdout=subprocess.PIPE, stderr=-3)
    with process:
        yield process
        process.kill()


def test_how_a_fork_ended(forks: "subprocess.Popen[bytes]") -> None:
    assert forks.stdout
    assert json.loads(forks.stdout.readline()) == [0, 1, -signal.SIGSEGV, 7]


def test_a_fork_ends_with_its_parent(forks: "subprocess.Popen[bytes]") -> None:
    assert forks.stdout
    forks.stdout.readline()
    fork = int(forks.stdout.readline())
    assert Path(f"/proc/{fork}").exists()
    forks.kill()
    assert forks.stdout.read() == b"", "nobody has the other end any more"


# start_module


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that says what it was given."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "probe_of_start.py").write_text(_PROBE, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    return "probe_of_start"


def test_a_module_has_a_session_of_its_own(probe: str) -> None:
    child = start_module(probe, "one", "둘 three", stdout=subprocess.PIPE)
    out, _ = child.communicate(timeout=_SECONDS)
    said = json.loads(out)
    assert said["args"] == ["one", "둘 three"]
    assert said["session"] == said["pid"] == child.pid != os.getsid(0)
    assert said["stdin"] == "", "it does not read from the terminal"


def test_a_module_gets_what_it_is_handed(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    monkeypatch.setenv("PROBE_FD", str(ours))
    os.write(theirs, b"handed")
    child = start_module(probe, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[ours])
    out, _ = child.communicate(b"secret", timeout=_SECONDS)
    os.close(ours)
    os.close(theirs)
    said = json.loads(out)
    assert (said["stdin"], said["pipe"], said["args"]) == ("secret", "handed", [])


def test_the_working_directory_gives_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json.py", "here_only.py"):
        (tmp_path / name).write_text("raise SystemExit(9)\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    child = start_module("here_only", stderr=subprocess.PIPE)
    _, err = child.communicate(timeout=_SECONDS)
    assert child.returncode == 1
    assert b"No module named here_only" in err
    assert start_module("json.tool", "--help").wait(_SECONDS) == 0


def test_ctrl_c_does_not_reach_a_module(probe: str) -> None:
    """Ctrl-C goes to the process group of the terminal."""
    ours, theirs = os.pipe()
    child = start_module(probe, stdin=ours)
    try:
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    finally:
        os.close(theirs)
        os.close(ours)
        with suppress(ProcessLookupError):
            child.wait(_SECONDS)


@pytest.mark.slow
def test_an_idle_program_leaves_the_processor_to_others() -> None:
    """The time that it waits for its turn is not its own."""
    says = "import os; print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0))"
    command = [sys.executable, "-c", says]
    done = run_in_bounds(command, b"", Bounds(30, 512, 1000, idle=True), variables={})
    assert done.stdout.split() == [b"19", str(os.SCHED_IDLE).encode()]
    done = run_in_bounds(command, b"", Bounds(30, 512, 1000), variables={})
    assert done.stdout.split() != [b"19", str(os.SCHED_IDLE).encode()]
    sleeps = [sys.executable, "-c", "import time; time.sleep(2)"]
    assert run_in_bounds(sleeps, b"", Bounds(1, 512, 1000, idle=True), variables={}).code == 0
    with pytest.raises(TimeoutError):
        run_in_bounds(sleeps, b"", Bounds(1, 512, 1000), variables={})
    works = [sys.executable, "-c", "while True: pass"]
    with pytest.raises(TimeoutError):
        run_in_bounds(works, b"", Bounds(1, 512, 1000, idle=True), variables={})
