"""Health: each check is seen to fail when its fault is planted, and to be well again after."""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support import pdfs
from support.chroma_server import ChromaServer
from support.openai_server import OpenAIServer
from support.stand_in import StandIn

import bookbrain.cli
from bookbrain.admin import main
from bookbrain.backup.archives import DAMAGED, Backup, archive_name
from bookbrain.checks.condition import check_backup
from bookbrain.checks.news import read_history
from bookbrain.checks.services import failed_state, look_at_files
from bookbrain.library import Library
from bookbrain.paths import Layout
from bookbrain.reports import Check, State, worst_of
from bookbrain.server.access import Address, User, read_address, with_address, write_site
from bookbrain.server.caddy import Machine
from bookbrain.settings import load_settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class _Server(StandIn):
    """The app, Chroma's door and the owner's webhook in one."""

    def __init__(self) -> None:
        self.well = {"/healthz", "/api/v2/heartbeat", "/hook"}
        super().__init__(lambda path: (200, b"ok") if path in self.well else (503, b"no"))

    @property
    def told(self) -> list[dict[str, str]]:
        return [json.loads(body) for _, _, body in self.calls if body]


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as made:
        yield made


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\n")
    path.chmod(0o755)


def _units(**states: str) -> str:
    every = {"bookbrain": "active", "bookbrain-ingest": "inactive", "caddy": "active"} | states
    return "\n".join(
        f"Id={name}.service\nLoadState=loaded\nActiveState={state}\n"
        for name, state in every.items()
    )


