"""The lab: its hosts stand side by side, and nothing of them is left, however it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from host.lab import Lab
from host.machine import CHECKOUT, Host

pytestmark = pytest.mark.timeout(600)

# A lab that takes its root from another one, and is killed once it has a host.
_KILLED = """
import sys, time
from host.lab import Lab
from host.network import do

with Lab("killed", "0") as lab:
    lab.made_once("bookworm", lambda root: do("cp", "-a", sys.argv[1], str(root)))
    with lab.host("bookworm", systemd=True):
        print("booted", flush=True)
        time.sleep(600)
"""


def cgroups(host: Host) -> set[str]:
    """Those of its first process that carry its name."""
    lines = Path(f"/proc/{host.leader}/cgroup").read_text().splitlines()
    return {line for line in lines if host.network.name in line}


def traces(name: str) -> list[str]:
    """Where this machine still knows a host of that name, or one that begins so."""
    commands = {
        "networks": "ip netns",
        "links": "ip -o link",
        "rules": "iptables -w -S; iptables -w -t nat -S",
        "cgroups": "find /sys/fs/cgroup -type d",  # also as long as a process of it lives
        "files": f"ls {CHECKOUT}/.cache",
    }
    said = {
        what: subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        for what, command in commands.items()
    }
    links = f"v{name.removeprefix('host-')}"
    return [what for what, done in said.items() if name in done.stdout or links in done.stdout]


def test_a_host_does_not_touch_another_one(lab: Lab) -> None:
    with (
        lab.host("bookworm", systemd=True) as one,
        lab.host("bookworm", systemd=True) as other,
    ):
        assert cgroups(one) and cgroups(other)
        assert cgroups(one).isdisjoint(cgroups(other))
        service = "systemctl show -p InvocationID --value systemd-journald"
        before = other.run(service).stdout
        one.restart()
        one.cut_power()
        assert other.run(service).stdout == before
        assert other.run("systemctl --failed --no-legend").stdout == ""
        names = (one.network.name, other.network.name)
    for name in names:
        assert traces(name) == []


def test_who_opens_a_lab_removes_what_a_killed_one_has_left(lab: Lab) -> None:
    lab_of_before = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(lab.folder / "bookworm")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "tests")},
    )
    try:
        assert lab_of_before.stdout
        assert lab_of_before.stdout.readline() == "booted\n"
    finally:
        lab_of_before.kill()
        lab_of_before.communicate()
    assert traces("host-killed") == ["networks", "links", "rules", "cgroups", "files"]
    with Lab("opened", "0"):
        assert traces("host-killed") == []
    assert traces("host-opened") == []
    assert lab.folder.exists()
