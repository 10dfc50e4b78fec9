"""Disk and memory of the machine."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bookbrain.admin.check import Check, State
from bookbrain.wording import fill

_LITTLE, _SOME = 1e9, 5e9  # bytes of disk
_LITTLE_MEMORY = 200e6  # bytes; to read a PDF takes about as much


@dataclass(frozen=True)
class Space:
    """Bytes: of the disk that `path` is on, or of memory."""

    path: str
    free: int
    total: int


def look_at_disks(paths: Iterable[Path]) -> tuple[Space, ...]:
    """One for each disk, by the first path that is on it."""
    disks: dict[int, Space] = {}
    for path in paths:
        if path.exists() and (device := path.stat().st_dev) not in disks:
            usage = shutil.disk_usage(path)
            disks[device] = Space(str(path), usage.free, usage.total)
    return tuple(disks.values())


def read_memory(text: str) -> Space:
    """Of /proc/meminfo; swap counts."""
    kb = {
        name: int(value.split()[0])
        for name, _, value in (line.partition(":") for line in text.splitlines())
        if value.split()[:1] and value.split()[0].isdigit()
    }
    free = kb.get("MemAvailable", 0) + kb.get("SwapFree", 0)
    return Space("", free * 1024, (kb.get("MemTotal", 0) + kb.get("SwapTotal", 0)) * 1024)


def check_disk(disk: Space) -> Check:
    state = State.FAIL if disk.free < _LITTLE else State.WARN if disk.free < _SOME else State.OK
    return Check(
        "disk",
        state,
        fill(
            "{free:.1f} GB free of {total:.1f} GB at {path}",
            free=disk.free / 1e9,
            total=disk.total / 1e9,
            path=disk.path,
        ),
        "Make room: sudo apt-get clean; sudo journalctl --vacuum-size=100M",
        disk.path,
    )


def check_memory(memory: Space) -> Check:
    return Check(
        "memory",
        State.WARN if memory.free < _LITTLE_MEMORY else State.OK,
        fill(
            "{free:.1f} GB free of {total:.1f} GB, swap counted",
            free=memory.free / 1e9,
            total=memory.total / 1e9,
        ),
        "Add swap, or stop what else runs here: systemctl status",
    )
