"""The units of a server, and how they are, as systemd tells."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bookbrain.admin.asking import output_of
from bookbrain.server import Layout

SERVICES = (
    "bookbrain.service",
    "bookbrain-chroma.service",
    "bookbrain-ingest.path",
    "caddy.service",
)
_UNITS = Path("etc/systemd/system")
_KINDS = (".service", ".path", ".timer")
_ROOTS = "bookbrain-upgrade.service"  # its own hardening is its own
_PROPERTIES = (
    "Id,LoadState,ActiveState,NRestarts,MainPID,"
    "ActiveEnterTimestampMonotonic,StateChangeTimestampMonotonic"
)


@dataclass(frozen=True)
class Unit:
    """`state` is systemd's word, active, failed or another, or not-found; `since` then it is so."""

    name: str
    state: str
    since: datetime | None = None
    restarts: int = 0
    pid: int = 0

    @property
    def runs(self) -> bool:
        return self.state == "active"

    @property
    def is_timer(self) -> bool:
        return self.name.endswith(".timer")

    @property
    def title(self) -> str:
        return self.name.removesuffix(".service")


def look_at_units(layout: Layout, systemctl: str) -> tuple[Unit, ...]:
    """The services, Caddy's and the timers of this server; not-found where systemd is silent."""
    timers = sorted(path.name for path in (layout.root / _UNITS).glob("bookbrain-*.timer"))
    return _look_at([*SERVICES, *timers], systemctl)


def look_at_files(layout: Layout, systemctl: str) -> tuple[Unit, ...]:
    """Caddy's unit and every one of ours that has a file; a template has no state."""
    files = sorted(path.name for path in (layout.root / _UNITS).glob("bookbrain*.*"))
    ours = [name for name in files if name.endswith(_KINDS) and "@" not in name]
    return _look_at([*ours, "caddy.service"], systemctl)


def look_at_loose(layout: Layout, systemctl: str) -> list[str]:
    """Our services on which systemd has no hardening in force; none where it is silent."""
    files = sorted(path.name for path in (layout.root / _UNITS).glob("bookbrain*.service"))
    names = [name.replace("@.", "@any.") for name in files if name != _ROOTS]
    return read_loose(
        output_of(systemctl, "show", "--property", "Id,NoNewPrivileges", *names) or ""
    )


def read_loose(text: str) -> list[str]:
    """The names in what `systemctl show` prints that may still gain privileges."""
    return [says["Id"] for says in _read_blocks(text) if says.get("NoNewPrivileges") == "no"]


def _look_at(names: Sequence[str], systemctl: str) -> tuple[Unit, ...]:
    text = output_of(systemctl, "show", "--property", _PROPERTIES, *names) or ""
    found = {unit.name: unit for unit in read_units(text, datetime.now().astimezone(), _uptime())}
    return tuple(found.get(name, Unit(name, "not-found")) for name in names)


def _uptime() -> float:
    """Seconds, by the clock that systemd's monotonic timestamps are of."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def read_units(text: str, now: datetime, uptime: float) -> list[Unit]:
    """The units of what `systemctl show` prints; `uptime` in seconds is now."""
    units = []
    for says in _read_blocks(text):
        state = says.get("ActiveState", "")
        moment = "ActiveEnter" if state == "active" else "StateChange"
        began = _whole(says.get(f"{moment}TimestampMonotonic", "")) / 1e6
        units.append(
            Unit(
                says["Id"],
                "not-found" if says.get("LoadState") == "not-found" else state,
                now - timedelta(seconds=uptime - began) if began else None,
                _whole(says.get("NRestarts", "")),
                _whole(says.get("MainPID", "")),
            )
        )
    return units


def _read_blocks(text: str) -> list[dict[str, str]]:
    """The properties of each unit that `systemctl show` prints."""
    blocks = (block.splitlines() for block in text.strip().split("\n\n"))
    found = [dict(line.split("=", 1) for line in lines if "=" in line) for lines in blocks]
    return [says for says in found if "Id" in says]


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0


def read_failed(text: str) -> list[str]:
    """The names in what `systemctl list-units --state=failed --plain --no-legend` prints."""
    return [line.replace("●", " ").split()[0] for line in text.splitlines() if line.strip(" ●")]