@pytest.fixture
def machine(tmp_path: Path, server: _Server, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A server with an empty library, on which all is well but the certificate."""
    layout = Layout(tmp_path / "root")
    units = layout.top / "etc/systemd/system"
    for folder in (layout.etc, layout.home, layout.backups, units):
        folder.mkdir(parents=True)
    for name in ("bookbrain", "bookbrain-ingest", "bookbrain-health", "bookbrain-notify@"):
        (units / f"{name}.service").touch()
    layout.settings.write_text(f"CHROMA_URL=http://{server.place}\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    _program(programs / "systemctl", _units())
    _program(programs / "timedatectl", "NTPSynchronized=yes\n")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("BOOKBRAIN_HOME", str(layout.home))
    monkeypatch.setenv("BOOKBRAIN_SETTINGS", str(layout.settings))
    site = with_address(None, Address("books.invalid", "owner@example.org"))
    write_site(layout, replace(site, upstream=server.place, users=(User("ann", "$2b$10$a"),)))
    return Machine(layout)


def _run(machine: Machine, *arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, ["health", *arguments], obj=machine)
    assert done.exit_code == code, done.output
    return done


def _checks(machine: Machine, code: int = 0) -> dict[str, Check]:
    found = json.loads(_run(machine, "--json", code=code).stdout)
    checks = [Check(**{**values, "state": State(values["state"])}) for values in found]
    for check in checks:
        assert check.remedy or check.is_ok or check.name == "library", check
        assert not check.remedy or not check.is_ok or check.name == "meaning", check
    return {check.key: check for check in checks if check.name not in ("disk", "memory")}


def _wrong(machine: Machine, code: int = 0) -> dict[str, str]:
    """The checks that are not well, but for the certificate."""
    return {
        key: check.state.value
        for key, check in _checks(machine, code).items()
        if check.state is not State.OK and check.name != "certificate"
    }


# On a server


def test_all_is_well(machine: Machine) -> None:
    checks = _checks(machine)
    assert {key: check.state.value for key, check in checks.items()} == {
        "library": "ok", "check": "ok", "search": "ok", "Chroma": "ok", "clock": "ok", "app": "ok",
        "service bookbrain.service": "ok", "service bookbrain-ingest.service": "ok",
        "service caddy.service": "ok", "certificate": "warn", "backup": "ok", "meaning": "ok",
    }  # fmt: skip
    names = [line.split()[1] for line in _run(machine).stdout.splitlines() if "Next:" not in line]
    assert {"disk", "memory"} <= set(names)


def test_without_programs_what_cannot_be_seen_is_left_out(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    (machine.layout.etc / "address.json").unlink()
    names = {check.name for check in _checks(machine, code=1).values()}
    assert names == {"library", "check", "search", "Chroma", "meaning", "app", "backup"}


@pytest.mark.parametrize(
    ("path", "wrong"),
    [("/healthz", {"app": "FAIL"}), ("/api/v2/heartbeat", {"Chroma": "warn"})],  # without a key
)
def test_what_does_not_answer(
    machine: Machine, server: _Server, path: str, wrong: dict[str, str]
) -> None:
    server.well.remove(path)
    assert _wrong(machine, code=int("app" in wrong)) == wrong
    server.well.add(path)
    assert _wrong(machine) == {}


def test_a_clock_that_nobody_sets(machine: Machine, tmp_path: Path) -> None:
    _program(tmp_path / "bin/timedatectl", "NTPSynchronized=no\n")
    assert _wrong(machine) == {"clock": "warn"}
    _program(tmp_path / "bin/timedatectl", "NTPSynchronized=yes\n")
    assert _wrong(machine) == {}


@pytest.mark.parametrize(
    ("unit", "state"), [("bookbrain", "FAIL"), ("caddy", "FAIL"), ("bookbrain-backup", "warn")]
)
def test_a_unit_that_has_failed(machine: Machine, tmp_path: Path, unit: str, state: str) -> None:
    _program(tmp_path / "bin/systemctl", _units(**{unit: "failed"}))
    (machine.layout.top / "etc/systemd/system" / f"{unit}.service").touch()
    key = f"service {unit}.service"
    assert _wrong(machine, code=int(state == "FAIL")) == {key: state}
    _program(tmp_path / "bin/systemctl", _units(**{unit: "active"}))
    assert _wrong(machine) == {}


def test_units_that_have_a_file(machine: Machine) -> None:
    names = [unit.name for unit in look_at_files(machine.layout, machine.systemctl)]
    assert names == [
        "bookbrain-health.service", "bookbrain-ingest.service", "bookbrain.service",
        "caddy.service",
    ]  # fmt: skip
    assert failed_state("bookbrain-ingest.service") is State.FAIL


def test_a_certificate_that_is_not_there_yet(machine: Machine) -> None:
    check = _checks(machine)["certificate"]
    assert (check.state, check.seen) == (State.WARN, "There is no certificate for books.invalid.")


def test_what_everybody_may_know_of_the_site(machine: Machine) -> None:
    file = machine.layout.etc / "address.json"
    assert file.stat().st_mode & 0o777 == 0o644
    assert machine.layout.site.stat().st_mode & 0o777 == 0o600
    assert set(json.loads(file.read_text())) == {
        "domain", "acme", "acme_directory", "upstream"
    }  # fmt: skip
    site = read_address(machine.layout)
    assert site
    assert (site.domain, site.users) == ("books.invalid", ())
    file.write_text("{")
    assert read_address(machine.layout) is None


# Backups


@pytest.mark.parametrize(
    ("made", "begun", "state", "seen"),
    [
        (None, None, "ok", "none yet"),
        (None, 7, "ok", "none yet"),
        (None, 9, "warn", "none yet"),
        (0.5, 100, "ok", "b.tar.zst, 12 hours old"),
        (7, 100, "ok", "b.tar.zst, 7 days old"),
        (8.1, 100, "warn", "b.tar.zst, 8 days old"),
    ],
)
def test_how_old_a_backup_may_be(
    made: float | None, begun: float | None, state: str, seen: str
) -> None:
    found = [] if made is None else [_backup("b.tar.zst", made)]
    check = check_backup(found, None if begun is None else NOW - timedelta(days=begun), NOW)
    assert (check.state, check.seen) == (state, seen)


def _backup(file: str, days_old: float, **more: Any) -> Backup:
    return Backup(file, "/", NOW - timedelta(days=days_old), 1, encrypted=False, **more)


def test_only_sound_backups_of_the_past_count() -> None:
    begun = NOW - timedelta(days=100)
    old = _backup("old", 9)
    for other in (
        _backup("later", -0.1),
        _backup("unreadable", 1, flaw="it is cut off"),
    ):
        assert check_backup([other, old], begun, NOW).seen == "old, 9 days old"
        assert check_backup([other], begun, NOW).state is State.WARN
    damaged = _backup("damaged", 1, damaged=True)
    for found in ([damaged, old], [damaged, _backup("fresh", 2)], [damaged]):
        check = check_backup(found, begun, NOW)
        assert check.state is State.WARN
        assert check.seen == "The library was damaged at the last backup: damaged"
    mended = check_backup([_backup("fresh", 0.5), damaged], begun, NOW)
    assert (mended.state, mended.seen) == (State.OK, "fresh, 12 hours old")


def test_an_old_backup(machine: Machine) -> None:
    now = datetime.now(UTC)
    backup = machine.layout.backups / archive_name(now - timedelta(days=9), ".age")
    backup.touch()  # just now: a copy has the time of its copying
    (machine.layout.backups / "photos.tar.zst").touch()
    (machine.layout.backups / archive_name(now + timedelta(days=300), ".age")).touch()
    (machine.layout.backups / archive_name(now, "")).touch()  # which cannot be read
    assert _wrong(machine) == {"backup": "warn"}
    fresh = machine.layout.backups / archive_name(now - timedelta(hours=3), ".age")
    fresh.touch()
    assert _wrong(machine) == {}
    damaged = machine.layout.backups / archive_name(now - timedelta(hours=2), ".age", DAMAGED)
    damaged.touch()
    assert _wrong(machine) == {"backup": "warn"}


@pytest.mark.skipif(os.geteuid() == 0, reason="run it as another user: root may read everything")
def test_a_folder_of_backups_that_is_not_for_us(machine: Machine) -> None:
    machine.layout.backups.chmod(0)
    assert "backup" not in _checks(machine)
    machine.layout.backups.chmod(0o700)


# The library


@pytest.fixture(scope="module")
def _book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with one book."""
    home = tmp_path_factory.mktemp("library")
    book = pdfs.long_book(home / "one.pdf", 6, seed=1)
    runner = CliRunner(env={"BOOKBRAIN_HOME": str(home / "library")})
    done = runner.invoke(bookbrain.cli.main, ["add", str(book)])
    assert done.exit_code == 0, done.output
    return home / "library"


@pytest.fixture
def library(machine: Machine, _book: Path) -> Path:
    shutil.copytree(_book, machine.layout.home, dirs_exist_ok=True)
    return machine.layout.home


def _sql(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "catalog.sqlite3")) as db:
        db.execute(statement)
        db.commit()


