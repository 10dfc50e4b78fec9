"""The units, their files, and whether the application answers."""

import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from bookbrain.messages import fill
from bookbrain.paths import SERVICE_USER, Layout
from bookbrain.reports import Check, State
from bookbrain.server.probes import HttpAnswer, output_of

SERVICES = (
    "bookbrain.service",
    "bookbrain-chroma.service",
    "bookbrain-ingest.path",
    "bookbrain-ocr.path",
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
    return _look_at([*SERVICES, *_files(layout, "bookbrain-*.timer")], systemctl)


def look_at_files(layout: Layout, systemctl: str) -> tuple[Unit, ...]:
    """Caddy's unit and every one of ours that has a file; a template has no state."""
    files = _files(layout, "bookbrain*.*")
    ours = [name for name in files if name.endswith(_KINDS) and "@" not in name]
    return _look_at([*ours, "caddy.service"], systemctl)


def look_at_loose(layout: Layout, systemctl: str) -> list[str]:
    """Our services on which systemd has no hardening in force; none where it is silent."""
    files = _files(layout, "bookbrain*.service")
    names = [name.replace("@.", "@any.") for name in files if name != _ROOTS]
    return read_loose(
        output_of(systemctl, "show", "--property", "Id,NoNewPrivileges", *names) or ""
    )


def _files(layout: Layout, pattern: str) -> list[str]:
    return sorted(path.name for path in (layout.top / _UNITS).glob(pattern))


def read_loose(text: str) -> list[str]:
    """The names in what `systemctl show` prints that may still gain privileges."""
    return [says["Id"] for says in _read_blocks(text) if says.get("NoNewPrivileges") == "no"]


def _look_at(names: Sequence[str], systemctl: str) -> tuple[Unit, ...]:
    text = output_of(systemctl, "show", "--property", _PROPERTIES, *names) or ""
    uptime = time.monotonic()  # by the clock that systemd's monotonic timestamps are of
    found = {unit.name: unit for unit in read_units(text, datetime.now().astimezone(), uptime)}
    return tuple(found.get(name, Unit(name, "not-found")) for name in names)


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


_MOST_NAMED = 3


@dataclass(frozen=True)
class SeenFile:
    """A file or a folder; `mode` holds the permissions only."""

    path: Path
    owner: str
    group: str
    mode: int


def look_at(path: Path) -> SeenFile | None:
    """None when there is none."""
    try:
        found = path.stat()
        owner, group = _name(path.owner, found.st_uid), _name(path.group, found.st_gid)
    except OSError:
        return None
    return SeenFile(path, owner, group, stat.S_IMODE(found.st_mode))


def _name(ask: Callable[[], str], number: int) -> str:
    """The number of one who has no name on this machine."""
    try:
        return ask()
    except KeyError:
        return str(number)


_AGAIN = "Run install.sh again."


def check_settings(path: Path, seen: SeenFile | None, complaint: str, hint: str) -> Check:
    """`complaint` and `hint` are those of the error that reading it raised, "" without one."""
    if complaint:
        return Check.fail("settings", complaint, hint)
    if seen is None:
        return Check.fail("settings", fill("{path} is not there.", path=path), _AGAIN)
    if not _may_read(seen):
        return Check.fail(
            "settings",
            fill("The services cannot read {path}.", path=path),
            fill(
                "sudo chown root:{group} {path} && sudo chmod 640 {path}",
                group=SERVICE_USER,
                path=path,
            ),
        )
    return Check.ok("settings", fill("{path} is valid", path=path))


def _may_read(seen: SeenFile) -> bool:
    if seen.owner == SERVICE_USER:
        return bool(seen.mode & stat.S_IRUSR)
    return bool(seen.mode & (stat.S_IRGRP if seen.group == SERVICE_USER else stat.S_IROTH))


def check_credentials(key: Path, files: Iterable[SeenFile]) -> list[Check]:
    """`files` are all in the folder; the services do not start without that of the key."""
    files = list(files)
    checks = [
        Check.fail(
            "credentials",
            fill("{path} can be read by others than root.", path=file.path),
            fill("sudo chown root:root {path} && sudo chmod 600 {path}", path=file.path),
        )
        for file in files
        if file.mode & 0o077
    ]
    if key not in {file.path for file in files}:
        seen = fill("{path} is not there: the services do not start.", path=key)
        remedy = fill("sudo install -m 600 /dev/null {path}", path=key)
        checks.append(Check.fail("credentials", seen, remedy))
    return checks or [Check.ok("credentials", "for root alone")]


def check_library(home: Path, seen: SeenFile | None, inside: Iterable[SeenFile]) -> Check:
    """`inside` is what lies in it."""
    if seen is None:
        return Check.fail("library", fill("{path} is not there.", path=home), _AGAIN)
    strange = [one.path.name for one in (seen, *inside) if one.owner != SERVICE_USER]
    if strange:
        names = ", ".join(strange[:_MOST_NAMED])
        return Check.fail(
            "library",
            fill("Not the service's own in {home}: {names}.", home=home, names=names),
            fill("sudo chown -R {user}:{user} {path}", user=SERVICE_USER, path=home),
        )
    if seen.mode & 0o007:
        return Check.warn(
            "library",
            fill("Every user of this machine can look into {path}.", path=home),
            fill("sudo chmod o-rwx {path}", path=home),
        )
    return Check.ok("library", fill("{path} belongs to {user}", path=home, user=SERVICE_USER))


def check_caddyfile(path: Path, text: str, ours: Path) -> Check:
    """`text` is the Caddyfile of the machine, which is to import `ours`."""
    if ["import", str(ours)] not in (line.split() for line in text.splitlines()):
        return Check.fail(
            "Caddyfile",
            fill("{path} does not import BookBrain's Caddyfile.", path=path),
            fill("Add this line at its end: import {path}", path=ours),
        )
    if not ours.exists():
        return Check.fail("Caddyfile", fill("{path} is not there.", path=ours), _AGAIN)
    return Check.ok("Caddyfile", fill("{path} imports BookBrain's", path=path))


_MANY_RESTARTS = 3
_OURS = ("bookbrain", "caddy")
HEALTH_UNIT = "bookbrain-health.service"
_NEEDED = (*SERVICES, "bookbrain-ingest.service")


def check_units(units: Sequence[Unit]) -> list[Check]:
    """One check for each that does not run as it should, or one for all."""
    names = ", ".join(unit.title for unit in units)
    wrong = [check for check in map(check_unit, units) if not check.is_ok]
    return wrong or [Check.ok("service", fill("all run: {names}", names=names))]


def check_unit(unit: Unit) -> Check:
    """Of one that is to run."""
    name, state = unit.title.removeprefix("bookbrain-"), unit.state
    seen = fill("{unit}: {state}", unit=name, state=state)
    if unit.since:
        since, count = f"{unit.since:%Y-%m-%d %H:%M}", unit.restarts
        seen = fill("{unit}: {state} since {since}", unit=name, state=state, since=since)
        if count:
            seen = fill("{seen}, restarts: {count}", seen=seen, count=count)
    if state == "not-found":
        return Check.fail("service", seen, _AGAIN)
    if not unit.runs:
        return Check.fail("service", seen, _restart(unit.name))
    if unit.restarts >= _MANY_RESTARTS:
        remedy = fill("See why: journalctl -u {unit} -n 200", unit=unit.name)
        return Check.warn("service", seen, remedy)
    return Check.ok("service", seen)


def check_timers(units: Iterable[Unit]) -> Iterator[Check]:
    """One line for those that wait for their hour, and one for the others."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for unit in units:
        names[unit.runs].append(unit.name.removeprefix("bookbrain-").removesuffix(".timer"))
    if names[True]:
        yield Check.ok("timer", fill("active: {names}", names=", ".join(names[True])))
    if names[False]:
        seen = fill("not active: {names}", names=", ".join(names[False]))
        yield Check.fail("timer", seen, _AGAIN)


def check_file(unit: Unit) -> Check:
    """Of one that may rest: only that it failed is wrong."""
    check = replace(check_unit(unit), subject=unit.name)
    if unit.state != "failed":
        return replace(check, state=State.OK, remedy="")
    return replace(check, state=failed_state(unit.name))


def failed_state(unit: str) -> State:
    """What is made of a unit that has failed: without these nobody can search, or add."""
    return State.FAIL if unit in _NEEDED else State.WARN


def check_failed(names: Iterable[str], judged: Iterable[str]) -> list[Check]:
    """Units that have failed, but for those that were `judged` already."""
    return [
        Check(
            "service",
            State.FAIL if name.startswith(_OURS) else State.WARN,
            fill("{unit} has failed.", unit=name),
            _restart(name),
        )
        for name in sorted(set(names) - set(judged))
    ]


def _restart(unit: str) -> str:
    return fill("journalctl -u {unit} -n 50, then: sudo systemctl restart {unit}", unit=unit)


def check_hardening(loose: Iterable[str]) -> list[Check]:
    """`loose` are the services on which no hardening is in force."""
    remedy = "Run install.sh again, and restart that unit."
    return [
        Check.fail("service", fill("{unit} runs without its hardening.", unit=name), remedy)
        for name in loose
    ]


def check_application(answer: HttpAnswer) -> Check:
    """`answer` is that of /healthz."""
    if answer.status == 200:
        return Check.ok("app", fill("it answers: {word}", word=answer.text))
    if answer.status:
        return Check.fail(
            "app",
            fill("It answers {status}: {word}.", status=answer.status, word=answer.text),
            "See why: sudo bookbrain-admin health; journalctl -u bookbrain -n 50",
        )
    return Check.fail(
        "app",
        fill("It does not answer: {reason}.", reason=answer.text),
        "journalctl -u bookbrain -n 50, then: sudo systemctl restart bookbrain",
    )
