"""`bookbrain-admin logs`, and the archives of the logs timer, on a journal in memory."""

import gzip
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.journal import Entry, FakeReader, entry

from bookbrain.admin import main
from bookbrain.admin.logs import lines_of
from bookbrain.admin.options import Records
from bookbrain.errors import BookBrainError, InputError, UnavailableError
from bookbrain.files import PART
from bookbrain.paths import Layout
from bookbrain.server.journal import (
    Month,
    Wanted,
    archive,
    archive_file,
    entries,
    export,
    following,
    month_of,
    newest,
    open_journal,
    priority_of,
    read_archive,
    read_moment,
    read_month,
    text_of,
)

NOW = datetime.now(UTC).replace(microsecond=0)
BOOK = "3f" * 32


def ago(**units: float) -> datetime:
    return NOW - timedelta(**units)


ENTRIES = [
    entry(ago(days=40), "old", PRIORITY="3"),
    entry(ago(hours=30), "planted error", PRIORITY="3"),
    entry(ago(hours=3), "chroma is slow", _SYSTEMD_UNIT="bookbrain-chroma.service", PRIORITY="4"),
    entry(ago(hours=2), "not ours", _SYSTEMD_UNIT="ssh.service", SYSLOG_IDENTIFIER="sshd",
          PRIORITY="3"),
    entry(ago(hours=2), "forged", _SYSTEMD_UNIT="user@1000.service", _UID="1000", PRIORITY="3"),
    entry(ago(minutes=50), "added", BOOKBRAIN_EVENT="add", BOOKBRAIN_BOOK=BOOK),
    entry(ago(minutes=40), "removed by root", _SYSTEMD_UNIT="session-1.scope", _UID="0",
          BOOKBRAIN_EVENT="remove", BOOKBRAIN_BOOK=BOOK),
    entry(ago(minutes=30), "bookbrain.service: Failed with result 'watchdog'.", PRIORITY="4",
          _SYSTEMD_UNIT="init.scope", SYSLOG_IDENTIFIER="systemd", _PID="1", _UID="0",
          UNIT="bookbrain.service"),
    entry(ago(minutes=20), "visit", _SYSTEMD_UNIT="caddy.service", SYSLOG_IDENTIFIER="caddy"),
    entry(ago(minutes=10), "the newest"),
]  # fmt: skip


def _messages(found: list[Entry]) -> list[str]:
    return [text_of(one, "MESSAGE") for one in found]


def _run(*arguments: str, reader: FakeReader | None = None, code: int = 0) -> Result:
    records = Records(lambda: reader or FakeReader(ENTRIES))
    done = CliRunner(env={"LC_ALL": "C.UTF-8"}).invoke(main, ["logs", *arguments], obj=records)
    assert done.exit_code == code, done.output
    return done


# Which entries


def test_all_that_is_ours_and_nothing_else() -> None:
    assert _messages(list(entries(FakeReader(ENTRIES), Wanted()))) == [
        "old", "planted error", "chroma is slow", "added", "removed by root",
        "bookbrain.service: Failed with result 'watchdog'.", "the newest",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(errors=True), ["old", "planted error"]),
        (Wanted(errors=True, since=ago(days=2)), ["planted error"]),
        (Wanted(until=ago(days=1)), ["old", "planted error"]),
        (Wanted(unit="chroma"), ["chroma is slow"]),
        (Wanted(unit="bookbrain-chroma"), ["chroma is slow"]),
        (Wanted(unit="caddy"), ["visit"]),
        (Wanted(unit="caddy.service"), ["visit"]),
        (Wanted(book="3f3f"), ["added", "removed by root"]),
        (Wanted(book="3f3f", errors=True), []),
        (Wanted(activity=True), ["old", "planted error", "added", "removed by root"]),
        (Wanted(since=NOW), []),
    ],
)
def test_which(wanted: Wanted, expected: list[str]) -> None:
    assert _messages(list(entries(FakeReader(ENTRIES), wanted))) == expected
    assert _messages(newest(FakeReader(ENTRIES), wanted, 100)) == expected
    assert _messages(newest(FakeReader(ENTRIES), wanted, 1)) == expected[-1:]


def test_what_comes_is_followed() -> None:
    def come(reader: FakeReader) -> None:
        if len(reader.entries) == len(ENTRIES):
            reader.entries += [entry(NOW, "next"), entry(NOW, "other", _SYSTEMD_UNIT="x", _UID="7")]
        else:
            raise KeyboardInterrupt

    for last in (ENTRIES[-1], None):
        found = []
        with pytest.raises(KeyboardInterrupt):
            found.extend(
                text_of(one, "MESSAGE")
                for one in following(FakeReader(ENTRIES, come), Wanted(), last)
            )
        assert found == [] or found == ["next"]
    assert "next" in _run("--follow", "--lines", "1", reader=FakeReader(ENTRIES, come)).output


