"""Models that answer over the network: an embedder and a reranker, each a protocol.

Who asks one depends on these only. A chat model gets its protocol here with its first caller.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

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
