"""Vectors for search: one Chroma collection a space, always through a server. Chroma's home."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256

import httpx
import numpy as np
from chromadb import Collection, HttpClient
from chromadb.api.collection_configuration import CreateCollectionConfiguration
from chromadb.config import Settings
from chromadb.errors import ChromaError, NotFoundError
from numpy import linalg
from numpy.typing import NDArray

from bookbrain.errors import UnavailableError
from bookbrain.index.embeddings import Vector
from bookbrain.model import EmbeddingSpace

CHUNKER_VERSION = 1  # of ingest/passages.py: other passages are other vectors

PassageKey = tuple[str, int]  # book id, ordinal

_BATCH = 200
_PATIENCE = 2.0  # seconds that a server may take to show that it lives
_CONFIGURATION: CreateCollectionConfiguration = {
    "hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 24}
}


class Vectors:
    """The collection of one embedding space on the Chroma server at `url`.

    Every method raises UnavailableError when the server does not answer. Distances are for choosing
    candidates only: Chroma's index is approximate, the caller scores exactly.
    """

    def __init__(self, url: str, space: EmbeddingSpace) -> None:
        _bypass_proxy()
        self._name = collection_name(space)
        with _chroma_errors(url):
            self._client = HttpClient(
                host=url, port=_port(url), settings=Settings(anonymized_telemetry=False)
            )
            self._collection: Collection = self._client.get_or_create_collection(
                self._name,
                metadata={"space": str(space), "chunker": CHUNKER_VERSION},
                configuration=_CONFIGURATION,
                embedding_function=None,
            )
        self._url = url

    def close(self) -> None:
        self._client.close()  # type: ignore[attr-defined]  # its interface forgets it

    def count(self) -> int:
        """How many passages the collection holds."""
        with _chroma_errors(self._url):
            return self._collection.count()

    def put(self, book_id: str, vectors: Mapping[int, Vector]) -> None:
        """Add the vectors of a book's passages, by ordinal, but for those that are there.

        A passage's vector never changes, and to write one again would cost Chroma's graph links.
        """
        ordinals = sorted(vectors)
        with _chroma_errors(self._url):
            for start in range(0, len(ordinals), _BATCH):
                names = {f"{book_id}:{n}": vectors[n] for n in ordinals[start : start + _BATCH]}
                for name in self._collection.get(ids=list(names), include=[])["ids"]:
                    del names[name]
                if names:
                    self._collection.upsert(
                        ids=list(names),
                        embeddings=[_for_chroma(vector) for vector in names.values()],
                        metadatas=[{"book": book_id}] * len(names),
                    )

    def remove_book(self, book_id: str) -> None:
        """Remove the vectors of a book; none there is fine."""
        with _chroma_errors(self._url):
            self._collection.delete(where={"book": book_id})

    def clear(self) -> None:
        """Drop the whole collection and begin an empty one."""
        with _chroma_errors(self._url):
            metadata = self._collection.metadata
            self._client.delete_collection(self._name)
            self._collection = self._client.create_collection(
                self._name,
                metadata=metadata,
                configuration=_CONFIGURATION,
                embedding_function=None,
            )

    def drop_space(self, space: EmbeddingSpace) -> None:
        """Drop the collection of another space; none there is fine."""
        with _chroma_errors(self._url):
            try:
                self._client.delete_collection(collection_name(space))
            except NotFoundError:
                return

    def nearest(self, vector: Vector, count: int) -> list[PassageKey]:
        """The passages nearest to `vector` by cosine, nearest first, as far as HNSW sees."""
        with _chroma_errors(self._url):
            answer = self._collection.query(
                query_embeddings=[_for_chroma(vector)], n_results=count, include=["distances"]
            )
        return [_key(name) for name in answer["ids"][0]]


def check_server(url: str) -> None:
    """Raise UnavailableError when Chroma does not answer soon: its client would wait for ever."""
    base = url.rstrip("/").removesuffix("/api/v2")
    with _chroma_errors(url):
        answer = _prober().get(f"{base}/api/v2/heartbeat")
        if answer.is_server_error:  # of a proxy before it
            answer.raise_for_status()


@cache
def _prober() -> httpx.Client:
    _bypass_proxy()
    return httpx.Client(timeout=_PATIENCE)


def collection_name(space: EmbeddingSpace) -> str:
    """The collection of a space and of the way that passages are cut."""
    digest = sha256(f"{space}|{CHUNKER_VERSION}".encode()).hexdigest()
    return f"bookbrain-{digest[:24]}"


def cosine(query: Vector, vectors: Sequence[Vector]) -> list[float]:
    """Cosine similarity of `query` to each vector, -1 to 1, computed exactly."""
    if not vectors:
        return []
    rows = np.stack(vectors)  # and einsum: unlike BLAS it takes each row without the others
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows)) * linalg.norm(query)
    return [float(score) for score in np.einsum("ij,j->i", rows, query) / lengths]


def _for_chroma(vector: Vector) -> "NDArray[np.float32 | np.int32]":
    return np.asarray(vector, np.float32)  # the type that Chroma's client names


def _key(name: str) -> PassageKey:
    book_id, _, ordinal = name.rpartition(":")
    return book_id, int(ordinal)


def _bypass_proxy() -> None:
    """Reach a server on this machine directly: Chroma's client obeys HTTP_PROXY, and only that."""
    past = {name for name in os.environ.get("NO_PROXY", "").split(",") if name}
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join({*past, "127.0.0.1", "localhost"})


def _port(url: str) -> int:
    parsed = httpx.URL(url)
    return parsed.port or (443 if parsed.scheme == "https" else 8000)


@contextmanager
def _chroma_errors(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, ConnectionError) as error:
        raise _unavailable(f"Chroma at {url} does not answer.") from error
    except (ChromaError, ValueError) as error:
        # The client raises a bare ValueError when it cannot connect at all.
        if "Could not connect" in str(error):
            raise _unavailable(f"Chroma at {url} does not answer.") from error
        raise _unavailable(f"Chroma at {url} fails: {error}.") from error


def _unavailable(message: str) -> UnavailableError:
    return UnavailableError(
        message,
        "Start it, or mend CHROMA_URL; then run `bookbrain add` again: it goes on from here.",
    )
