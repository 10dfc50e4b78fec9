"""One thing that was looked at, and how it is."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


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
