"""Vectors for search: one Chroma collection a space, always through a server. Chroma's home."""

import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache, partial
from hashlib import sha256
from typing import Any, TypeVar

import httpx
import numpy as np
from chromadb import AsyncHttpClient
from chromadb.api import AsyncClientAPI
from chromadb.api.collection_configuration import CreateCollectionConfiguration
from chromadb.api.models.AsyncCollection import AsyncCollection
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.config import Settings
from chromadb.errors import ChromaError, NotFoundError
from numpy.typing import NDArray

from bookbrain.errors import UnavailableError
from bookbrain.messages import fill
from bookbrain.model import EmbeddingSpace
from bookbrain.remote import Service, quotable, run
from bookbrain.settings import ChromaSettings
from bookbrain.store.embeddings import Vector

CHUNKER_VERSION = 1  # of formats/text.py: other passages are other vectors
PassageKey = tuple[str, int]  # book id, ordinal
_BATCH = 200  # passages; Chroma's cloud takes and gives 300 at once
_PATIENCE = 2.0  # seconds that a server may take to show that it lives, where a person waits
_OPENING_SECONDS = 15.0  # the same for work, on a machine that may be busy
_SEARCH_SECONDS = 1.5  # for the candidates of a search, or their number
_ALONE = 20.0  # the same where nobody else is held up
_WRITE_SECONDS = 300.0  # for a batch; Chroma's client itself waits for ever
_NOT_LET_IN = (401, 403)
_SILENT = (httpx.HTTPError, httpx.InvalidURL, ConnectionError, TimeoutError)
_PLACES = 8  # for searches
_PAUSE = 10.0  # seconds without it, when it does not answer searches
T = TypeVar("T")
_CONFIGURATION: CreateCollectionConfiguration = {
    "hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 24}
}


class Vectors:
    """The collection of one embedding space on a Chroma `server`.

    Every method raises UnavailableError when the server does not answer in time. Distances are for
    choosing candidates only: Chroma's index is approximate, the caller scores exactly.
    """

    def __init__(self, server: ChromaSettings, space: EmbeddingSpace) -> None:
        _bypass_proxy()
        self._server = server
        self._space = space
        self._name = collection_name(space)
        self._opened: AsyncCollection | None = None

    def open(self) -> None:
        """Have the collection made where there is none yet."""
        check_server(self._server, _OPENING_SECONDS)
        self._run(self._collection)

    def count(self, *, soon: bool = False) -> int:
        """How many passages the collection holds."""
        return self._run(self._count, soon=soon)

    def put(self, book_id: str, digests: Mapping[int, str], vectors: Mapping[str, Vector]) -> None:
        """Have those of the vectors, by digest, that a book's passages have, and no others of it.

        What is there stays: to write a vector again would cost Chroma's graph links.
        """
        there = self._run(partial(self._digests, book_id))
        wanted = {f"{book_id}:{n}": d for n, d in sorted(digests.items()) if d in vectors}
        gone = sorted(there.keys() - wanted.keys())
        for start in range(0, len(gone), _BATCH):
            self._run(partial(self._delete, gone[start : start + _BATCH]))
        new = [name for name, digest in wanted.items() if there.get(name) != digest]
        for start in range(0, len(new), _BATCH):
            some = {name: wanted[name] for name in new[start : start + _BATCH]}
            self._run(partial(self._put, book_id, some, vectors))

    async def _digests(self, book_id: str) -> dict[str, object]:
        """What the passages are of that are there; "" of one that an old release put there."""
        collection = await self._collection()
        there: dict[str, object] = {}
        while True:
            found = await collection.get(
                where={"book": book_id}, include=["metadatas"], limit=_BATCH, offset=len(there)
            )
            said = found["metadatas"] or []
            there |= {
                i: (of or {}).get("digest", "") for i, of in zip(found["ids"], said, strict=True)
            }
            if len(found["ids"]) < _BATCH:
                return there

    async def _delete(self, names: list[str]) -> None:
        await (await self._collection()).delete(ids=names)

    async def _put(
        self, book_id: str, digests: Mapping[str, str], vectors: Mapping[str, Vector]
    ) -> None:
        await (await self._collection()).upsert(
            ids=list(digests),
            embeddings=[_for_chroma(vectors[digest]) for digest in digests.values()],
            metadatas=[{"book": book_id, "digest": digest} for digest in digests.values()],
        )

    def remove_book(self, book_id: str) -> None:
        """Remove the vectors of a book; none there is fine."""

        async def remove() -> None:
            await (await self._collection()).delete(where={"book": book_id})

        self._run(remove)

    def clear(self) -> None:
        """Drop the whole collection and begin an empty one."""

        async def clear() -> None:
            await (await _client(self._server)).delete_collection(self._name)
            self._opened = None
            await self._collection()

        self._run(clear)

    def drop_space(self, space: EmbeddingSpace) -> None:
        """Drop the collection of another space; none there is fine."""

        async def drop() -> None:
            try:
                await (await _client(self._server)).delete_collection(collection_name(space))
            except NotFoundError:
                return

        self._run(drop)

    def nearest(self, vector: Vector, count: int, *, soon: bool = False) -> list[PassageKey]:
        """The passages nearest to `vector` by cosine, nearest first, as far as HNSW sees."""
        return self._run(lambda: self._nearest(vector, count), soon=soon)

    def _run(self, request: Callable[[], Coroutine[Any, Any, T]], *, soon: bool = False) -> T:
        """The answer; `soon` or never where a person waits for it, who gets a BusyError else."""
        with _chroma_errors(self._server):
            if soon:
                return _service(self._server).ask(
                    request, lambda answer: answer, _SEARCH_SECONDS, alone=_ALONE, late=True
                )
            return run(request, _WRITE_SECONDS)

    async def _collection(self) -> AsyncCollection:
        if self._opened is None:
            self._opened = await (await _client(self._server)).get_or_create_collection(
                self._name,
                metadata={"space": str(self._space), "chunker": CHUNKER_VERSION},
                configuration=_CONFIGURATION,
                embedding_function=None,
            )
        return self._opened

    async def _count(self) -> int:
        return await (await self._collection()).count()

    async def _nearest(self, vector: Vector, count: int) -> list[PassageKey]:
        answer = await (await self._collection()).query(
            query_embeddings=[_for_chroma(vector)], n_results=count, include=["distances"]
        )
        return [_key(name) for name in answer["ids"][0]]