@pytest.mark.slow
def test_a_book_is_really_searched_for(machine: Machine, library: Path) -> None:
    assert _checks(machine)["library"].seen.startswith("books: 1, pages: 6, passages: ")
    assert "ms" in _checks(machine)["search"].seen
    _sql(library, "UPDATE page SET text = 'zyzzyva quokka numbat'")
    check = _checks(machine, code=1)["search"]
    assert check.seen == "A search finds nothing of what is on the pages."
    with Library(load_settings()) as opened:
        opened.rebuild()
    assert _checks(machine)["search"].state is State.OK


def test_a_library_that_cannot_be_read(machine: Machine, library: Path) -> None:
    catalog = library / "catalog.sqlite3"
    whole = catalog.read_bytes()
    for suffix in ("-wal", "-shm"):
        catalog.with_name(catalog.name + suffix).unlink(missing_ok=True)
    catalog.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    checks = _checks(machine, code=1)
    assert checks["library"].state is State.FAIL
    assert "app" in checks
    catalog.write_bytes(whole)
    assert _wrong(machine) == {}


@pytest.mark.slow
def test_a_book_that_was_left_unfinished(machine: Machine, library: Path) -> None:
    _sql(library, "INSERT INTO job (path, waiting) VALUES ('/x.pdf', '')")
    assert _wrong(machine) == {"library": "warn"}
    _sql(library, "UPDATE job SET waiting = 'OpenAI cannot be reached.'")
    assert "OpenAI" in _checks(machine)["library"].seen
    _sql(library, "DELETE FROM job")
    assert _wrong(machine) == {}


