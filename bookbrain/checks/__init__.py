"""Whether all is well, and who is told: who asks for which checks, and an errand to the owner."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Literal, TypeVar

from bookbrain.reports import Check


class Door(Flag):
    """Who asks: the health check, the doctor, the status, the System page."""

    HEALTH = auto()
    DOCTOR = auto()
    STATUS = auto()
    PAGE = auto()


T = TypeVar("T")
Table = Sequence[tuple[Callable[[T], Iterable[Check]], Door]]


def select(table: Table[T], door: Door, subject: T) -> list[Check]:
    """What the checks of the table that are for this door see of `subject`, in their order."""
    return [check for look, doors in table if door in doors for check in look(subject)]


Failure = Literal["", "address", "late", "unreachable", "broken", "refused"]


@dataclass(frozen=True)
class Errand:
    """To send `title` and `text` to `address` in so many `seconds`; without a title only the text.

    Without a text nothing is sent, the address is looked at. `fields` is what a webhook that takes
    JSON gets beside the title.
    """

    address: str
    text: str
    seconds: float
    title: str = ""
    level: Literal["success", "warning", "failure"] = "success"
    fields: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Receipt:
    """`status` is the last one by HTTP, 0 without one; `reason` has nothing of the address."""

    failure: Failure = ""
    status: int = 0
    reason: str = ""
