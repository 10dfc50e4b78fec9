"""What a command has to tell when it is done, and while it works."""

from dataclasses import dataclass
from typing import Literal, Protocol

from bookbrain.errors import BookBrainError
from bookbrain.model import Book

Status = Literal["added", "known", "mended", "failed"]
Step = Literal["reading", "analysing", "embedding", "indexing"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    It is "mended" where the book was known, but its file damaged or gone: this one took its place.
    `reason` and `hint` are for a failed one; `tokens` were paid for.
    """

    path: str
    status: Status
    book: Book | None = None
    reason: str = ""
    hint: str = ""
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of every file; `stopped` is the fault that ended the work early, if one did."""

    outcomes: tuple[Outcome, ...]
    stopped: BookBrainError | None = None

    def count(self, status: Status) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def tokens(self) -> int:
        """Tokens that the endpoint counted in all."""
        return sum(outcome.tokens for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Plan:
    """What adding or embedding one book would take; `tokens` are estimated. `reason`: why not."""

    file: str
    title: str = ""
    pages: int = 0
    passages: int = 0
    tokens: int = 0
    known: bool = False
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file on its way in: `done` of `total` pages or passages of its step.

    `step` is "" until its turn comes. `waiting` says why nobody can work on it just now.
    """

    file: str
    step: str = ""
    done: int = 0
    total: int = 0
    waiting: str = ""


class Progress(Protocol):
    """Who is told how far the work is."""

    def wait(self) -> None:
        """Another BookBrain is writing; we wait for it."""

    def begin(self, file: str, number: int, of: int) -> None:
        """The work on a file begins."""

    def step(self, step: Step, done: int, total: int) -> None:
        """`done` of `total` pages, passages or books of the current file's step are done."""

    def end(self, outcome: Outcome) -> None:
        """The work on a file is done."""


class Silent:
    """Tells nobody."""

    def wait(self) -> None: ...

    def begin(self, file: str, number: int, of: int) -> None: ...

    def step(self, step: Step, done: int, total: int) -> None: ...

    def end(self, outcome: Outcome) -> None: ...


def dollars(tokens: int, per_million: float | None) -> str:
    """What tokens cost, "" where the price is not known."""
    if per_million is None:
        return ""
    cost = tokens / 1_000_000 * per_million
    return f"${cost:.4f}" if cost < 1 else f"${cost:.2f}"
