"""Models, over the network or on this machine: embedder, reranker, chat model, each a protocol.

Who asks one depends on these only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bookbrain.store.embeddings import Vector

Keep = Callable[[dict[str, Vector]], None]
Order = tuple[int, ...]


@dataclass(slots=True)
class Purchase:
    """What became of some texts: how many were embedded, what was billed, and why others were
    refused, by digest."""

    embedded: int = 0
    tokens: int = 0
    refused: dict[str, str] = field(default_factory=dict)


class Embedder(Protocol):
    """Texts become vectors of one space."""

    dimensions: int | None  # of every vector; None until the first one tells

    @property
    def rests(self) -> bool:
        """Whether it failed so often that questions leave it alone for a while."""

    def embed(self, texts: Sequence[str], purchase: Purchase, keep: Keep) -> None:
        """Embed distinct texts, and isolate those that it refuses.

        `keep` gets every good answer at once, by text. Raises ConfigError for a wrong key,
        BusyError for a limit, UnavailableError when it is down or refuses everything.
        """

    def kept_as(self, question: str) -> str:
        """The text under which the vector of a question is kept. It is no passage's where these are
        embedded in another way."""

    def vector(self, question: str) -> Vector:
        """The vector of a question that somebody waits for, soon or never; raises BookBrainError.

        What it cost is logged.
        """

    def check(self) -> None:
        """Ask it for something that costs nothing; raises as `embed` does."""

    def close(self) -> None:
        """Give up its connections."""


class Reranker(Protocol):
    """Reads a question beside each of some texts."""

    def order(self, query: str, texts: Sequence[str]) -> Order | None:
        """Where the texts stand in `texts`, best first; None without a good answer in time."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a chat model is asked: `system` are our words, `user` is data. The answer is to be JSON
    as `schema` says, where the endpoint can do that, and may have so many tokens as `most`."""

    system: str
    user: str
    schema: Mapping[str, Any]
    most: int


@dataclass(slots=True)
class Bill:
    """What answers cost so far, as far as the endpoint says; `dollars` is None where no price is
    known. `short`: the last answer ended for want of tokens."""

    read: int = 0
    written: int = 0
    dollars: float | None = None
    short: bool = False

    @property
    def tokens(self) -> int:
        return self.read + self.written

    def add(self, other: "Bill") -> None:
        """Count another one with it, which is that of the last answer."""
        self.read += other.read
        self.written += other.written
        self.short = other.short
        if other.dollars is not None:
            self.dollars = (self.dollars or 0.0) + other.dollars


class ChatModel(Protocol):
    """Writes an answer, word for word."""

    window: int  # tokens that it can read and write at once

    def answer(self, prompt: Prompt, bill: Bill) -> Iterator[str]:
        """The pieces of the answer as they come, and into `bill` what they cost.

        Each within its deadline. Raises ConfigError for a wrong key or model, BusyError for a
        limit, UnavailableError when it is down, late, breaks off or goes on for ever; InputError
        for what it does not take. An answer is asked for once.
        """
