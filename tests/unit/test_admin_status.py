"""The status of a server: what is read from its programs, and the screen that it makes."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unicodedata import east_asian_width

import pytest
from click.testing import CliRunner, Result
from support.stand_in import StandIn, make_certificate

from bookbrain.admin import main
from bookbrain.admin.options import show_checks
from bookbrain.admin.status import show_status
from bookbrain.backup.archives import Backup
from bookbrain.checks import condition, network, services
from bookbrain.checks.condition import (
    LibraryCounts,
    Space,
    check_disk,
    check_memory,
    look_at_disks,
    read_memory,
)
from bookbrain.checks.services import (
    SERVICES,
    Unit,
    look_at_loose,
    look_at_units,
    read_failed,
    read_units,
)
from bookbrain.paths import Layout
from bookbrain.reports import Check, State
from bookbrain.server.access import Address, User, with_address, write_site
from bookbrain.server.caddy import Machine
from bookbrain.server.probes import Certificate, answer_of_site, door_of, read_certificate

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SITE = with_address(None, Address("books.example.org", "owner@example.org"))
DOMAIN = SITE.domain

# What `systemctl show` of systemd 252 prints for one that runs, one that does not, a timer, and
# one that is not there.
SHOWN = """\
NRestarts=2
MainPID=812
Id=bookbrain.service
LoadState=loaded
ActiveState=active
StateChangeTimestampMonotonic=3600000000
ActiveEnterTimestampMonotonic=3600000000

NRestarts=5
MainPID=0
Id=bookbrain-chroma.service
LoadState=loaded
ActiveState=failed
StateChangeTimestampMonotonic=7200000000
ActiveEnterTimestampMonotonic=3600000000

Id=bookbrain-health.timer
LoadState=loaded
ActiveState=active
StateChangeTimestampMonotonic=7200000000
ActiveEnterTimestampMonotonic=0

NRestarts=0
MainPID=0
Id=caddy.service
LoadState=not-found
ActiveState=inactive
StateChangeTimestampMonotonic=0
ActiveEnterTimestampMonotonic=0
"""
MEMINFO = """\
MemTotal:         982000 kB
MemFree:           61000 kB
MemAvailable:     402000 kB
SwapTotal:       2097148 kB
SwapFree:        2000000 kB
HugePages_Total:       0
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A server whose systemctl answers as above."""
    (tmp_path / "etc/bookbrain").mkdir(parents=True)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/bookbrain-health.timer").touch()
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{SHOWN}END\n")
    program.chmod(0o755)
    return Machine(Layout(tmp_path), systemctl=str(program))


def _run(machine: Machine, *arguments: str, code: int) -> Result:
    done = CliRunner().invoke(main, arguments, obj=machine)
    assert done.exit_code == code, done.output
    return done


# Units


def test_units_of_systemctl() -> None:
    app, chroma, timer, caddy = read_units(SHOWN, NOW, uptime=10800.0)
    assert app == Unit("bookbrain.service", "active", NOW - timedelta(hours=2), 2, 812)
    assert chroma == Unit("bookbrain-chroma.service", "failed", NOW - timedelta(hours=1), 5)
    assert timer == Unit("bookbrain-health.timer", "active")
    assert caddy == Unit("caddy.service", "not-found")
    assert [unit.title for unit in (app, timer)] == ["bookbrain", "bookbrain-health.timer"]
    assert read_units("", NOW, 1.0) == []


def test_units_of_a_server(machine: Machine) -> None:
    units = look_at_units(machine.layout, machine.systemctl)
    assert [unit.name for unit in units] == [*SERVICES, "bookbrain-health.timer"]
    assert [unit.runs for unit in units] == [True, False, False, False, False, True]
    nowhere = look_at_units(machine.layout, "systemctl-of-none")
    assert {unit.state for unit in nowhere} == {"not-found"}


def test_services_without_their_hardening(tmp_path: Path) -> None:
    """Root's own upgrade is not asked for, a template by one of its instances."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for name in ("bookbrain.service", "bookbrain-notify@.service", "bookbrain-upgrade.service"):
        (units / name).touch()
    program = tmp_path / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n'
        "printf 'Id=bookbrain.service\\nNoNewPrivileges=no\\n\\n'\n"
        "printf 'NoNewPrivileges=yes\\nId=bookbrain-notify@any.service\\n'\n"
    )
    program.chmod(0o755)
    assert look_at_loose(Layout(tmp_path), str(program)) == ["bookbrain.service"]
    asked = (tmp_path / "asked").read_text().split()
    assert asked[-2:] == ["bookbrain-notify@any.service", "bookbrain.service"]
    assert look_at_loose(Layout(tmp_path), "systemctl-of-none") == []


