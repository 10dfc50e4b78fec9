"""Which archives stay."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookbrain.backup.archives import kept
from bookbrain.settings import BackupSettings

_NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


def _days(*ago: float) -> list[datetime]:
    return [_NOON - timedelta(days=days) for days in ago]


def _stay(made: list[datetime], **wanted: int) -> list[float]:
    """How many days old those are that stay."""
    return sorted(
        (_NOON - time) / timedelta(days=1) for time in kept(made, BackupSettings(**wanted))
    )


def test_five_weekly_runs_leave_four() -> None:
    assert _stay(_days(0, 7, 14, 21, 28)) == [0, 7, 14, 21]


def test_nothing_is_removed_while_there_are_few() -> None:
    assert _stay(_days(0, 400, 800)) == [0, 400, 800]
    assert kept([], BackupSettings()) == set()


def test_the_newest_of_each_day() -> None:
    made = _days(0, 0.1, 0.2, 1, 1.1, 2, 5)
    assert _stay(made, keep=1, daily=3) == [0, 1, 2]
    assert _stay(made, keep=2, daily=4) == [0, 0.1, 1, 2, 5], "days without an archive do not count"


def test_weeks_begin_on_monday_and_years_have_no_seam() -> None:
    sunday = datetime(2027, 1, 3, 23, tzinfo=UTC)  # of the week that began in December
    made = [sunday, sunday + timedelta(hours=2), sunday - timedelta(days=3)]
    assert kept(made, BackupSettings(keep=1, weekly=2)) == {made[0], made[1]}


def test_months() -> None:
    made = _days(0, 30, 31, 61, 90, 365)
    assert _stay(made, keep=1, monthly=3) == [0, 31, 61]


def test_all_together_are_a_union() -> None:
    made = _days(*range(100))
    stay = _stay(made, keep=2, daily=3, weekly=3, monthly=3)
    assert stay == [0, 1, 2, 9, 31, 59]


@pytest.mark.slow
@given(
    st.lists(st.datetimes(timezones=st.just(UTC)), max_size=30),
    st.integers(1, 6), st.integers(0, 6), st.integers(0, 6), st.integers(0, 6),
)  # fmt: skip
def test_the_newest_always_stay_and_nothing_is_made_up(
    made: list[datetime], keep: int, daily: int, weekly: int, monthly: int
) -> None:
    stay = kept(made, BackupSettings(keep, daily, weekly, monthly))
    newest_first = sorted(set(made), reverse=True)
    assert set(newest_first[:keep]) <= stay <= set(made)
    assert len(stay) <= keep + daily + weekly + monthly
    later = [*made, max(made, default=_NOON) + timedelta(days=1)]
    again = kept(later, BackupSettings(keep, daily, weekly, monthly))
    assert again - {max(later)} <= stay, "what once was too many is never missed later"
