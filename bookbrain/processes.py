"""The home of child processes: how they start, how they end."""

import ctypes
import os
import resource
import select
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import IO, Any, NamedTuple

from bookbrain.messages import fill

_LIBC = ctypes.CDLL(None, use_errno=True)  # here: after a fork, a lock of the loader may be held
_PR_SET_PDEATHSIG = 1
_LEAST_NICE = 19


def start_module(
    module: str,
    *args: str,
    stdin: int | IO[Any] | None = subprocess.DEVNULL,
    stdout: int | IO[Any] | None = subprocess.DEVNULL,
    stderr: int | IO[Any] | None = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
    with_secrets: bool = False,
) -> subprocess.Popen[bytes]:
    """Run `python -m module args…` in a session of its own, so that signals meant for us miss it.

    Secrets go through `stdin`, never `args`; its environment has them only for one that reads the
    settings itself: `with_secrets`.
    """
    return subprocess.Popen(
        [*module_command(module), *args],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        env=dict(os.environ) if with_secrets else _without_secrets(os.environ),
        start_new_session=True,
    )


def module_command(module: str) -> list[str]:
    """The command that runs a module of ours; `-P` keeps the working directory off its path."""
    return [sys.executable, "-P", "-m", module]


def start_program(
    command: Sequence[str],
    *,
    stdout: IO[bytes] | int,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stderr: IO[bytes] | int = subprocess.STDOUT,
    cwd: str | None = None,
    env: Mapping[str, str] = os.environ,
) -> subprocess.Popen[bytes]:
    """Run `command`; it is killed when the calling thread ends. PIPE makes a pipe to us.

    Its environment has none of our secrets. Raises FileNotFoundError without such a program.
    """
    return subprocess.Popen(
        list(command),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        env=_without_secrets(env),
        close_fds=False,  # what the caller made inheritable is meant to be, a lock for instance
        preexec_fn=die_with_parent,  # noqa: PLW1509  (one thread, one system call)
    )


class Ended(NamedTuple):
    """How a program ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str


def run_program(
    command: Sequence[str],
    *,
    timeout: float,
    given: str = "",
    variables: Mapping[str, str] | None = None,
) -> Ended:
    """Run `command` with the input `given` to its end; after `timeout` seconds it is killed.

    Its environment has none of our secrets, and these `variables` besides. Raises FileNotFoundError
    when there is no such program.
    """
    try:
        done = subprocess.run(
            list(command),
            input=given,
            env=_without_secrets(os.environ) | dict(variables or {}),
            capture_output=True,
            timeout=timeout,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return Ended(-signal.SIGKILL, "", "")
    return Ended(done.returncode, done.stdout, done.stderr)


PIPE = subprocess.PIPE
_CHUNK = 1 << 16


_PATIENCE = 30  # times its seconds, for what has to wait for others


class Bounds(NamedTuple):
    """What a program may take: seconds, MiB of address space, bytes that it prints or that a file
    of its has.

    An `idle` one runs where nobody else wants the processor: then these are seconds of its work,
    and it may take 30 times as long.
    """

    timeout: float
    memory_mb: int
    most_bytes: int
    idle: bool = False

    @property
    def patience(self) -> float:
        """Seconds after which it is killed, whatever it did."""
        return self.timeout * (_PATIENCE if self.idle else 1)


class EndedInBounds(NamedTuple):
    """How a program ended that was kept in bounds, and the bytes that it wrote."""

    code: int
    stdout: bytes
    stderr: bytes


def run_in_bounds(
    command: Sequence[str],
    given: bytes,
    bounds: Bounds,
    *,
    variables: Mapping[str, str],
    folder: Path | None = None,
) -> EndedInBounds:
    """Run a program that is not trusted with what it reads, `given` as its input, to its end.

    It works in `folder`, and can write no file where there is none. Raises TimeoutError,
    OverflowError when it writes too much, FileNotFoundError when there is no such program; it and
    all that it started are gone then.
    """

    def confine() -> None:
        die_with_parent()
        limit_this_process(bounds.memory_mb, bounds.most_bytes if folder else 0)
        step_back(bounds.timeout) if bounds.idle else None

    with _file_in_memory(given) as stdin:
        child = subprocess.Popen(
            list(command),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_without_secrets(os.environ) | dict(variables),
            cwd=folder,
            start_new_session=True,
            preexec_fn=confine,  # noqa: PLW1509  (system calls only)
        )
    with _gone_at_last(child):
        stdout, stderr = _all_from(child, monotonic() + bounds.patience, bounds.most_bytes)
        try:
            code = child.wait(max(bounds.patience, 1))
        except subprocess.TimeoutExpired as error:  # it closed its output and goes on
            raise TimeoutError from error
    if beyond := _BEYOND.get(-code):
        raise beyond
    return EndedInBounds(code, stdout, stderr)


_BEYOND: dict[int, type[Exception]] = {
    signal.SIGXFSZ: OverflowError,
    signal.SIGXCPU: TimeoutError,
}


@contextmanager
def _gone_at_last(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """At the end of the block the child and all that it started, in its session, are gone."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe:
                pipe.close()


