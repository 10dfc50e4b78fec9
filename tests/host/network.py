"""Networks of test hosts: a namespace each, joined to this machine and masqueraded."""

import fcntl
import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

NETWORKS = Path("/run/netns")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FORWARDED = Path("/run/bookbrain-test-hosts.ip_forward")  # what it said before the first network
_JOINING = Path("/run/bookbrain-test-hosts.lock")


class LabError(Exception):
    """No host can be had here; the message says why."""


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """No other process of this machine is in a block with this lock."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True, slots=True)
class Network:
    """A network namespace, joined to this machine by a pair of links and masqueraded."""

    name: str
    subnet: str  # its first three numbers

    @property
    def number(self) -> str:
        """What no other network here has."""
        return self.subnet.rsplit(".", 1)[1]

    def cut(self) -> None:
        """From now on nothing gets in or out."""
        do("ip", "-n", self.name, "link", "set", "eth0", "down")

    @contextmanager
    def neighbours(self, *addresses: str, here: Sequence[str] = ()) -> Iterator[None]:
        """This machine has these addresses too, with their prefixes, and the host has `here`."""
        link = _outer_link(self.name)
        with ExitStack() as made:
            for given, at in (
                *((one, f"ip addr {{}} {one} dev {link}") for one in addresses),
                *((one, f"ip -n {self.name} addr {{}} {one} dev eth0") for one in here),
            ):
                do(*at.format("add").split(), *(["nodad"] if ":" in given else []))
                made.callback(do, *at.format("del").split())
            yield

    def mend(self) -> None:
        """Undo `cut`, or connect for the first time."""
        do("ip", "-n", self.name, "link", "set", "eth0", "up")
        do("ip", "-n", self.name, "route", "replace", "default", "via", f"{self.subnet}.1")


@contextmanager
def network(name: str) -> Iterator[Network]:
    """A network called `name`, connected, until the block ends."""
    with ExitStack() as made:
        made.callback(remove_network, name)
        with alone(_JOINING):
            subnet = _join(name)
        do("ip", "-n", name, "addr", "add", f"{subnet}.2/24", "dev", "eth0")
        do("ip", "-n", name, "link", "set", "lo", "up")
        ours = f"{subnet}.0/24 -m comment --comment {name} -j"
        do(*f"iptables -w -t nat -I POSTROUTING -s {ours} MASQUERADE".split())
        do(*f"iptables -w -I FORWARD -s {ours} ACCEPT".split())
        do(*f"iptables -w -I FORWARD -d {ours} ACCEPT".split())
        joined = Network(name, subnet)
        joined.mend()
        yield joined


def _join(name: str) -> str:
    """Make its links, and forward packets; the first three numbers of its addresses."""
    subnet, outer = _free_subnet(), _outer_link(name)
    do("ip", "netns", "add", name)
    do(*f"ip link add {outer} type veth peer name eth0 netns {name}".split())
    do("ip", "addr", "add", f"{subnet}.1/24", "dev", outer)
    do("ip", "link", "set", outer, "up")
    _forward()
    return subnet


def _forward() -> None:
    before = FORWARDING.read_text()
    try:
        FORWARDING.write_text("1\n")
    except OSError as error:
        raise LabError(f"test hosts need to forward packets: {error}") from error
    if not FORWARDED.exists():
        FORWARDED.write_text(before)


def _free_subnet() -> str:
    taken = subprocess.run(
        ["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True
    ).stdout
    numbers = ((os.getpid() + step) % 256 for step in range(256))
    return next(net for number in numbers if f" {(net := f'10.77.{number}')}." not in taken)


def remove_network(name: str) -> None:
    """Remove a network, whatever is left of it."""
    for table in ("nat", "filter"):
        rules = subprocess.run(
            ["iptables", "-w", "-t", table, "-S"], capture_output=True, text=True, check=False
        ).stdout
        for rule in rules.splitlines():
            if name in shlex.split(rule):
                delete = ["-D", *shlex.split(rule)[1:]]
                subprocess.run(["iptables", "-w", "-t", table, *delete], check=False)
    for remove in (["ip", "link", "del", _outer_link(name)], ["ip", "netns", "del", name]):
        subprocess.run(remove, capture_output=True, check=False)


def stop_forwarding() -> None:
    """Where no test host is left, packets are forwarded as they were before."""
    with alone(_JOINING):
        if FORWARDED.exists() and not any(NETWORKS.glob("host-*")):  # of other labs
            FORWARDING.write_text(FORWARDED.read_text())
            FORWARDED.unlink()


def _outer_link(name: str) -> str:
    return f"v{name.removeprefix('host-')}"[:15]


def do(*command: str) -> None:
    """Run a command; LabError with what it said when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        shown = shlex.join(command[:4])
        raise LabError(f"`{shown} …` failed here: {(done.stderr or done.stdout)[-500:].strip()}")
