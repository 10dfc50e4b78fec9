"""Points in time, as a person types them, and months. All by the clock of the machine."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from bookbrain.errors import InputError
from bookbrain.wording import fill

_AGO = re.compile(r"(\d{1,6}) ?([a-z]+?)s?( ago)?")
_UNITS = {
    "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600,
    "d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800,
}  # fmt: skip
_DAYS = {"today": 0, "yesterday": 1}


def read_moment(text: str, now: datetime) -> datetime:
    """Of `2h`, `30 min`, `3 days ago`, `yesterday`, or an ISO date; `now` has a time zone.

    Raises InputError for what is none of these.
    """
    typed = " ".join(text.lower().split())
    if typed in _DAYS:
        day = now.date() - timedelta(days=_DAYS[typed])
        return datetime(day.year, day.month, day.day).astimezone()
    if (ago := _AGO.fullmatch(typed)) and ago[2] in _UNITS:
        seconds = min(int(ago[1]) * _UNITS[ago[2]], now.timestamp())
        return now - timedelta(seconds=seconds)
    try:
        return max(_EARLIEST, datetime.fromisoformat(text.strip()).astimezone())
    except (ValueError, OverflowError) as error:
        raise InputError(
            fill("{text!r} is no point in time.", text=text),
            "Write 2h, 30 min, yesterday, or a date: 2026-03-01, 2026-03-01 14:30.",
        ) from error


_EARLIEST = datetime.fromtimestamp(0).astimezone()


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def begin(self) -> datetime:
        return datetime(self.year, self.number, 1).astimezone()

    @property
    def end(self) -> datetime:
        """Where the next one begins."""
        return self.next().begin

    @property
    def days(self) -> int:
        return (self.next().begin.date() - self.begin.date()).days

    def next(self) -> "Month":
        return Month(self.year + self.number // 12, self.number % 12 + 1)


def month_of(moment: datetime) -> Month:
    local = moment.astimezone()
    return Month(local.year, local.month)


def read_month(text: str) -> Month:
    """Of `2026-03`; raises InputError."""
    found = re.fullmatch(r"(20\d\d)-(0[1-9]|1[0-2])", text.strip())
    if not found:
        raise InputError(fill("{text!r} is no month.", text=text), "Write it so: 2026-03.")
    return Month(int(found[1]), int(found[2]))
