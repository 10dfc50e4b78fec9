"""Bare Debian hosts to test on, each with a network of its own, with systemd running or without.

A host is a minimal root built by mmdebstrap and started by systemd-nspawn: its own processes,
users, ports and firewall, reached by `Host.run`. All of it lies in one folder of the checkout's
.cache and carries the name of the test run, whose processes share the lab. Each removes its hosts
when it leaves, the last one the lab; who opens one removes those that nobody is in: their
processes were killed.
"""

import fcntl
import hashlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TextIO

from host.cgroups import remove_cgroup
from host.machine import CHECKOUT, PIP_CACHE, Host, stop
from host.network import LabError, alone, do, network, remove_network, stop_forwarding

TOOLS = ("systemd-nspawn", "mmdebstrap", "nsenter", "ip", "iptables")
PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates"
# Whatever lets pip and TLS work out here is what they need in there.
PASSED_ON = (
    "PIP_",
    "SSL_CERT_",
    "REQUESTS_CA_",
    "CURL_CA_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
NOT_PASSED_ON = ("PIP_CACHE_DIR", "PIP_FIND_LINKS", "PIP_LOG")  # folders of this machine


_CACHE = CHECKOUT / ".cache"
_DOOR = _CACHE / "hosts.lock"  # one process at a time enters or leaves a lab
_INSIDE = "inside.lock"  # in the folder of a lab: shared by those who are in it


class Lab:
    """The folder, the roots, the networks and the hosts of a test run, as one process has them.

    `run` is the name of the run and `process` that of the process in it: a few letters or digits.
    """

    def __init__(self, run: str, process: str) -> None:
        self.folder = _CACHE / f"host-{run}"
        self._process = process
        self._made = ExitStack()
        self._hosts = 0
        self._removals: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Lab":
        _refuse_what_cannot_work()
        _CACHE.mkdir(exist_ok=True)
        with alone(_DOOR):
            for lab in _CACHE.glob("host-*"):
                _sweep_if_empty(lab)
            (self.folder / "pip").mkdir(parents=True, exist_ok=True)
            inside = (self.folder / _INSIDE).open("w")
            fcntl.flock(inside, fcntl.LOCK_SH)
        self._made.callback(self._leave, inside)
        self._made.callback(self._end_removals)
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    def _leave(self, inside: TextIO) -> None:
        with alone(_DOOR):
            inside.close()
            _sweep_if_empty(self.folder)

    def made_once(self, name: str, make: Callable[[Path], None]) -> Path:
        """What `make` makes at the path that it gets, in the first process that asks for it."""
        made, part = self.folder / name, self.folder / f"{name}.part"
        with alone(self.folder / f"{name}.lock"):
            if not made.exists():
                _remove(part)
                make(part)
                part.rename(made)
        return made

    @contextmanager
    def host(self, suite: str, *, systemd: bool) -> Iterator[Host]:
        """A host that has nothing but the base system of the Debian release `suite`."""
        self._hosts += 1
        name = f"{self.folder.name}-{self._process}-{self._hosts}"
        root = self.folder / name
        with ExitStack() as made:
            made.callback(self._begin_removal, root)
            root.with_suffix(".pid").write_text("none yet")
            self._lay_root(suite, root)
            joined = made.enter_context(network(name))
            host = Host(root, joined, systemd, passed_on() | {"PIP_CACHE_DIR": PIP_CACHE})
            made.callback(remove_cgroup, name)
            made.callback(host.cut_power)
            host.boot()
            yield host

    def _begin_removal(self, root: Path) -> None:
        """It takes a while, in which the next host is at work."""
        self._removals.append(subprocess.Popen(_removal(root), start_new_session=True))

    def _end_removals(self) -> None:
        for removal in self._removals:
            removal.wait()

    def _lay_root(self, suite: str, root: Path) -> None:
        template = self.made_once(suite, partial(_make_root, suite))
        do("cp", "-a", "--reflink=auto", str(template), str(root))
        resolved = Path("/run/systemd/resolve/resolv.conf")
        servers = resolved if resolved.exists() else Path("/etc/resolv.conf")
        (root / "etc/resolv.conf").unlink(missing_ok=True)
        (root / "etc/resolv.conf").write_text(servers.read_text())


def _make_root(suite: str, root: Path) -> None:
    do(
        *("mmdebstrap", "--quiet", "--variant=apt", f"--include={PACKAGES}"),
        *(f"--aptopt={option}" for option in apt_options()),
        "--dpkgopt=force-unsafe-io",  # in the hosts too: this machine does not lose power
        *(suite, str(root)),
    )


def passed_on() -> dict[str, str]:
    """The variables that pip and TLS need here to reach their servers."""
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    settings = dict(line.split("=", 1) for line in pip.stdout.splitlines() if "=" in line)
    found = {}
    for name in ("index-url", "cert", "proxy", "trusted-host"):
        if value := settings.get(f"global.{name}"):
            found[f"PIP_{name.replace('-', '_').upper()}"] = value.strip("'\"")
    for name, value in os.environ.items():
        if name.upper().startswith(PASSED_ON) and name not in NOT_PASSED_ON:
            found[name] = value
    return found


def apt_options() -> list[str]:
    """How apt reaches its servers here: proxies, certificates, checks."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")
    lines = (line.rstrip(";") for line in dump.stdout.splitlines() if line.startswith(wanted))
    return [line for line in lines if not line.endswith('""')]


def _refuse_what_cannot_work() -> None:
    if os.geteuid() != 0:
        raise LabError("test hosts need root")
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        raise LabError(f"test hosts need {', '.join(missing)}")


def _sweep_if_empty(lab: Path) -> None:
    """Remove a lab that no process is in, with what one that was killed has left of its hosts."""
    with (lab / _INSIDE).open("w") as inside:
        try:
            fcntl.flock(inside, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        for file in lab.glob("*.pid"):
            pid = file.read_text()
            with suppress(OSError):
                if str(lab).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    stop(int(pid))
            remove_network(file.stem)
            remove_cgroup(file.stem)
        stop_forwarding()
        _unmount(lab)
        _remove(lab)


def _unmount(folder: Path) -> None:
    """What a test has laid over its host."""
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        if (where := line.split()[1]).startswith(f"{folder}/"):
            subprocess.run(["umount", where], check=False)


def _remove(folder: Path) -> None:
    subprocess.run(_removal(folder), check=False, start_new_session=True)


def _removal(folder: Path) -> list[str]:
    """The command; in a session of its own it goes on if we are interrupted."""
    return ["rm", "-rf", "--one-file-system", str(folder)]


def listing(folder: Path, leave_out: Iterable[str] = ()) -> dict[str, str]:
    """Every path below `folder` with what tells a change: its mode, and for a file size and time.

    A database counts as changed when its content is another: reading one may renew its time.
    """
    skipped = {folder / name for name in leave_out}
    found = {}
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(here, name) not in skipped]
        for path in (Path(here, name) for name in [*folders, *files]):
            state = path.lstat()
            change = f"{state.st_mode:o}"
            if path.suffix == ".sqlite3":
                change += f" {_content(path)}"
            elif not stat.S_ISDIR(state.st_mode):
                change += f" {state.st_size} {state.st_mtime_ns}"
            found[str(path.relative_to(folder))] = change
    return found


def _content(database: Path) -> str:
    """A digest of its tables: a row that came and went again leaves its traces in the file."""
    with closing(sqlite3.connect(f"{database.as_uri()}?immutable=1", uri=True)) as connection:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()
