"""Search by meaning: embedding passages and queries, and the vector leg. Slow to import."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from math import isfinite
from time import monotonic
from typing import TypeVar

import numpy as np
from numpy import linalg

from bookbrain.errors import BookBrainError, InputError, UnavailableError
from bookbrain.messages import fill
from bookbrain.model import EmbeddingSpace, text_digest
from bookbrain.models import Embedder, Purchase
from bookbrain.models.local_model import LocalEmbedder, local_embedder
from bookbrain.models.purchase import Progress, PurchaseUnderWay
from bookbrain.search.exam import Marks, exam_digests, marked
from bookbrain.search.query import CompiledQuery
from bookbrain.store.embeddings import Vector, cosine, is_sound
from bookbrain.store.folder import Stores
from bookbrain.store.rows import StoredPassage
from bookbrain.store.vectors import PassageKey, Vectors, check_server

# Up to so many passages are compared one by one, exactly: within chosen books, where Chroma's graph
# is slow and may miss some, and in a small library, where it would save nothing.
_EXACT_WITHIN_BOOKS = 20_000
_EXACT_LIBRARY = 1_000
_PATIENCE = 5.0  # seconds for an answer that costs nothing
_TRUSTED = 10.0  # seconds that what others may change is taken to be as it was
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Census:
    """What the catalog says of a space in one of its states."""

    state: tuple[EmbeddingSpace, tuple[int, int]]
    embedded_passages: int
    unembedded_books: int


class Semantics:
    """The vector side of an open library. Connections are made when first needed, and kept."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._vectors: dict[EmbeddingSpace, Vectors] = {}
        self._known: _Census | None = None
        self._whole: tuple[_Census, float] | None = None  # until when Chroma is taken to hold it
        self._marks: dict[EmbeddingSpace, tuple[Marks | None, float]] = {}  # and until when
        self._refused: set[str] = set()  # questions of the exam, by digest

    def vectors(self, space: EmbeddingSpace) -> Vectors:
        """The Chroma collection of `space`; raises UnavailableError without a server."""
        if space not in self._vectors:
            vectors = Vectors(self._stores.chroma(), space)
            vectors.open()
            self._vectors[space] = vectors
        return self._vectors[space]

    def silent(self) -> str:
        """Who does not answer searches just now; "" where all do. The endpoint is not asked.

        Our own Chroma server counts as there: it starts when it is needed.
        """
        settings, space = self._stores.settings, self._stores.space()
        try:
            if settings.chroma.url:
                check_server(settings.chroma)
        except UnavailableError:
            return "Chroma"
        try:
            rests = space and self._embedder(space).rests
        except BookBrainError:
            return "The local model"
        return "The embedding endpoint" if rests else ""

    def _ask_chroma(self, space: EmbeddingSpace, ask: Callable[[Vectors], T]) -> T:
        """What `ask` finds in the collection; raises UnavailableError without a server.

        A connection of before is made anew once: a process that lives long sees servers that come
        back, at another port even, and collections that `bookbrain rebuild` made anew.
        """
        if not (connected := space in self._vectors):
            self._vectors[space] = Vectors(self._stores.chroma(), space)
        try:
            return ask(self._vectors[space])
        except UnavailableError as error:
            self._disconnect()
            late = error.__cause__ is None or isinstance(error.__cause__, TimeoutError)
            if late or not connected:
                raise
        self._vectors[space] = Vectors(self._stores.chroma(), space)
        return ask(self._vectors[space])

    def _disconnect(self) -> None:
        self._vectors.clear()
        self._whole = None
        self._stores.forget_chroma()

    def begin(self, texts: Sequence[str]) -> PurchaseUnderWay:
        """Have the texts embedded that are not yet; with the first that cost something, the exam of
        the model, or what a crash left of it."""
        space = self._stores.space()
        new = [text_digest(text) for text in texts]
        paid = space is None or self._stores.embeddings.missing(space, new)
        return self._begin([*texts, *(self.unanswered() if paid or self.exam_is_cut else ())])

    @property
    def exam_is_cut(self) -> bool:
        """Whether a crash left some of the exam to be bought."""
        return 0 < len(self.unanswered()) < len(exam_digests())

    def take_exam(self, progress: Progress) -> Purchase:
        """Have the model of the settings take the exam, or what is left of it; raises what
        ended it early."""
        purchase, error = self.end(self._begin(self.unanswered()), progress)
        if error:
            raise error
        return purchase

    def _begin(self, texts: Sequence[str]) -> PurchaseUnderWay:
        return PurchaseUnderWay(self._stores.home, self._stores.settings.embedding, texts)

    def end(
        self, under_way: PurchaseUnderWay, progress: Progress
    ) -> tuple[Purchase, Exception | None]:
        """As `PurchaseUnderWay.end`."""
        purchase, error = under_way.end(progress)
        self._refused.update(purchase.refused)
        self._marks.clear()
        return purchase, error

    def unanswered(self) -> list[str]:
        """The texts of the exam that are to be bought yet: none where there are marks."""
        space, texts = self._stores.space(), exam_digests()
        if space and self.marks(space):
            return []
        missing = self._stores.embeddings.missing(space, texts) if space else [*texts]
        return [texts[digest] for digest in missing if digest not in self._refused]

    def marks(self, space: EmbeddingSpace) -> Marks | None:
        """Those of the exam, computed once; None while it was not taken, looked up again soon."""
        marks, until = self._marks.get(space, (None, 0.0))
        if marks is None and monotonic() >= until:
            marks = marked(self._stores.embeddings.get(space, exam_digests()))
            self._marks[space] = marks, monotonic() + _TRUSTED
        return marks

    def publish(self, space: EmbeddingSpace, book_id: str, digests: Mapping[int, str]) -> None:
        """Give Chroma the stored vectors of a book's passages (digest by ordinal)."""
        stored = self._stores.embeddings.get(space, digests.values())
        self.vectors(space).put(book_id, digests, stored)

    def answer(
        self, space: EmbeddingSpace, query: CompiledQuery, count: int
    ) -> tuple[list[tuple[StoredPassage, float]], str | None]:
        """The `count` passages that are nearest to the query, as `nearest` gives them, and why not
        every book was looked at, if so. Raises BookBrainError where a service is not there."""
        vector = (
            self.mean_vector(space, query.like)
            if query.like
            else self.query_vector(space, query.text)
        )
        complaint = self.lacking(space)
        return self.nearest(space, vector, count, query.books), complaint

    def nearest(
        self, space: EmbeddingSpace, vector: Vector, count: int, books: Sequence[str] | None
    ) -> list[tuple[StoredPassage, float]]:
        """The passages nearest to `vector`, best first, with their exact cosine.

        Where they are few all passages are compared; else Chroma chooses the candidates.
        """
        passages = self._candidates(space, vector, count, books)
        stored = self._stores.embeddings.get(space, (p.digest for p in passages))
        found = [p for p in passages if p.digest in stored]
        scores = cosine(vector, [stored[p.digest] for p in found])
        sound = [(p, score) for p, score in zip(found, scores, strict=True) if isfinite(score)]
        return sorted(sound, key=lambda f: (-f[1], f[0].book_id, f[0].ordinal))[:count]

    def _candidates(
        self, space: EmbeddingSpace, vector: Vector, count: int, books: Sequence[str] | None
    ) -> list[StoredPassage]:
        catalog = self._stores.catalog
        if books is None and self._census(space).embedded_passages <= _EXACT_LIBRARY:
            books = catalog.book_ids()
        if books is not None:
            passages = [passage for book_id in books for passage in catalog.passages(book_id)]
            if len(passages) <= _EXACT_WITHIN_BOOKS:
                return passages
        keys = self._ask_chroma(
            space, lambda vectors: vectors.nearest(vector, 2 * count, soon=True)
        )
        return catalog.find_passages(keys)

    def mean_vector(self, space: EmbeddingSpace, digests: Sequence[str]) -> Vector:
        """What stored vectors point to in common; raises InputError where there is none of them."""
        stored = self._stores.embeddings.get(space, digests)
        sound = [vector for vector in stored.values() if is_sound(vector)]
        if not sound:
            raise InputError(
                "The page has no embedding.", "Run `bookbrain embed`; on a server with sudo."
            )
        directions = [vector / linalg.norm(vector) for vector in sound]
        return np.asarray(np.mean(directions, axis=0), np.float32)

    def page_vectors(
        self, space: EmbeddingSpace, places: Mapping[T, tuple[str, int]]
    ) -> dict[T, Vector]:
        """What the passages of each page, given by book id and number, point to in common; of one
        without vectors nothing."""
        books = {book_id for book_id, _ in places.values()}
        passages = {book_id: self._stores.catalog.passages(book_id) for book_id in books}
        found: dict[T, Vector] = {}
        for key, (book_id, number) in places.items():
            digests = [passage.digest for passage in passages[book_id] if passage.is_on(number)]
            with suppress(InputError):
                found[key] = self.mean_vector(space, digests)
        return found

    def query_vector(self, space: EmbeddingSpace, query: str) -> Vector:
        """The query's vector; bought once, then kept like any other."""
        embedder = self._embedder(space)
        digest = text_digest(embedder.kept_as(query))
        store = self._stores.embeddings
        known = store.get(space, [digest]).get(digest)
        if known is not None and is_sound(known):
            return known
        vector = embedder.vector(query)
        with suppress(sqlite3.Error):  # on a full disk it is bought again the next time
            store.put_soon(space, digest, vector)
        return vector

    def _embedder(self, space: EmbeddingSpace) -> Embedder:
        """What embeds questions, one in a process; BookBrainError where a model is not there."""
        settings = self._stores.settings.embedding
        if settings.is_local:
            return local_embedder(self._stores.home, settings)
        from bookbrain.models.openai_api import embedder_for_questions  # noqa: PLC0415  (loads slowly)

        return embedder_for_questions(settings, space)

    def lacking(self, space: EmbeddingSpace) -> str | None:
        """Why the vector leg does not see every book, as a sentence; None when it does."""
        census = self._census(space)
        if not census.embedded_passages:
            return fill(
                "No book is embedded with {model} yet; run `bookbrain embed` to search by meaning.",
                model=space.model,
            )
        if census.unembedded_books:
            return fill(
                "{books} of the books are not embedded with {model}; run `bookbrain embed`.",
                books=census.unembedded_books,
                model=space.model,
            )
        if self._whole and self._whole[0] == census and monotonic() < self._whole[1]:
            return None
        held = self._ask_chroma(space, lambda vectors: vectors.count(soon=True))
        if held < census.embedded_passages:
            return fill(
                "Chroma lacks {missing} of {expected} passages; run `bookbrain rebuild`.",
                missing=census.embedded_passages - held,
                expected=census.embedded_passages,
            )
        self._whole = census, monotonic() + _TRUSTED
        return None

    def _census(self, space: EmbeddingSpace) -> _Census:
        """Counted anew only after a change of the catalog: it takes as long as the library is."""
        catalog = self._stores.catalog
        state = space, catalog.state()
        if not self._known or self._known.state != state:
            name = str(space)
            self._known = _Census(
                state, catalog.embedded_passages(name), len(catalog.unembedded_books(name))
            )
        return self._known

    def held(self, space: EmbeddingSpace) -> int:
        """How many passages Chroma holds; raises UnavailableError without a server."""
        check_server(self._stores.chroma())
        return self._ask_chroma(space, Vectors.count)

    def wake(self, space: EmbeddingSpace) -> None:
        """Ask for what has the index loaded, however long that takes; UnavailableError without."""
        self._ask_chroma(space, Vectors.count)

    def check_chroma(self, space: EmbeddingSpace) -> None:
        """Search with a vector that is there already; raises UnavailableError when that fails."""
        catalog = self._stores.catalog
        book_id = next((b for b in catalog.book_ids() if catalog.is_embedded(b, str(space))), "")
        digests = [passage.digest for passage in catalog.passages(book_id)[:1]]
        known = self._stores.embeddings.get(space, digests)
        check_server(self._stores.chroma())
        for vector in list(known.values())[:1]:
            if not self._ask_chroma(space, partial(_nearest, vector)):
                raise UnavailableError("Chroma finds nothing.", "Run `bookbrain rebuild`.")

    def check_endpoint(self) -> None:
        """Ask the endpoint for something that costs nothing; raises BookBrainError."""
        with closing(self._embedder_once()) as embedder:
            embedder.check()

    def _embedder_once(self) -> Embedder:
        """What answers soon or never, for one who closes it."""
        settings = self._stores.settings.embedding
        if settings.is_local:
            return LocalEmbedder(self._stores.home, settings)
        from bookbrain.models.openai_api import OpenAIEmbedder  # noqa: PLC0415  (loads slowly)

        return OpenAIEmbedder(settings.with_timeout(_PATIENCE), None, retries=0)


def _nearest(vector: Vector, vectors: Vectors) -> list[PassageKey]:
    return vectors.nearest(vector, 1)