def test_fields_are_texts_whatever_they_are() -> None:
    said = {
        "a": "x", "b": b"caf\xe9", "c": ["x", "y"], "d": [99, 97], "e": [], "f": [b"z"], "g": 5,
        "PRIORITY": "9",
    }  # fmt: skip
    assert [text_of(said, name) for name in "abcdefgh"] == [
        "x", "caf\ufffd", "y", "ca", "", "z", "5", ""
    ]  # fmt: skip
    assert priority_of(said) == 6
    assert priority_of({"PRIORITY": "3"}) == 3


# The screen


def test_a_hostile_entry_is_printed_safely() -> None:
    said = "a\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202eb\tc\nsecond\x0bline\n" + "y" * 1_000_000
    hostile = entry(NOW, said.encode(), SYSLOG_IDENTIFIER="x\x1b[1m", _SYSTEMD_UNIT="\x1b[2m")
    lines = list(lines_of(hostile))
    text = "\n".join(lines)
    assert not any(c in text for c in "\x1b\x07\r\x9b\u202e\x0b\t")
    assert len(lines) == 3
    assert lines[1] == "    second?line"
    assert len(text) < 10_000
    assert len(list(lines_of(entry(NOW, "\n" * 100_000)))) < 300


def test_the_newest_are_shown_and_errors_are_red() -> None:
    records = Records(lambda: FakeReader(ENTRIES))
    done = CliRunner().invoke(main, ["logs", "--lines", "6"], obj=records, color=True)
    lines = done.output.splitlines()
    assert len(lines) == 6
    assert "\x1b[31m" in lines[0]
    assert "planted error" in lines[0]
    assert "\x1b[33m" in lines[1]
    assert "  bookbrain-chroma: chroma is slow" in lines[1]
    assert lines[-1].endswith("bookbrain: the newest\x1b[0m")
    many = FakeReader([entry(ago(minutes=90 - n), str(n)) for n in range(80)])
    assert len(_run(reader=many).stdout.splitlines()) == 50
    assert len(_run("--since", "1 week", reader=many).stdout.splitlines()) == 80
    assert many.closed


def test_errors_since_then() -> None:
    assert [line[21:] for line in _run("--errors", "--since", "48h").stdout.splitlines()] == [
        "bookbrain: planted error"
    ]
    nothing = _run("--errors", "--since", "1h")
    assert nothing.stdout == ""
    assert nothing.stderr == "There are no such entries.\n"


def test_wrong_words() -> None:
    assert "no point in time" in _run("--since", "soon", code=65).stderr
    assert "--follow" in _run("--export", "x", "--follow", code=2).stderr


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("30 min", NOW - timedelta(minutes=30)),
        ("3 Days ago", NOW - timedelta(days=3)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1).astimezone()),
        ("999999 weeks", datetime.fromtimestamp(0, UTC)),
    ],
)
def test_moments(typed: str, expected: datetime) -> None:
    assert read_moment(typed, NOW) == expected


def test_days_begin_at_midnight() -> None:
    today, yesterday = (read_moment(day, NOW.astimezone()) for day in ("today", "yesterday"))
    assert (today.hour, today.minute) == (yesterday.hour, yesterday.minute) == (0, 0)
    assert timedelta(hours=22) < today - yesterday < timedelta(hours=26)


@pytest.mark.parametrize("typed", ["", "soon", "2 parsecs", "-1h", "2026-02-30", "2026-3", "h"])
def test_no_moments(typed: str) -> None:
    with pytest.raises(InputError):
        read_moment(typed, NOW)


# Without a journal


def test_a_machine_without_systemd_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "systemd", None)
    with pytest.raises(UnavailableError, match="systemd-python") as refused:
        open_journal()
    assert "journalctl -u bookbrain" in refused.value.hint


# Files


def test_an_export_is_whole_and_packed(tmp_path: Path) -> None:
    for name in ("all.jsonl", "all.jsonl.gz"):
        path = tmp_path / name
        path.write_text("older")
        assert "7" in _run("--export", str(path)).output
        data = gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes()
        lines = [json.loads(line) for line in data.splitlines()]
        assert _messages(lines)[-1] == "the newest"
        assert len(lines) == 7
        assert lines[3]["BOOKBRAIN_BOOK"] == BOOK
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "all.jsonl", "all.jsonl.gz"
    ]  # fmt: skip
    assert "1" in _run("--export", str(tmp_path / "one.jsonl"), "--lines", "1").output


