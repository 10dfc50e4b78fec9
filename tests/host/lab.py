"""Bare Debian hosts to test on, each with a network of its own, with systemd running or without.

A host is a minimal root built by mmdebstrap and started by systemd-nspawn: its own processes,
users, ports and firewall, reached by `Host.run`. All of it lies in one folder of the checkout's
.cache and carries the id of this process in its name. A lab removes all it made when it closes,
and when it opens, what a lab whose process was killed left behind.
"""

import hashlib
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from host.network import NETWORKS, LabError, Network, do, network, remove_network, stop_forwarding

CHECKOUT = Path(__file__).resolve().parents[2]
TOOLS = ("systemd-nspawn", "mmdebstrap", "nsenter", "ip", "iptables")
PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
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
NEVER_COPIED = {".git", ".venv", ".cache", "__pycache__", "build", "dist", ".hypothesis"}


@dataclass(frozen=True, slots=True)
class Host:
    """A running host. `root` is its file system seen from here; `leader` its first process."""

    root: Path
    network: Network
    leader: int
    environ: Mapping[str, str] = field(default_factory=dict)

    def start(
        self, command: str, *, user: str = "root", env: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Start a line of shell inside as `user`, in that user's home, with stderr in stdout."""
        home = "/root" if user == "root" else f"/home/{user}"
        values = {"HOME": home, "USER": user, "PATH": PATH, "LANG": "C.UTF-8"}
        values |= dict(self.environ) | dict(env or {})
        inside = ["nsenter", "-t", str(self.leader), "-a", "--"]
        variables = ["env", "-i", *(f"{name}={value}" for name, value in values.items())]
        become = [] if user == "root" else ["runuser", "-u", user, "--"]
        shell = ["bash", "-c", f"cd {shlex.quote(home)} && {command}"]
        return subprocess.Popen(
            [*inside, *variables, *become, *shell],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def run(
        self,
        command: str,
        *,
        user: str = "root",
        env: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a line of shell inside to its end; see `start`."""
        process = self.start(command, user=user, env=env)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            raise AssertionError(f"{command!r} took over {timeout} s:\n{output}") from None
        return subprocess.CompletedProcess(command, process.returncode, output, "")

    def add_user(self, name: str, number: int = 1000) -> None:
        """An ordinary user with a home; the base system has no command for it."""
        for file, line in (
            ("passwd", f"{name}:x:{number}:{number}::/home/{name}:/bin/bash"),
            ("group", f"{name}:x:{number}:"),
            ("shadow", f"{name}:!:::::::"),
        ):
            with (self.root / "etc" / file).open("a") as known:
                known.write(line + "\n")
        home = self.root / "home" / name
        home.mkdir(mode=0o755)
        os.chown(home, number, number)

    def copy_checkout(self, folder: str) -> Path:
        """Put a clean copy of this checkout at `folder` inside, as a fresh clone has it."""
        target = self.root / folder.lstrip("/")
        for file in clean_files(CHECKOUT):
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / file, target / file, follow_symlinks=False)
        return target


class Lab:
    """The folder, the roots, the networks and the hosts of one test session."""

    def __init__(self) -> None:
        self.folder = CHECKOUT / ".cache" / f"host-{os.getpid()}"
        self._made = ExitStack()
        self._hosts = 0

    def __enter__(self) -> "Lab":
        _refuse_what_cannot_work()
        for leftover in self.folder.parent.glob("host-*"):
            _sweep(leftover, ours=leftover == self.folder)
        self.folder.mkdir(parents=True)
        self._made.callback(_sweep, self.folder, ours=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    @contextmanager
    def host(self, suite: str, *, systemd: bool) -> Iterator[Host]:
        """A host that has nothing but the base system of the Debian release `suite`."""
        self._hosts += 1
        name = f"{self.folder.name}-{self._hosts}"
        root = self.folder / name
        with ExitStack() as made:
            made.callback(_remove, root)
            root.with_suffix(".pid").write_text("none yet")
            self._lay_root(suite, root)
            joined = made.enter_context(network(name))
            leader = made.enter_context(_running(root, joined, systemd=systemd))
            yield Host(root, joined, leader, passed_on())

    def _lay_root(self, suite: str, root: Path) -> None:
        template = self.folder / suite
        if not template.exists():
            try:
                do(
                    *("mmdebstrap", "--quiet", "--variant=apt", f"--include={PACKAGES}"),
                    *(f"--aptopt={option}" for option in apt_options()),
                    *(suite, str(template)),
                )
            except LabError:
                _remove(template)
                raise
        do("cp", "-a", "--reflink=auto", str(template), str(root))
        resolved = Path("/run/systemd/resolve/resolv.conf")
        servers = resolved if resolved.exists() else Path("/etc/resolv.conf")
        (root / "etc/resolv.conf").unlink(missing_ok=True)
        (root / "etc/resolv.conf").write_text(servers.read_text())


def clean_files(checkout: Path) -> list[Path]:
    """The files that a clone of `checkout` with all its changes committed would have."""
    git = ["git", "-C", str(checkout), "ls-files", "-coz", "--exclude-standard"]
    with suppress(OSError, subprocess.CalledProcessError):
        listing = subprocess.run(git, check=True, capture_output=True).stdout.decode()
        names = (Path(name) for name in listing.split("\0") if name)
        return [name for name in names if (checkout / name).is_file()]
    found = []
    for folder, folders, files in os.walk(checkout):
        folders[:] = [name for name in folders if name not in NEVER_COPIED]
        found += [Path(folder, name).relative_to(checkout) for name in files]
    return found


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


@contextmanager
def _running(root: Path, network: Network, *, systemd: bool) -> Iterator[int]:
    command = [
        *("systemd-nspawn", "--quiet", f"--directory={root}", f"--machine={network.name}"),
        *("--register=no", "--keep-unit", f"--network-namespace-path={NETWORKS / network.name}"),
        *("--resolv-conf=off", "--timezone=off", "--bind-ro=/etc/ssl/certs", "--console=pipe"),
        *(["--boot"] if systemd else ["--as-pid2", "sleep", "infinity"]),
    ]
    log = root.with_suffix(".log")
    with log.open("w") as output:
        nspawn = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            start_new_session=True,
        )
    root.with_suffix(".pid").write_text(str(nspawn.pid))
    try:
        leader = _wait_for_leader(nspawn, log)
        if systemd:
            _wait_for_systemd(leader, log)
        yield leader
    finally:
        _stop(nspawn.pid)
        nspawn.wait()


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]
    return []


def _is_first(pid: int) -> bool:
    """Whether it is process 1 of a namespace of its own."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in lines)
    return False


def _wait_for_leader(nspawn: "subprocess.Popen[bytes]", log: Path) -> int:
    for _ in range(300):
        if leaders := [child for child in _children(nspawn.pid) if _is_first(child)]:
            time.sleep(0.5)  # it sets up its mounts before it starts the first program
            if nspawn.poll() is None:
                return leaders[0]
        if nspawn.poll() is not None:
            break
        time.sleep(0.1)
    raise LabError(f"systemd-nspawn cannot start a host here: {log.read_text()[-500:].strip()}")


def _wait_for_systemd(leader: int, log: Path) -> None:
    state = ""
    for _ in range(120):
        asked = subprocess.run(
            ["nsenter", "-t", str(leader), "-a", "systemctl", "is-system-running"],
            capture_output=True,
            text=True,
            check=False,
        )
        state = asked.stdout.strip()
        if state in ("running", "degraded"):
            return
        time.sleep(0.5)
    raise LabError(f"systemd does not come up in a host here ({state}): {log.read_text()[-500:]}")


def _stop(nspawn: int) -> None:
    """End a host at once: when its first process is gone, so is everything in it."""
    for process in [*filter(_is_first, _children(nspawn)), nspawn]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _sweep(folder: Path, *, ours: bool = False) -> None:
    """Remove a lab: its hosts, its networks, its folder; unless its process still runs."""
    owner = folder.name.removeprefix("host-")
    if not ours and Path(f"/proc/{owner}").exists():
        return
    for file in folder.glob("*.pid"):
        pid = file.read_text()
        with suppress(OSError):
            if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                _stop(int(pid))
        name = file.stem
        remove_network(name)
    stop_forwarding()
    _remove(folder)


def _remove(folder: Path) -> None:
    command = ["rm", "-rf", "--one-file-system", str(folder)]
    subprocess.run(command, check=False, start_new_session=True)  # goes on if we are interrupted


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
                change += f" {hashlib.sha256(path.read_bytes()).hexdigest()}"
            elif not stat.S_ISDIR(state.st_mode):
                change += f" {state.st_size} {state.st_mtime_ns}"
            found[str(path.relative_to(folder))] = change
    return found
