"""`bookbrain-admin report`: what is counted, the table and the picture."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from unicodedata import east_asian_width
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from support.journal import Entry, FakeReader, entry

from bookbrain.admin import main
from bookbrain.admin.archives import archive_file, export
from bookbrain.admin.looking_back import Records
from bookbrain.admin.moments import Month
from bookbrain.admin.report import Use, percentile, report_of
from bookbrain.admin.report_picture import nice_top, picture_of
from bookbrain.admin.report_table import milliseconds, money, table_of
from bookbrain.server import Layout

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
    _event(4, "embed", BOOKBRAIN_TOKENS="1000000", BOOKBRAIN_DOLLARS="0.02"),
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
    assert [nice_top(v) for v in (0, 4, 5, 9, 33, 100, 5000)] == [4, 4, 8, 20, 40, 200, 8000]


# The picture


def _elements(svg: str, tag: str) -> Iterator[ElementTree.Element]:
    return ElementTree.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{tag}")


def test_the_picture_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    svg = picture_of(report_of(ENTRIES, MARCH))
    bars = [r for r in _elements(svg, "rect") if r.get("class") == "bar" and not r.get("rx")]
    assert len(bars) == 3
    heights = [float(bar.get("height", "")) for bar in bars]
    assert heights[1] == pytest.approx(100 * heights[0], rel=0.05)
    for bar in bars:
        assert float(bar.get("y", "")) + float(bar.get("height", "")) == pytest.approx(380, abs=0.2)
    line, _ = _elements(svg, "polyline")
    assert len((line.get("points") or "").split()) == 3
    texts = "".join(text.text or "" for text in _elements(svg, "text"))
    assert "하루의 검색" in texts
    assert "$0.0224" in texts
    assert not re.search("script|href|url", svg)


def test_a_month_without_anything_is_drawn() -> None:
    svg = picture_of(report_of([], MARCH))
    assert not list(_elements(svg, "g"))
    assert "nan" not in svg


# The command


def _run(tmp_path: Path, *arguments: str, reader: FakeReader | None = None) -> Result:
    records = Records(lambda: reader or FakeReader(ENTRIES), Layout(tmp_path))
    return CliRunner(env={"LC_ALL": "C.UTF-8"}).invoke(main, ["report", *arguments], obj=records)


def test_the_command_prints_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "march.svg"
    done = _run(tmp_path, "--month", "2026-03", "--svg", str(picture))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("BookBrain in 2026-03\n")
    assert f"The picture is in {picture}." in done.stdout
    assert picture.read_text(encoding="utf-8").startswith("<svg ")
    assert _run(tmp_path, "--month", "2026-03", "--svg", str(tmp_path)).exit_code == 65
    assert _run(tmp_path, "--month", "03").exit_code == 65
    assert _run(tmp_path).exit_code == 0


def test_a_month_that_is_archived_is_read_from_there(tmp_path: Path) -> None:
    folder = tmp_path / "var/log/bookbrain"
    folder.mkdir(parents=True)
    export(ENTRIES, archive_file(folder, MARCH))
    gone = FakeReader([])
    done = _run(tmp_path, "--month", "2026-03", reader=gone)
    assert done.stdout.splitlines()[-1].split()[:2] == ["all", "102"]
