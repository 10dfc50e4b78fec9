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

from bookbrain.errors import InputError, UnavailableError
from bookbrain.messages import fill
from bookbrain.model import EmbeddingSpace, text_digest
from bookbrain.models import Embedder, Purchase
from bookbrain.models.openai_api import OpenAIEmbedder, embedder_for_questions
from bookbrain.models.purchase import Progress, embed_texts
from bookbrain.search.query import CompiledQuery
from bookbrain.store.embeddings import Vector, is_sound
from bookbrain.store.folder import Stores
from bookbrain.store.rows import StoredPassage
from bookbrain.store.vectors import PassageKey, Vectors, check_server, cosine

# Up to so many passages are compared one by one, exactly: within chosen books, where Chroma's graph
# is slow and may miss some, and in a small library, where it would save nothing.
_EXACT_WITHIN_BOOKS = 20_000
_EXACT_LIBRARY = 1_000
_PATIENCE = 5.0  # seconds for an answer that costs nothing
_TRUSTED = 10.0  # seconds that a Chroma which held everything is taken to hold it
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
            if settings.chroma_url:
                check_server(settings.chroma_url)
        except UnavailableError:
            return "Chroma"
        if space and embedder_for_questions(settings.embedding, space).rests:
            return "The embedding endpoint"
        return ""

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

    def buy(self, texts: Sequence[str], progress: Progress) -> Purchase:
        """Have the texts embedded that are not yet."""
        return embed_texts(self._stores.home, self._stores.settings.embedding, texts, progress)

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

    def query_vector(self, space: EmbeddingSpace, query: str) -> Vector:
        """The query's vector; bought once, then kept like any other."""
        digest = text_digest(query)
        store = self._stores.embeddings
        known = store.get(space, [digest]).get(digest)
        if known is not None and is_sound(known):
            return known
        vector = embedder_for_questions(self._stores.settings.embedding, space).vector(query)
        with suppress(sqlite3.Error):  # on a full disk it is bought again the next time
            store.put_soon(space, digest, vector)
        return vector

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
        settings = self._stores.settings.embedding.with_timeout(_PATIENCE)
        embedder: Embedder = OpenAIEmbedder(settings, None, retries=0)
        with closing(embedder):
            embedder.check()


def _nearest(vector: Vector, vectors: Vectors) -> list[PassageKey]:
    return vectors.nearest(vector, 1)