def check_server(server: ChromaSettings, seconds: float = _PATIENCE) -> None:
    """Raise UnavailableError when Chroma does not answer in so long, or not to searches."""
    base = _url(server).rstrip("/").removesuffix("/api/v2")

    async def beat() -> None:
        address = f"{base}/api/v2/heartbeat"
        async with _prober().stream("GET", address, headers=_headers(server)) as answer:
            if answer.is_server_error or answer.status_code in _NOT_LET_IN:  # by a proxy before it
                answer.raise_for_status()

    with _chroma_errors(server):
        run(beat, seconds)
    if _service(server).rests:
        raise _unavailable(fill("Chroma at {url} does not answer.", url=_url(server)))


@cache
def _prober() -> httpx.AsyncClient:
    _bypass_proxy()
    return httpx.AsyncClient(timeout=_OPENING_SECONDS)


@lru_cache(maxsize=16)  # our own server has another port each time
def _service(server: ChromaSettings) -> Service:
    return Service(f"Chroma ({_url(server)})", _PLACES, pause=_PAUSE, failure=TimeoutError)


_clients: dict[ChromaSettings, AsyncClientAPI] = {}


async def _client(server: ChromaSettings) -> AsyncClientAPI:
    """The client of the process, which has one event loop for all of them."""
    if server not in _clients:
        settings = Settings(anonymized_telemetry=False, chroma_server_ssl_verify=True)
        with ExitStack() as failed:
            failed.callback(_forget, settings)
            _clients[server] = await AsyncHttpClient(
                host=_url(server), port=_port(_url(server)), headers=_headers(server),
                settings=settings, tenant=server.tenant, database=server.database,
            )  # fmt: skip
            failed.pop_all()
    return _clients[server]


def _forget(settings: Settings) -> None:
    """Remove what chromadb keeps for ever of a client that could not be made. Others may be made at
    the same time: it is known by its own `settings`."""
    systems = SharedSystemClient._identifier_to_system
    for name in [name for name, system in systems.items() if system.settings is settings]:
        systems.pop(name, None)
        SharedSystemClient._identifier_to_refcount.pop(name, None)


def _url(server: ChromaSettings) -> str:
    return server.url or ""


def _headers(server: ChromaSettings) -> dict[str, str]:
    """Chroma's cloud looks at the first, a proxy before a server at the other."""
    if not server.token:
        return {}
    return {"X-Chroma-Token": server.token, "Authorization": f"Bearer {server.token}"}


def collection_name(space: EmbeddingSpace) -> str:
    """The collection of a space and of the way that passages are cut."""
    digest = sha256(f"{space}|{CHUNKER_VERSION}".encode()).hexdigest()
    return f"bookbrain-{digest[:24]}"


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
def _chroma_errors(server: ChromaSettings) -> Iterator[None]:
    try:
        yield
    except (*_SILENT, ChromaError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise _failure(server, error) from error
    except Exception as error:
        if type(error) is Exception:  # the client's, of what a proxy answers
            raise _failure(server, error) from error
        raise


def _failure(server: ChromaSettings, error: Exception) -> UnavailableError:
    """What is said of an error of the client, which is often but a cover of what went wrong."""
    url, causes = _url(server), [*_causes(error)]
    if any("CERTIFICATE_VERIFY_FAILED" in str(cause) for cause in causes):
        return UnavailableError(
            fill("The certificate of Chroma at {url} is signed by nobody known here.", url=url),
            "Name the file with the certificate of its signer in SSL_CERT_FILE.",
        )
    if any(_refused(cause) for cause in causes):
        return UnavailableError(
            fill("Chroma at {url} does not accept the token.", url=url), "Set CHROMA_TOKEN."
        )
    if isinstance(error, _SILENT) or "Could not connect" in str(error):  # a bare ValueError
        return _unavailable(fill("Chroma at {url} does not answer.", url=url))
    reason = quotable(str(error)) or type(error).__name__
    return _unavailable(fill("Chroma at {url} fails: {error}.", url=url, error=reason))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _refused(error: BaseException) -> bool:
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in _NOT_LET_IN


def _unavailable(message: str) -> UnavailableError:
    return UnavailableError(
        message,
        "Start it, or mend CHROMA_URL; then run `bookbrain add` again: it goes on from here.",
    )
