"""What the child process is asked to send, and what came of it: JSON on its stdin and stdout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