def test_failed_units() -> None:
    text = (
        "● bookbrain-health.service loaded failed failed BookBrain: health check\n"
        "apt-daily.service loaded failed failed Daily apt download activities\n\n"
    )
    assert read_failed(text) == ["bookbrain-health.service", "apt-daily.service"]
    assert read_failed("") == []


# Disk, memory


def test_memory_counts_swap() -> None:
    memory = read_memory(MEMINFO)
    assert (memory.free, memory.total) == (2402000 * 1024, 3079148 * 1024)
    assert check_memory(memory).state is State.OK
    assert check_memory(read_memory("MemTotal: 900000 kB\nMemAvailable: 90000 kB")).state == "warn"
    assert read_memory("") == Space("", 0, 0)


@pytest.mark.parametrize(
    ("free", "state"), [(0, "FAIL"), (999_999_999, "FAIL"), (1e9, "warn"), (5e9, "ok")]
)
def test_disks(free: float, state: str) -> None:
    assert check_disk(Space("/", int(free), int(9e9))).state == state


def test_one_disk_is_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (disk,) = look_at_disks([tmp_path, tmp_path / "a", tmp_path / "none"])
    assert disk.path == str(tmp_path)
    assert 0 < disk.free <= disk.total


# The certificate


def _certificate(days: float, *, of: float = 90, distrust: str = "") -> Certificate:
    ends = NOW + timedelta(days=days)
    return Certificate("Let's Encrypt R11", ends - timedelta(days=of), ends, distrust)


def test_a_certificate_ends_soon_when_it_should_have_been_renewed() -> None:
    assert [_certificate(days).ends_soon(NOW) for days in (29, 14, 13.9, -1)] == [
        False, False, True, True
    ]  # fmt: skip
    assert [_certificate(days, of=0.5).ends_soon(NOW) for days in (0.4, 0.1)] == [False, True]


def test_the_door_of_a_domain() -> None:
    assert door_of("books.example.org") == ("127.0.0.1", 443)
    assert door_of("192.0.2.7") == ("192.0.2.7", 443)


@contextmanager
def _site_of(folder: Path, days: int) -> Iterator[tuple[str, int]]:
    """A server that answers 401, with a certificate of its own that holds for so many days."""
    with StandIn(
        lambda path: (401, b""), make_certificate(folder, "/O=Test/CN=Root", days)
    ) as site:
        yield "127.0.0.1", site.server_port


@pytest.mark.slow
def test_a_certificate_is_read_though_nobody_trusts_it(tmp_path: Path) -> None:
    with _site_of(tmp_path, days=30) as door:
        certificate = read_certificate(DOMAIN, door)
        assert certificate
        assert certificate.issuer == "Test Root"
        assert certificate.distrust == "self-signed certificate"
        assert certificate.left(datetime.now(UTC)).days in (29, 30)
        assert answer_of_site(DOMAIN, door).status == 401
    assert read_certificate(DOMAIN, door) is None
    assert answer_of_site(DOMAIN, door).status == 0


@pytest.mark.slow
def test_an_expired_certificate_is_read_too(tmp_path: Path) -> None:
    with _site_of(tmp_path, days=0) as door:
        certificate = read_certificate(DOMAIN, door)
    assert certificate
    assert certificate.ends <= datetime.now(UTC)


# The screen

COUNTS = LibraryCounts(1234, 123456, 1234567, 0, 0, 0, 0)
DISKS = (Space("/var/lib/bookbrain", int(12e9), int(50e9)), Space("/", int(9e9), int(9e9)))
BEGAN = NOW - timedelta(days=3)


