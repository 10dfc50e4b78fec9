"""One thing that was looked at, and how it is."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """`WARN` may be meant so; `FAIL` is wrong."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


class Check(NamedTuple):
    """`seen` says how it is, `remedy` what to do where that is not as it should be."""

    name: str
    state: State
    seen: str
    remedy: str = ""
