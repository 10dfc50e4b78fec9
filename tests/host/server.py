"""A host with BookBrain on it, as its owner and its visitors meet it."""

import re
import shlex
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from host.authority import Authority
from host.lab import listing
from host.machine import Host
from host.site import Site, password

DOMAIN = "books.example.org"
WORD, NEW_WORD = "correct horse battery", "another long password"
_OURS = re.compile(r"^(etc|opt|usr/local|var/lib/bookbrain)/")
_SCRATCH = re.compile(r"\.sqlite3-(wal|shm)$|/chroma/|__pycache__")


class Server:
    """A host with BookBrain on it, and what a visitor and its owner need."""

    def __init__(self, host: Host, url: str, acme: Authority, suite: str = "") -> None:
        self.host = host
        self.suite = suite  # the release of Debian
        self.url = url
        self.acme = acme
        self.planned = ""  # what the first dry run said
        self.site = Site(host.address, DOMAIN, acme.root.read_text())

    def install(self, *options: str, timeout: float = 900) -> str:
        """`curl … | bash`, unattended; what it said."""
        return succeeded(self.try_install(*options, timeout=timeout))

    def try_install(
        self, *options: str, timeout: float = 900
    ) -> "subprocess.CompletedProcess[str]":
        given = ["--source", self.url, "--domain", DOMAIN, "--email", f"owner@{DOMAIN}"]
        given += ["--user", "alice", "--password-file", "/root/password", *options]
        env = {
            "BOOKBRAIN_ACME_DIRECTORY": self.acme.directory,
            "BOOKBRAIN_ACME_ROOT": "/srv/acme-root.pem",
        }
        command = f"curl -fsSL {self.url}/install.sh | bash -s -- {shlex.join(given)}"
        return self.host.run(command, env=env, timeout=timeout)

    def run(self, command: str, timeout: float = 120) -> str:
        """A command of root's, which must succeed; what it said."""
        done = self.host.run(command, timeout=timeout)
        if done.returncode:
            done.stdout += self.host.run("journalctl --no-pager -n 40 -o short").stdout
        return succeeded(done)

    def invocations(self) -> dict[str, str]:
        """What tells one run of a service from another."""
        units = " ".join(("bookbrain.service", "bookbrain-chroma.service", "caddy.service"))
        lines = self.run(f"systemctl show -p Id,InvocationID,NRestarts {units}").split("\n\n")
        return {entry.split("Id=", 1)[1].split()[0]: entry for entry in lines}

    def main_pid(self, unit: str) -> int:
        return int(self.run(f"systemctl show -p MainPID --value {unit}"))

    def files(self) -> dict[str, str]:
        """What of the machine an installation could have changed."""
        found = listing(
            self.host.root, ("dev", "proc", "run", "sys", "tmp", "usr/lib", "usr/share")
        )
        return {
            path: state
            for path, state in found.items()
            if _OURS.match(path) and not _SCRATCH.search(path)
        }

    def wait(self, what: str, holds: Callable[[], bool], seconds: float = 60) -> None:
        """Until `holds`; a failure that shows the journal otherwise."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                journal = self.host.run("journalctl --no-pager -n 40 -o short").stdout
                raise AssertionError(f"{what}: not within {seconds} s\n{journal}")
            time.sleep(0.2)

    def is_up(self) -> bool:
        try:
            return self.site.ask("/healthz").status == 200
        except (OSError, ssl.SSLError):
            return False

    def cpu(self, unit: str) -> float:
        """Seconds of CPU that a service has used."""
        pid = _outside(self, self.main_pid(unit))
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def books(self) -> list[str]:
        """The file names on the shelf, as a visitor gets them, who waits where Caddy says so."""
        deadline = time.monotonic() + 60
        while True:
            answer = self.site.ask("/api/books", Authorization=password("alice", WORD))
            if answer.status != 503 or time.monotonic() > deadline:
                break
            time.sleep(1)
        assert answer.status == 200, answer
        return re.findall(r'"file": "([^"]+)"', answer.body.decode())


def succeeded(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout
    return done.stdout


def _outside(server: Server, pid: int) -> int:
    """The id that a process of the host has here."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = status.read_text().splitlines()
        except OSError:
            continue
        ids = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
        if len(ids) > 1 and ids[-1] == str(pid) and _same_host(server, int(ids[0])):
            return int(ids[0])
    raise AssertionError(f"no process {pid} in the host")


def _same_host(server: Server, pid: int) -> bool:
    namespace = Path(f"/proc/{pid}/ns/pid")
    return namespace.readlink() == Path(f"/proc/{server.host.leader}/ns/pid").readlink()