def _units(*others: Unit) -> list[Unit]:
    timers = [f"bookbrain-{name}.timer" for name in ("backup", "health", "logs")]
    return [*(Unit(name, "active", BEGAN) for name in (*SERVICES, *timers)), *others]


def _of_units(units: list[Unit]) -> list[Check]:
    checks = [services.check_unit(unit) for unit in units if not unit.is_timer]
    return [*checks, *services.check_timers(unit for unit in units if unit.is_timer)]


def _screen(
    units: list[Unit], certificate: Certificate | None, banned: list[str] | None
) -> list[Check]:
    """What the status has of a server, from what was seen on it."""
    backup = Backup("bookbrain-20260226T120000Z.tar.zst", "/", BEGAN, 1, encrypted=False)
    return [
        *_of_units(units),
        condition.check_counts(COUNTS),
        condition.check_inbox(COUNTS),
        Check.ok("check", "no damage at 2026-02-26 12:00 UTC"),
        Check.ok("Chroma", "it answers; vectors: 1234567"),
        Check.ok("meaning", "text-embedding-3-small"),
        Check.ok("site", SITE.url),
        network.check_certificate(SITE, certificate, NOW, ""),
        network.check_banned(banned),
        *map(check_disk, DISKS),
        check_memory(read_memory(MEMINFO)),
        condition.check_backup([backup], None, NOW),
    ]


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    checks = _screen(_units(), _certificate(74), ["192.0.2.9"])
    assert {check.state for check in checks} == {State.OK}
    seen = [check.seen for check in checks]
    assert "bookbrain: active since 2026-02-26 12:00" in seen
    assert "active: backup, health, logs" in seen
    assert "books: 1234, pages: 123456, passages: 1234567" in seen
    assert "Let's Encrypt R11, 74 days left (2026-05-14)" in seen
    assert "12.0 GB free of 50.0 GB at /var/lib/bookbrain" in seen
    assert "bookbrain-20260226T120000Z.tar.zst, 3 days old" in seen
    assert "addresses that fail2ban refuses now: 1" in seen
    show_status(_screen(_units(), None, None))
    assert "Next:" not in capsys.readouterr().out


def test_a_server_that_begins_is_well_too() -> None:
    internal = with_address(None, Address("192.0.2.7", acme=False))
    shown = _certificate(0.3, of=0.5, distrust="self-signed certificate")
    assert network.check_certificate(internal, shown, NOW, "").state is State.OK
    assert condition.check_backup([], None, NOW).state is State.OK
    begun = LibraryCounts(0, 0, 0, 0, 0, 2, 1)
    assert condition.check_counts(begun).state is State.OK
    assert condition.check_inbox(begun).state is State.WARN


@pytest.mark.parametrize(
    ("checks", "seen"),
    [
        (_of_units([Unit("bookbrain.service", "failed", NOW, 7)]),
         "bookbrain: failed since 2026-03-01 12:00, restarts: 7"),
        (_of_units([Unit("caddy.service", "not-found")]), "caddy: not-found"),
        (_of_units(_units(Unit("bookbrain-verify.timer", "inactive"))), "not active: verify"),
        ([condition.check_inbox(LibraryCounts(1, 1, 1, 1, 0, 0, 0))],
         "unfinished: 1, waiting: 0, arriving: 0, rejected: 0"),
        ([condition.check_inbox(LibraryCounts(1, 1, 1, 0, 3, 0, 0))],
         "unfinished: 0, waiting: 3, arriving: 0, rejected: 0"),
        ([network.check_certificate(SITE, None, NOW, "")],
         "There is no certificate for books.example.org."),
        ([network.check_certificate(SITE, _certificate(-1), NOW, "")],
         "The certificate has ended: 2026-02-28."),
        ([check_disk(Space("/", 5, int(9e9)))], "0.0 GB free of 9.0 GB at /"),
    ],
)  # fmt: skip
def test_what_is_wrong(checks: list[Check], seen: str) -> None:
    assert [check.seen for check in checks if check.state is State.FAIL] == [seen]


