"""`bookbrain-admin report`: what is counted, the table, and what is kept for the system page."""

from datetime import date, datetime, timedelta
from pathlib import Path
from unicodedata import east_asian_width

import pytest
from click.testing import CliRunner, Result
from support.journal import Entry, FakeReader, entry

from bookbrain.admin import main
from bookbrain.admin.options import Records
from bookbrain.admin.report import percentile, report_of, table_of
from bookbrain.paths import Layout
from bookbrain.reports import Use, kept_use, milliseconds, money
from bookbrain.server.journal import Month, archive_file, export

MARCH = Month(2026, 3)


def _search(day: int, ms: object, degraded: str = "0", **fields: str) -> Entry:
    return entry(
        MARCH.begin + timedelta(days=day - 1, hours=12), "search", BOOKBRAIN_EVENT="search",
        BOOKBRAIN_QUERY_MS=str(ms), BOOKBRAIN_DEGRADED=degraded, **fields,
    )  # fmt: skip


def _event(day: int, kind: str, **fields: str) -> Entry:
    moment = MARCH.begin + timedelta(days=day - 1, hours=13)
    return entry(moment, kind, BOOKBRAIN_EVENT=kind, **fields)


ENTRIES = [
    _search(1, 5),
    *(_search(2, ms) for ms in range(1, 101)),
    _search(3, 7.5, "1"),
    _event(4, "add", BOOKBRAIN_BOOK="ab" * 32),
    _event(4, "known"),
    _event(4, "reject", PRIORITY="4"),
    _event(4, "embed", BOOKBRAIN_TOKENS="120000", BOOKBRAIN_DOLLARS="0.0024"),
    _event(4, "ocr", BOOKBRAIN_TOKENS="1000000", BOOKBRAIN_DOLLARS="0.02"),
    _event(5, "fault", PRIORITY="3"),
    entry(MARCH.begin + timedelta(days=30, hours=23), "crash", PRIORITY="2"),
    _search(0, 999),  # the day before
    _search(32, 999),  # the day after
]


def test_percentiles_are_of_the_nearest_rank() -> None:
    values = [*range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.95)) == (50, 95)
    assert (percentile([3], 0.5), percentile([3], 0.95), percentile([], 0.5)) == (3, 3, None)


def test_days_and_the_month_are_counted() -> None:
    report = report_of(ENTRIES, MARCH)
    days = dict(report.days)
    assert len(days) == 31
    assert days[date(2026, 3, 1)] == Use(searches=1, p50=5, p95=5)
    assert days[date(2026, 3, 2)] == Use(searches=100, p50=50, p95=95)
    assert days[date(2026, 3, 3)].share_degraded == 1
    fourth = days[date(2026, 3, 4)]
    assert (fourth.added, fourth.rejected, fourth.tokens) == (1, 1, 1_120_000)
    assert fourth.dollars == pytest.approx(0.0224)
    assert days[date(2026, 3, 31)] == Use(errors=1)
    assert (report.total.searches, report.total.errors) == (102, 2)
    assert report.total.share_degraded == pytest.approx(1 / 102)


def test_odd_fields_are_no_fault() -> None:
    odd = [
        _search(1, "nan"), _search(1, "-5"), _search(1, "1e999"), _search(1, "viel"),
        _search(1, 8, PRIORITY="x"), _event(1, "embed"),
        _event(1, "embed", BOOKBRAIN_TOKENS="inf", BOOKBRAIN_DOLLARS="x"),
        _event(1, "<script>"), {"BOOKBRAIN_EVENT": "search"}, {},
    ]  # fmt: skip
    total = report_of(odd, MARCH).total
    assert (total.searches, total.p95, total.tokens) == (5, 8, 0)
    assert total.dollars is None  # a bill of a model whose price is not known


