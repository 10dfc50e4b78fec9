"""The command line as a person uses it, on a library of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from support.forked import run_forked
from support.openai_process import OpenAIProcess

_PATIENCE = 240  # seconds: a safety net


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Shelf:
    """Commands on the library in `home`. `close` ends every process that works on it.

    `inside` is put before each command: what enters a namespace, for instance.
    """

    def __init__(
        self,
        home: Path,
        openai: OpenAIProcess | None = None,
        inside: Sequence[str] = (),
        **settings: str,
    ) -> None:
        self.home = home
        self.inside = inside
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home.parent),
            "LANG": "C.UTF-8",
            "OPENBLAS_NUM_THREADS": "1",
            "BOOKBRAIN_HOME": str(home),
            "BOOKBRAIN_EMBEDDING_DIMENSIONS": "64",
        }
        if openai:
            self.env |= {"OPENAI_BASE_URL": openai.url, "OPENAI_API_KEY": openai.key}
        self.env |= settings

    def start(self, *arguments: str | Path, **settings: str) -> "subprocess.Popen[str]":
        """The command as a process under way; `finish` waits for it."""
        return self.start_python("-m", "bookbrain.cli", *arguments, **settings)

    def start_admin(self, *arguments: str | Path, **settings: str) -> "subprocess.Popen[str]":
        """The administrator's command as a process under way."""
        program = "from bookbrain.admin import main; main()"
        return self.start_python("-c", program, *arguments, **settings)

    def start_python(self, *arguments: str | Path, **settings: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self.inside, sys.executable, "-P", *map(os.fspath, arguments)],
            cwd=self.home.parent,
            env=self.env | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
        )

    def run(self, *arguments: str | Path, code: int | None = 0, **settings: str) -> Done:
        """The command's end, which must be with `code` (None: any) and without a traceback."""
        if self.inside:
            return self.finish(self.start(*arguments, **settings), code)
        return self._run_forked("bookbrain.cli", arguments, code, settings)

    def admin(self, *arguments: str | Path, code: int | None = 0, **settings: str) -> Done:
        """The same of an administrator's command."""
        if self.inside:
            return self.finish(self.start_admin(*arguments, **settings), code)
        return self._run_forked("support.entry", ("admin", *arguments), code, settings)

    def _run_forked(
        self, module: str, arguments: Sequence[str | Path], code: int | None,
        settings: dict[str, str],
    ) -> Done:  # fmt: skip
        words = list(map(os.fspath, arguments))
        done = Done(*run_forked(module, words, self.home.parent, self.env | settings, _PATIENCE))
        return _judged(words, done, code)

    def finish(self, process: "subprocess.Popen[str]", code: int | None = 0) -> Done:
        out, err = process.communicate(timeout=_PATIENCE)
        return _judged(process.args, Done(process.returncode, out, err), code)

    def add(self, *paths: str | Path, code: int | None = 0, **settings: str) -> Done:
        return self.run("add", *paths, code=code, **settings)

    def books(self) -> list[dict[str, Any]]:
        return list(self.run("books", "--json").json())

    def search(self, query: str, *options: str, **settings: str) -> dict[str, Any]:
        """The answer as JSON."""
        return dict(self.run("search", "--json", *options, "--", query, **settings).json())

    def processes(self, having: str = "") -> dict[int, str]:
        """The processes that work on this library, by id, with their command lines."""
        return {pid: line for pid, line in _processes(self.home) if having in line}

    def readers(self, file: str) -> list[int]:
        """The processes that have this file of the library open."""
        return [pid for pid in self.processes() if file in _open_files(pid)]

    def kill(self, having: str) -> None:
        """SIGKILL to the processes with this in their command line."""
        for pid in self.processes(having):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.processes(having), f"the end of {having}")

    def close(self) -> None:
        while running := self.processes():
            for pid in running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _judged(command: object, done: Done, code: int | None) -> Done:
    assert "Traceback" not in done.out + done.err, f"{command}\n{done.out}\n{done.err}"
    assert code in (None, done.code), f"{command}\n{done.code}\n{done.out}\n{done.err}"
    return done


def wait_for(happened: Callable[[], Any], what: str, seconds: float = 60) -> None:
    """Fail when it does not happen at all; the time is a safety net."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def _open_files(pid: int) -> set[str]:
    """The names of the files that a process has open; none when it is gone."""
    names = set()
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            names.add(descriptor.readlink().name)
    return names


def _processes(home: Path) -> Iterator[tuple[int, str]]:
    """By their environment: a command has BOOKBRAIN_HOME, the Chroma server has HOME.

    Not those of test hosts, whose library may be at the same place, in a root of their own.
    """
    mark = b"HOME=" + os.fsencode(home) + b"\0"
    ours = Path("/proc/self/ns/pid").readlink()
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if not folder.name.isdecimal() or (folder / "ns/pid").readlink() != ours:
                continue
            if mark in (folder / "environ").read_bytes() + b"\0":
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                if line:  # a zombie has none
                    yield int(folder.name), line.decode(errors="replace")