def _file_in_memory(content: bytes) -> IO[bytes]:
    """What a child can read as its input at its own pace, while we listen to it."""
    file = open(os.memfd_create("given"), "w+b", buffering=0)  # noqa: SIM115  (the caller closes)
    file.write(content)
    file.seek(0)
    return file


def _all_from(child: "subprocess.Popen[bytes]", deadline: float, most: int) -> tuple[bytes, bytes]:
    """What it writes to stdout and stderr; TimeoutError, or OverflowError after `most` bytes."""
    written: dict[IO[bytes], list[bytes]] = {}
    received = 0
    with selectors.DefaultSelector() as ready:
        for pipe in (child.stdout, child.stderr):
            assert pipe  # noqa: S101  (a pipe was asked for)
            written[pipe] = []
            ready.register(pipe, selectors.EVENT_READ)
        while ready.get_map():
            if deadline <= monotonic():
                raise TimeoutError
            for key, _ in ready.select(max(deadline - monotonic(), 0)):
                chunk = os.read(key.fd, _CHUNK)
                received += len(chunk)
                if received > most:
                    raise OverflowError
                if not chunk:
                    ready.unregister(key.fileobj)
                written[key.fileobj].append(chunk)  # type: ignore[index]
    stdout, stderr = (b"".join(chunks) for chunks in written.values())
    return stdout, stderr


def run_in_terminal(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run `command` with our own input and output to its end; its exit code, as a shell has it."""
    env = _without_secrets(env)
    code = subprocess.run(list(command), env=env, check=False).returncode
    return 128 - code if code < 0 else code


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (prctl(2), PR_SET_PDEATHSIG)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run_forked(work: Callable[[], None], until: int | None = None) -> int:
    """Run `work` in a fork of this process to its end; its exit code, negative for a signal.

    It is killed when this process ends, which must have one thread only, and when something comes
    from the descriptor `until`, or nothing can any more.
    """
    ours = os.getpid()
    if child := os.fork():
        if until is not None and not _ended_before(child, until):
            os.kill(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        die_with_parent()
        if os.getppid() == ours:  # it may have ended before it was asked for
            work()
            code = 0
    finally:
        os._exit(code)


def _ended_before(child: int, until: int) -> bool:
    watched = os.pidfd_open(child)
    try:
        return watched in select.select([watched, until], [], [])[0]
    finally:
        os.close(watched)


def limit_this_process(memory_mb: int, file_bytes: int = 0) -> None:
    """Cap this process's address space and what it writes into a file; no core dumps."""
    size = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


_MEMINFO = Path("/proc/meminfo")
_CGROUPS = Path("/sys/fs/cgroup")
# Of each kind of cgroup: where they are, and what says how much one may take, and has.
_OF_CGROUP = (
    (_CGROUPS, "0::", "memory.max", "memory.current"),
    (_CGROUPS / "memory", ":memory:", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def free_memory() -> int:
    """Bytes that a process may still take: of the machine, without swap, and of each cgroup that
    this process is in, whose cached files count as free."""
    free = [int(_field(_MEMINFO, "MemAvailable:") or 0) * 1024]
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            for top, mark, limit, used in _OF_CGROUP:
                _, found, name = line.partition(mark)
                if found:
                    free += _free_in_cgroups(top, name.strip("/"), limit, used)
    return max(min(free), 0)


def _free_in_cgroups(top: Path, name: str, limit: str, used: str) -> Iterator[int]:
    for folder in (top / name, *(top / name).parents):
        if not folder.is_relative_to(top):
            return
        with suppress(OSError, ValueError):  # at the top there is no limit; "max" is none
            most = int((folder / limit).read_text())
            cached = int(_field(folder / "memory.stat", "inactive_file ") or 0)
            yield most - int((folder / used).read_text()) + cached


def _field(path: Path, name: str) -> str:
    lines = path.read_text().splitlines()
    return next((line.removeprefix(name).split()[0] for line in lines if line.startswith(name)), "")


def step_back(seconds: float) -> None:
    """Leave the processor, and with it the disk, to all others from now on; this process is ended
    after so many seconds of work."""
    most = max(1, round(seconds))
    resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
    os.nice(_LEAST_NICE)
    with suppress(OSError):  # where it is forbidden, being nice is all there is
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def end(process: subprocess.Popen[bytes], grace: float = 0.0) -> int:
    """Stop `process`, at once or after SIGTERM and `grace` seconds; its return code."""
    if process.poll() is None and grace:
        process.terminate()
        try:
            return process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
    if process.poll() is None:
        process.kill()
    return process.wait()


def describe_exit(code: int) -> str:
    """'signal SIGSEGV' or 'exit code 3'."""
    if code >= 0:
        return fill("exit code {code}", code=code)
    try:
        return fill("signal {name}", name=signal.Signals(-code).name)
    except ValueError:
        return fill("signal {name}", name=-code)


def _without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings are imported only here: the children of this module need none, and start sooner."""
    from bookbrain.settings import environment_without_secrets  # noqa: PLC0415

    return environment_without_secrets(environ)
