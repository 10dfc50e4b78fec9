"""Which archives stay: the newest, and one of each of the last days, weeks and months."""

from collections.abc import Callable, Iterable
from datetime import datetime

from bookbrain.config import BackupSettings


def kept(made: Iterable[datetime], wanted: BackupSettings) -> set[datetime]:
    """Those of the archives made at these times, in UTC, that stay: at least the newest.

    A day, an ISO week or a month without an archive does not count.
    """
    newest_first = sorted(set(made), reverse=True)
    stay = set(newest_first[: max(1, wanted.keep)])
    for count, period in (
        (wanted.daily, _day), (wanted.weekly, _week), (wanted.monthly, _month),
    ):  # fmt: skip
        stay |= set(_newest_of_each(newest_first, period)[:count])
    return stay


def _newest_of_each(
    newest_first: list[datetime], period: Callable[[datetime], object]
) -> list[datetime]:
    firsts: dict[object, datetime] = {}
    for time in newest_first:
        firsts.setdefault(period(time), time)
    return list(firsts.values())


def _day(time: datetime) -> object:
    return time.date()


def _week(time: datetime) -> object:
    return time.isocalendar()[:2]


def _month(time: datetime) -> object:
    return time.year, time.month