def test_a_table_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = [_event(1, "embed", BOOKBRAIN_TOKENS="99999999", BOOKBRAIN_DOLLARS="1234.5")]
    for locale in ("C.UTF-8", "ko_KR.UTF-8"):
        monkeypatch.setenv("LC_ALL", locale)
        lines = list(table_of(report_of([*ENTRIES, *busy, *[_search(6, 99999)] * 9999], MARCH)))
        widths = {sum(2 if east_asian_width(c) in "WF" else 1 for c in x) for x in lines[1:]}
        assert max(widths) <= 80
        assert len(widths) == 1, "its columns are straight"
    assert "검색" in lines[1]
    assert lines[3].split() == [
        "03-02", "100", "50", "ms", "95", "ms", "0.0%", "0", "0", "0", "$0.0000", "0"
    ]  # fmt: skip


def test_numbers() -> None:
    assert [milliseconds(v) for v in (None, 0.26, 9.9, 1234.5)] == [
        "-", "0.3 ms", "9.9 ms", "1234 ms"
    ]  # fmt: skip
    assert [money(v) for v in (None, 0.0024, 12.345)] == ["?", "$0.0024", "$12.35"]


# The command


def _run(tmp_path: Path, *arguments: str, reader: FakeReader | None = None) -> Result:
    records = Records(lambda: reader or FakeReader(ENTRIES), Layout(tmp_path))
    return CliRunner(env={"LC_ALL": "C.UTF-8"}).invoke(main, ["report", *arguments], obj=records)


def test_the_command_prints(tmp_path: Path) -> None:
    done = _run(tmp_path, "--month", "2026-03")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("BookBrain in 2026-03\n")
    assert _run(tmp_path, "--month", "03").exit_code == 65
    assert _run(tmp_path).exit_code == 0


def test_a_month_that_is_archived_is_read_from_there(tmp_path: Path) -> None:
    folder = tmp_path / "var/log/bookbrain"
    folder.mkdir(parents=True)
    export(ENTRIES, archive_file(folder, MARCH))
    gone = FakeReader([])
    done = _run(tmp_path, "--month", "2026-03", reader=gone)
    assert done.stdout.splitlines()[-1].split()[:2] == ["all", "102"]


# What is kept


def test_the_timer_keeps_the_last_days_in_counts(tmp_path: Path) -> None:
    folder = tmp_path / "var/log/bookbrain"
    folder.mkdir(parents=True)
    now = datetime.now().astimezone()
    done = [
        _search_at(now - timedelta(days=31), 999),
        *(_search_at(now - timedelta(days=ago), 10 * ago, query="a secret") for ago in (30, 2, 1)),
        entry(now, "fault", PRIORITY="3", BOOKBRAIN_EVENT="fault"),
    ]
    records = Records(lambda: FakeReader(done), Layout(tmp_path))
    for _ in range(2):
        ended = CliRunner().invoke(main, ["archive-logs"], obj=records)
        assert ended.exit_code == 0, ended.output
    days = kept_use(folder)
    assert [day for day, _ in days] == [now.date() - timedelta(days=n) for n in range(30, -1, -1)]
    assert days[0][1] == Use(searches=1, p50=300, p95=300)
    assert (days[28][1].p95, days[29][1].p95, days[30][1]) == (20, 10, Use(errors=1))
    assert sum(use.searches for _, use in days) == 3
    kept = folder / "use.json"
    assert "secret" not in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def _search_at(moment: datetime, ms: int, query: str = "x") -> Entry:
    return entry(
        moment, "search", BOOKBRAIN_EVENT="search", BOOKBRAIN_QUERY_MS=str(ms),
        BOOKBRAIN_DEGRADED="0", BOOKBRAIN_QUERY=query,
    )  # fmt: skip


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", '[{"day": "x"}]', '[{"day": 1}]', '["x"]',
                                  '[{"day": "2026-03-01", "wings": 2}]'])  # fmt: skip
def test_what_cannot_be_read_is_nothing(tmp_path: Path, text: str) -> None:
    assert kept_use(tmp_path) == []
    (tmp_path / "use.json").write_text(text)
    assert kept_use(tmp_path) == []
