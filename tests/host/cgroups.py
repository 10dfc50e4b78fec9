"""A cgroup for each test host: systemd-nspawn makes a host's own in that of its caller, so two
hosts with one caller would have one, and each would kill what it does not know in it.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from host.network import LabError

_ENTER = 'until [ "$1" = -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done; shift; exec "$@"'


def inside_cgroup(name: str, command: list[str]) -> list[str]:
    """`command`, to be run in a cgroup `name` below ours, which is made; or LabError."""
    try:
        ours = [cgroup / name for cgroup in _own_cgroups()]
        for cgroup in ours:
            cgroup.mkdir(exist_ok=True)
    except OSError as error:
        raise LabError(f"test hosts need cgroups of their own: {error}") from error
    if not ours:
        raise LabError("test hosts need a cgroup hierarchy: mount cgroup2 at /sys/fs/cgroup")
    return ["sh", "-c", _ENTER, "sh", *map(str, ours), "--", *command]


def remove_cgroup(name: str) -> None:
    """Remove a cgroup and those in it, wherever it is: who made it may have been elsewhere."""
    for _ in range(50):  # what is killed takes a moment to be gone
        left = [cgroup for mounted, *_ in _hierarchies() for cgroup in _cgroups_of(name, mounted)]
        for cgroup in left:
            with suppress(OSError):
                cgroup.rmdir()
        if not left:
            return
        time.sleep(0.1)


def _cgroups_of(name: str, hierarchy: Path) -> list[Path]:
    """Those that are called so or are in one that is, innermost first."""
    folders = (Path(folder) for folder, _, _ in os.walk(hierarchy, topdown=False))
    return [folder for folder in folders if name in folder.parts]


def _own_cgroups() -> Iterator[Path]:
    """Ours in each of `_hierarchies`."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    # A line is `0::/path`, or `8:name=systemd:/path` in a hierarchy of version 1.
    paths = {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}
    for mounted, controllers, root in _hierarchies():
        if controllers in paths:
            yield Path(os.path.normpath(mounted / os.path.relpath(paths[controllers], root)))


def _hierarchies() -> Iterator[tuple[Path, str, str]]:
    """Those by which systemd knows processes: that of version 2, that with its name, or both.

    Where each is mounted, what /proc/self/cgroup calls it, and which of its cgroups is the top.
    """
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, file_system = line.partition(" - ")
        kind, *_, options = file_system.split()
        root, mounted = mount.split()[3:5]
        if kind == "cgroup2":
            yield Path(mounted), "", root
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            yield Path(mounted), "name=systemd", root