def test_an_old_library_without_a_backup(machine: Machine, library: Path) -> None:
    assert _wrong(machine) == {}
    _sql(library, "UPDATE book SET added_at = '2025-01-01T00:00:00.000+00:00'")
    assert _wrong(machine) == {"backup": "warn"}


def test_a_library_of_ones_own_is_no_server(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKBRAIN_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("BOOKBRAIN_SETTINGS")
    names = {check.name for check in _checks(machine).values()}
    assert names == {"library", "check", "search", "meaning", "clock"}


# Notifications


@pytest.mark.slow
def test_a_fault_is_told_once_and_its_end_once(
    machine: Machine, library: Path, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKBRAIN_NOTIFY", f"http://{server.place}/hook")
    monkeypatch.setenv("BOOKBRAIN_LANGUAGE", "ko")
    _run(machine, "--notify")
    assert server.told == []
    _sql(library, "UPDATE page SET text = 'zyzzyva quokka numbat'")
    for _ in range(3):
        _run(machine, "--notify", code=1)
    assert [told["level"] for told in server.told] == ["fail"]
    assert "검색: 책에 있는 말을 검색해도 찾지 못합니다." in server.told[0]["text"]
    assert "다음: `bookbrain rebuild`를 실행하십시오." in server.told[0]["text"]
    with Library(load_settings()) as opened:
        opened.rebuild()
    for _ in range(2):
        _run(machine, "--notify")
    assert [told["level"] for told in server.told] == ["fail", "ok"]
    assert read_history(library / "health.json").checks["search"].told is State.OK


def test_the_worst_of_states() -> None:
    assert worst_of([State.WARN, State.FAIL, State.OK]) is State.FAIL
    assert worst_of([]) is State.OK


# Search by meaning


@pytest.mark.slow
def test_chroma_and_the_endpoint(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = pdfs.long_book(tmp_path / "two.pdf", 6, seed=2)
    (tmp_path / "chroma").mkdir()
    with OpenAIServer() as openai, ChromaServer(tmp_path / "chroma") as chroma:
        monkeypatch.setenv("CHROMA_URL", chroma.url)
        monkeypatch.setenv("OPENAI_BASE_URL", openai.url)
        monkeypatch.setenv("OPENAI_API_KEY", openai.key)
        with Library(load_settings()) as opened:
            opened.add([book])
            vectors = opened.check_chroma()
        assert vectors > 0
        openai.forget()
        checks = _checks(machine)
        assert checks["Chroma"].seen == f"it answers; vectors: {vectors}"
        assert [checks[n].state for n in ("meaning", "endpoint")] == ["ok", "ok"]
        monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
        assert _wrong(machine) == {"endpoint": "warn"}
        assert "does not accept the API key" in _checks(machine)["endpoint"].seen
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        assert _checks(machine)["endpoint"].seen == "http://127.0.0.1:9/v1 cannot be reached."
        monkeypatch.setenv("OPENAI_BASE_URL", openai.url)
        monkeypatch.setenv("OPENAI_API_KEY", openai.key)
        monkeypatch.setenv("BOOKBRAIN_EMBEDDING_MODEL", "text-embedding-3-large")
        assert _wrong(machine) == {"meaning": "warn"}
        monkeypatch.delenv("BOOKBRAIN_EMBEDDING_MODEL")
        chroma.kill()
        assert _wrong(machine, code=1) == {"Chroma": "FAIL"}
        chroma.start()
        assert _wrong(machine) == {}
        with Library(load_settings()) as opened:
            space = opened._stores.space()
            assert space
            opened._stores.semantics.vectors(space).clear()
        assert _wrong(machine, code=1) == {"Chroma": "FAIL"}
        assert "Chroma lacks" in _checks(machine, code=1)["Chroma"].seen
        with Library(load_settings()) as opened:
            opened.rebuild()
        assert _wrong(machine) == {}
        assert not openai.requested