@pytest.mark.parametrize("locale", ["C.UTF-8", "ko_KR.UTF-8"])
def test_it_fits_one_screen(
    locale: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    ill = [
        *(Unit(name, "activating", NOW, 1234) for name in SERVICES),
        *(Unit(f"bookbrain-{n}.timer", s) for n, s in (("logs", "active"), ("backup", "failed"))),
    ]
    for checks in (
        _screen(_units(), _certificate(74), ["192.0.2.9"]),
        _screen(ill, None, None),
    ):
        show_status(checks)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= 23
        for line in lines:
            assert sum(2 if east_asian_width(c) in "WF" else 1 for c in line) <= 80, line


def test_a_remedy_is_below_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    show_checks(
        [Check("disk", State.OK, "fine", "none"), Check("disk", State.FAIL, "full", "Make room.")]
    )
    assert capsys.readouterr().out == (
        "ok    disk        fine\nFAIL  disk        full\n      Next: Make room.\n"
    )


# The command


def test_the_status_of_a_server(machine: Machine) -> None:
    write_site(machine.layout, replace(SITE, users=(User("ann", "$2b$10$abc"),)))
    (machine.layout.home / "inbox/rejected").mkdir(parents=True)
    out = _run(machine, "status", code=1).stdout
    assert "ok    service     bookbrain: active since " in out
    assert "FAIL  service     chroma: failed since " in out
    assert "FAIL  service     caddy: not-found" in out
    assert "ok    timer       active: health" in out
    assert "ok    library     books: 0, pages: 0, passages: 0" in out
    assert "ok    backup      none yet" in out
    assert out.endswith("\nWhat to do about it: sudo bookbrain-admin doctor\n")


def test_the_status_as_json(machine: Machine) -> None:
    ann = User("ann", "$2b$10$abc")
    write_site(machine.layout, replace(SITE, users=(ann,)))
    done = _run(machine, "status", "--json", code=1)
    seen = json.loads(done.stdout)
    assert seen["ok"] is False
    assert seen["site"] == {"url": "https://books.example.org/", "acme": True}
    assert seen["shelf"]["books"] == 0
    assert seen["meaning"] == {
        "model": "text-embedding-3-small", "enabled": False, "chroma": None
    }  # fmt: skip
    assert (seen["library_trouble"], seen["damage"]["state"], seen["backups"]) == ("", "ok", [])
    assert seen.keys() == {
        "version", "now", "units", "site", "certificate", "disks", "memory", "backups", "banned",
        "shelf", "meaning", "damage", "site_trouble", "library_trouble", "ok",
    }  # fmt: skip
    assert seen["units"][0] | {"since": ""} == {
        "name": "bookbrain.service", "state": "active", "since": "", "restarts": 2, "pid": 812
    }  # fmt: skip
    assert ann.session not in done.stdout
    assert "$2b$" not in done.stdout


def test_what_cannot_be_read_is_said(machine: Machine) -> None:
    machine.layout.site.write_text("{")
    Path(os.environ["BOOKBRAIN_HOME"]).mkdir()
    Path(os.environ["BOOKBRAIN_HOME"], "bookbrain.env").write_text("X")
    out = _run(machine, "status", code=1).stdout
    assert "FAIL  library     " in out
    assert "is not `KEY=value`" in out
    assert "FAIL  site        " in out


@pytest.mark.parametrize("command", ["status", "doctor", "uninstall"])
def test_somewhere_else_than_on_a_server(tmp_path: Path, command: str) -> None:
    error = _run(Machine(Layout(tmp_path)), command, code=78).stderr
    assert "not installed as a server" in error
    assert "bookbrain-admin health" in error


@pytest.mark.skipif(os.geteuid() == 0, reason="run it as another user: root may do everything")
@pytest.mark.parametrize("command", ["status", "doctor", "uninstall"])
def test_an_ordinary_user_is_told_to_use_sudo(machine: Machine, command: str) -> None:
    machine.layout.etc.chmod(0o555)
    assert "sudo" in _run(machine, command, code=1).stderr
