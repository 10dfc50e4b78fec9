"""A test host: a root of Debian started by systemd-nspawn, with systemd running or without."""

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from host.cgroups import inside_cgroup
from host.network import NETWORKS, LabError, Network

CHECKOUT = Path(__file__).resolve().parents[2]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PIP_CACHE = "/srv/pip"  # what all hosts of a lab have fetched
NEVER_COPIED = {".git", ".venv", ".cache", "__pycache__", "build", "dist", ".hypothesis"}


@dataclass(slots=True)
class Host:
    """A host. `root` is its file system seen from here; `leader` its first process."""

    root: Path
    network: Network
    systemd: bool
    environ: Mapping[str, str] = field(default_factory=dict)
    leader: int = 0
    _nspawn: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        """Where it is reached from here."""
        return f"{self.network.subnet}.2"

    def boot(self) -> None:
        """Start it; with systemd, until that has come up."""
        command = [
            *("systemd-nspawn", "--quiet", f"--directory={self.root}"),
            *(f"--machine={self.network.name}", "--register=no", "--keep-unit"),
            f"--network-namespace-path={NETWORKS / self.network.name}",
            *("--resolv-conf=off", "--timezone=off", "--bind-ro=/etc/ssl/certs", "--console=pipe"),
            f"--bind={self.root.parent / 'pip'}:{PIP_CACHE}",
            "--capability=CAP_NET_ADMIN",  # its own firewall, which its own services may change
            *(["--boot"] if self.systemd else ["--as-pid2", "sleep", "infinity"]),
        ]
        log = self.root.with_suffix(".log")
        with log.open("w") as output:
            self._nspawn = subprocess.Popen(
                inside_cgroup(self.network.name, command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        self.root.with_suffix(".pid").write_text(str(self._nspawn.pid))
        self.leader = _wait_for_leader(self._nspawn, log)
        if self.systemd:
            _wait_for_systemd(self.leader, log)

    def cut_power(self) -> None:
        """Everything in it is killed at once."""
        if self._nspawn:
            stop(self._nspawn.pid)
            self._nspawn.wait()

    def restart(self) -> None:
        """Shut it down in good order, and boot it again."""
        self.shut_down()
        self.boot()

    def shut_down(self) -> None:
        """In good order."""
        assert self._nspawn
        self.run("systemctl poweroff")
        self._nspawn.wait(120)

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
        return copy_clean(self.root / folder.lstrip("/"))


def copy_clean(target: Path) -> Path:
    """Copy this checkout to `target`, as a fresh clone has it."""
    for file in clean_files(CHECKOUT):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / file, target / file, follow_symlinks=False)
    return target


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


def stop(nspawn: int) -> None:
    """End a host at once: when its first process is gone, so is everything in it."""
    for process in [*filter(_is_first, _children(nspawn)), nspawn]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
