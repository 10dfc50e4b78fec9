"""Power cuts at chosen lines of the installer, on a host whose state can be had back.

Every bash of the host writes what it runs to a file, which is read from outside.
"""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host.network import do
from host.server import Server

_TRACE = "srv/trace"
_TRACING = f"exec {{BASH_XTRACEFD}}>>/{_TRACE}\nset -x\n"
_DROP_IN = "etc/systemd/system/bookbrain-upgrade.service.d/trace.conf"
_STATE = (
    "etc/bookbrain",
    "etc/systemd/system",
    "etc/systemd/journald.conf.d",
    "etc/sysusers.d",
    "etc/tmpfiles.d",
    "opt/bookbrain/current",
    "opt/bookbrain/placed",
    "var/lib/bookbrain",
)


@dataclass(frozen=True, slots=True)
class Cut:
    """When the `nth` command that begins as `line` says is run, or `later` seconds after that."""

    line: str
    nth: int = 1
    later: float = 0.0

    def __str__(self) -> str:
        return f"{self.line} #{self.nth} +{self.later}"


class State:
    """What an upgrade changes of a host that is off, as it was; and the releases on it."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._root, self._folder = server.host.root, folder
        for name in _STATE:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            do("cp", "-a", str(self._root / name), str(folder / name))

    def keep_release(self, release: str) -> None:
        """Have this one, too, when the state comes back: a failing one is removed."""
        kept = self._folder / "releases" / release
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            do("cp", "-al", str(self._releases / release), str(kept))

    def bring_back(self) -> None:
        for name in ("opt/bookbrain/upgrading", "opt/bookbrain/upgrading.done", _TRACE):
            do("rm", "-rf", str(self._root / name))
        for name in _STATE:
            do("rm", "-rf", str(self._root / name))
            do("cp", "-a", str(self._folder / name), str(self._root / name))
        for kept in self._folder.glob("releases/*"):
            if not (self._releases / kept.name).exists():
                do("cp", "-al", str(kept), str(self._releases / kept.name))

    @property
    def _releases(self) -> Path:
        return self._root / "opt/bookbrain/releases"


def put(server: Server, book: Path) -> None:
    """As scp does, but at once: a book in the inbox."""
    part = server.host.root / "var/lib/bookbrain/inbox" / f".{book.name}"
    shutil.copyfile(book, part)
    part.rename(part.with_name(book.name))


def cut_upgrade(server: Server, url: str, cut: Cut, first: Path, last: Path) -> None:
    """Upgrade to the release at `url` until `cut`; the book `first` comes as the upgrade begins,
    `last` just before the power goes."""
    root = server.host.root
    (root / "srv/tracing.sh").write_text(_TRACING)
    (root / _DROP_IN).parent.mkdir(exist_ok=True)
    (root / _DROP_IN).write_text("[Service]\nEnvironment=BASH_ENV=/srv/tracing.sh\n")
    (root / _TRACE).touch()
    install = f"curl -fsSL {url}/install.sh | bash -s -- --source {url}"
    running = server.host.start(install, env={"BASH_ENV": "/srv/tracing.sh"})
    trace = _Trace(root / _TRACE)
    trace.wait(Cut("begin_upgrade"), running.poll)
    put(server, first)
    trace.wait(cut, running.poll)
    time.sleep(cut.later)
    put(server, last)
    server.host.cut_power()
    running.communicate()


class _Trace:
    def __init__(self, file: Path) -> None:
        self._file = file

    def wait(self, cut: Cut, code: Callable[[], int | None]) -> None:
        """Until the line is there; a failure that shows the last ones when it never comes."""
        size, over = -1, False
        while not over:
            over = code() is not None
            if size == (size := self._file.stat().st_size):
                time.sleep(0.01)
                continue
            lines = self._file.read_text(errors="replace").splitlines()
            found = [line for line in lines if re.match(cut.line, line.lstrip("+ "))]
            if len(found) >= cut.nth:
                return
        raise AssertionError(f"{cut}: not in the trace\n" + "\n".join(lines[-30:]))
