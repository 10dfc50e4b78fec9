"""What was looked at and how it is, and an errand to tell the owner of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple


class State(StrEnum):
    """`WARN` may be meant so; `FAIL` is wrong."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


class Check(NamedTuple):
    """`seen` says how it is, `remedy` what to do where that is not as it should be.

    Of several with one name, `subject` tells which: a unit, a path.
    """

    name: str
    state: State
    seen: str
    remedy: str = ""
    subject: str = ""

    @property
    def key(self) -> str:
        """The same in the next run."""
        return f"{self.name} {self.subject}".rstrip()


def worst_of(states: Iterable[State]) -> State:
    return max(states, key=list(State).index, default=State.OK)


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
