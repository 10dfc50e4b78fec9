"""Power cuts at chosen lines of the installer, on a host that is as it was again for the next one.

Every bash of the host writes what it runs to a file, which is read from outside.
"""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from host.machine import Host
from host.network import do
from host.server import Server

_TRACE = "srv/trace"
_TRACING = f"exec {{BASH_XTRACEFD}}>>/{_TRACE}\nset -x\n"
_DROP_IN = "etc/systemd/system/bookbrain-upgrade.service.d/trace.conf"
_RELEASES = "opt/bookbrain/releases"


@dataclass(frozen=True, slots=True)
class Cut:
    """When the `nth` command that begins as `line` says is run, or `later` seconds after that."""

    line: str
    nth: int = 1
    later: float = 0.0

    def __str__(self) -> str:
        return f"{self.line} #{self.nth} +{self.later}"


class Layer:
    """What happens to a host that is off goes into a file system over its own, until `remove`."""

    def __init__(self, host: Host, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._host, self._folder = host, Path(mkdtemp(dir=folder))
        self._number = 0
        self._kept = self._folder / "kept"
        self._kept.mkdir()
        self._lay()

    def renew(self) -> None:
        """The host is off, and as it was when the layer was made, but for the releases kept."""
        self.remove()
        self._lay()

    def remove(self) -> None:
        self._host.cut_power()
        do("umount", str(self._host.root))
        for release in self._kept.iterdir():
            do("mv", "-T", str(release), str(self._host.root / _RELEASES / release.name))
        do("rm", "-rf", str(self._changes.parent))

    def keep_releases(self) -> None:
        """Those that were built meanwhile stay: each is built once."""
        for release in (self._changes / _RELEASES).glob("*"):
            if (release / "venvs/bookbrain/installed-from").is_file():  # what is built last
                do("cp", "-al", "-T", str(release), str(self._kept / release.name))

    @property
    def _changes(self) -> Path:
        return self._folder / str(self._number) / "changes"

    def _lay(self) -> None:
        self._number += 1
        work = self._changes.with_name("work")
        for folder in (self._changes, work):
            folder.mkdir(parents=True)
        root = str(self._host.root)
        where = f"lowerdir={root},upperdir={self._changes},workdir={work},redirect_dir=on"
        do("mount", "-t", "overlay", "-o", where, "overlay", root)


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
