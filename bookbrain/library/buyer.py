"""Vectors for one book after another, those of the next books bought in the same purchase."""

from collections.abc import Callable, Iterable, Sequence
from typing import Self

from bookbrain.errors import BookBrainError
from bookbrain.model import Passage, Progress
from bookbrain.models.purchase import PurchaseUnderWay
from bookbrain.search.retrieval import ConnectedStores

_PORTION = 4096  # passages that are bought at once
_WORTH = 512  # passages for which a purchase begins while a book is published


class Buyer:
    """Has the books embedded that `embed` is told, in order.

    `ahead` yields the passages of the books that follow, as far as they are known by then, each
    book once. An endpoint gets several requests at once so, also where each book takes but one.
    """

    def __init__(
        self, stores: ConnectedStores, ahead: Callable[[], Iterable[Sequence[Passage]]]
    ) -> None:
        self._stores = stores
        self._ahead = ahead
        self._next: dict[str, str] = {}  # texts that are bought next, by digest
        self._asked: dict[str, str] = {}  # texts of the last purchase
        self._under_way: PurchaseUnderWay | None = None
        self._refused: dict[str, str] = {}  # reasons, by digest
        self._lengths: dict[str, int] = {}  # of the texts that were bought and not told of yet
        self._tokens = 0  # that these cost

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._under_way:
            self._under_way.close()

    def embed(
        self, book_id: str, passages: Sequence[Passage], progress: Progress
    ) -> tuple[str, dict[int, str], int]:
        """Put a book's vectors into the store and into Chroma.

        Returns the space, the refused ordinals with their reasons, and the tokens billed: its share
        where other books were in the same purchase. Raises what `PurchaseUnderWay.end` has.
        """
        semantics = self._stores.semantics
        if known := self._stores.space():
            semantics.vectors(known)  # a server that is gone is noticed before money is spent
        progress.step("embedding", 0, len(passages))
        self._buy(passages, progress)
        space = self._stores.space()
        if space is None:
            raise _no_vector()
        tokens = self._share(passages)
        self._begin(_WORTH)
        semantics.publish(space, book_id, {p.ordinal: p.digest for p in passages})
        reasons = {p.ordinal: self._refused.get(p.digest, "") for p in passages}
        return str(space), {n: why for n, why in reasons.items() if why}, tokens

    def _buy(self, passages: Sequence[Passage], progress: Progress) -> None:
        """Return when the store has the vectors of the passages, but of those that are refused."""
        if any(passage.digest in self._asked for passage in passages):
            self._end(progress)
        missing = self._missing(passages)
        if missing or self._stores.semantics.exam_is_cut:
            self._end(progress)
            self._next = missing | self._next
            self._begin(0)
            error = self._end(progress)
            if self._missing(passages):
                raise error or _no_vector()

    def _missing(self, passages: Iterable[Passage]) -> dict[str, str]:
        """Their texts that are neither in the store nor refused, by digest."""
        texts = {p.digest: p.text for p in passages if p.digest not in self._refused}
        if space := self._stores.space():
            return {d: texts[d] for d in self._stores.embeddings.missing(space, texts)}
        return texts

    def _begin(self, least: int) -> None:
        """Begin the next purchase, where none is under way and it has so many passages."""
        if self._under_way:
            return
        if len(self._next) < _PORTION:
            for passages in self._ahead():
                self._next |= self._missing(passages)
                if len(self._next) >= _PORTION:
                    break
        if len(self._next) >= least:
            self._asked, self._next = self._next, {}
            self._under_way = self._stores.semantics.begin([*self._asked.values()])

    def _end(self, progress: Progress) -> Exception | None:
        """Wait for the purchase that is under way, if there is one; what ended it early."""
        if not self._under_way:
            return None
        under_way, self._under_way = self._under_way, None
        purchase, error = self._stores.semantics.end(
            under_way, lambda done, total: progress.step("embedding", min(done, total), total)
        )
        self._refused |= purchase.refused
        self._lengths |= {digest: len(text) for digest, text in self._asked.items()}
        self._asked = {}
        self._tokens += purchase.tokens
        return error

    def _share(self, passages: Iterable[Passage]) -> int:
        """The tokens of these passages, by the length of their texts."""
        of_all = sum(self._lengths.values())
        length = sum(self._lengths.pop(passage.digest, 0) for passage in passages)
        tokens = round(self._tokens * length / of_all) if of_all else 0
        self._tokens -= tokens
        return tokens


def _no_vector() -> BookBrainError:
    return BookBrainError("The endpoint gave no vector for any passage.", "Try again.")