def test_bytes_are_kept_as_journalctl_has_them(tmp_path: Path) -> None:
    odd = entry(NOW, b"\xff\x00", LIST=["a", b"\xfe"])
    path = tmp_path / "odd.jsonl.gz"
    assert export([odd], path) == 1
    (kept,) = read_archive(path)
    assert kept["MESSAGE"] == [255, 0]
    assert kept["LIST"] == ["a", [254]]
    assert text_of(kept, "MESSAGE") == "\ufffd\x00"


def test_a_broken_export_leaves_what_was_there(tmp_path: Path) -> None:
    def broken() -> object:
        yield ENTRIES[0]
        raise OSError(28, "No space left on device")

    path = tmp_path / "x.jsonl"
    path.write_text("older")
    with pytest.raises(BookBrainError, match="disk is full"):
        export(broken(), path)
    assert path.read_text() == "older"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["x.jsonl"]
    with pytest.raises(InputError, match="cannot be written"):
        export([], tmp_path / "none" / "x.jsonl")


def test_a_link_at_the_unfinished_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / f"x.jsonl{PART}").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError):
        export(ENTRIES, tmp_path / "x.jsonl")
    assert (tmp_path / "precious").read_text() == "precious"


# Months


def test_months() -> None:
    december = read_month("2025-12")
    assert december == Month(2025, 12)
    assert str(december.next()) == "2026-01"
    assert december.end == Month(2026, 1).begin
    assert (december.days, Month(2024, 2).days, Month(2026, 2).days) == (31, 29, 28)
    assert month_of(december.begin) == december
    for typed in ("2026-13", "2026", "march", "2026-3"):
        with pytest.raises(InputError):
            read_month(typed)


MONTHS = [Month(2026, number) for number in (1, 2, 3, 4)]


def _journal(*months: Month) -> Callable[[], FakeReader]:
    made = [
        entry(month.begin + timedelta(days=day), f"{month} {day}", PAD=os.urandom(2000).hex())
        for month in months
        for day in (0, 27)
    ]
    return lambda: FakeReader(made)


def test_the_months_that_are_over_are_kept_once(tmp_path: Path) -> None:
    now = MONTHS[3].begin + timedelta(days=2)
    (tmp_path / f"bookbrain-2026-01.jsonl.gz{PART}").write_text("cut off")
    made = archive(_journal(*MONTHS), tmp_path, 200, now)
    assert made == [archive_file(tmp_path, month) for month in MONTHS[:3]]
    files = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert files == {".lock", *(path.name for path in made)}
    assert _messages(list(read_archive(made[1]))) == ["2026-02 0", "2026-02 27"]
    before = made[1].read_bytes()
    assert archive(_journal(*MONTHS), tmp_path, 200, now) == []
    assert made[1].read_bytes() == before
    later = MONTHS[3].next().begin
    assert archive(_journal(*MONTHS), tmp_path, 200, later) == [archive_file(tmp_path, MONTHS[3])]


def test_a_month_without_entries_has_no_archive(tmp_path: Path) -> None:
    now = MONTHS[3].begin
    made = archive(_journal(MONTHS[0], MONTHS[2]), tmp_path, 200, now)
    assert [path.name[10:17] for path in made] == ["2026-01", "2026-03"]
    assert archive(lambda: FakeReader([]), tmp_path / "..", 200, now) == []


def test_the_oldest_go_when_the_budget_is_spent(tmp_path: Path) -> None:
    for number in range(1, 13):
        path = archive_file(tmp_path, Month(2025, number))
        path.write_bytes(b"x" * 300_000)
    (tmp_path / "notes.txt").write_bytes(b"x" * 3_000_000)
    archive(_journal(MONTHS[0]), tmp_path, 1, MONTHS[1].begin)
    assert [path.name[10:17] for path in sorted(tmp_path.glob("*.gz"))] == [
        "2025-10", "2025-11", "2025-12", "2026-01"
    ]  # fmt: skip
    assert (tmp_path / "notes.txt").exists()
    archive_file(tmp_path, Month(2026, 5)).write_bytes(b"x" * 3_000_000)
    archive(_journal(), tmp_path, 1, Month(2026, 6).begin)
    assert [path.name[10:17] for path in tmp_path.glob("*.gz")] == ["2026-05"]


def test_the_command_of_the_timer(tmp_path: Path) -> None:
    folder = tmp_path / "var/log/bookbrain"
    folder.mkdir(parents=True)
    records = Records(_journal(*MONTHS), Layout(tmp_path))
    done = CliRunner().invoke(main, ["archive-logs"], obj=records)
    assert done.exit_code == 0, done.output
    assert len(list(folder.glob("*.jsonl.gz"))) == 4


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 1000)[:-9])
    with pytest.raises(InputError, match="damaged"):
        list(read_archive(path))
