"""The child process that buys embeddings: its order comes on stdin.

Several requests are under way at once. It outlives the command that started it: when that one is
killed, they are still received, paid for and kept, and only then does this process end; the next
command finds the vectors instead of buying them again. One such process works at a time.

Prints JSON lines: `{"done": n}` after each request, at last `{"refused": …, "tokens": n}` or
`{"error": message, "hint": hint, "quoted": part, "kind": class, "tokens": n}`.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Self

from bookbrain.errors import BookBrainError
from bookbrain.files import file_lock
from bookbrain.messages import as_row, packed
from bookbrain.model import EmbeddingSpace, text_digest
from bookbrain.models import Embedder, Purchase
from bookbrain.models.local_model import LocalEmbedder
from bookbrain.models.openai_api import OpenAIEmbedder, refuses_everything
from bookbrain.models.paced_client import AT_ONCE
from bookbrain.paths import LibraryPaths
from bookbrain.settings import EmbeddingSettings
from bookbrain.store.embeddings import EmbeddingStore, Vector

# OpenAI takes 2,048 inputs and 300,000 tokens; small requests lose less when one fails.
_BATCH_TEXTS = 128
_BATCH_BYTES = 600_000
_LOCAL_TEXTS = 16  # some seconds of work: what a kill may cost


def main() -> None:
    try:
        _print(_answer(json.load(sys.stdin)))
    except BrokenPipeError:  # nobody waits any more; what was bought is kept
        os._exit(0)


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    """What became of the order; raises what `_buy` does, but for BookBrainErrors."""
    settings = EmbeddingSettings(**order["settings"])
    purchase = Purchase()
    try:
        with file_lock(LibraryPaths(Path(order["home"])).purchase_lock):
            _buy(Path(order["home"]), settings, order["texts"], purchase)
    except BookBrainError as error:
        said = {"error": packed(error.message), "hint": packed(error.hint), "quoted": error.quoted}
        return {**said, "kind": type(error).__name__, "tokens": purchase.tokens}
    refused = {digest: as_row(reason) for digest, reason in purchase.refused.items()}
    return {"refused": refused, "tokens": purchase.tokens}


def _buy(home: Path, settings: EmbeddingSettings, texts: Sequence[str], purchase: Purchase) -> None:
    """Embed those of the texts that the store does not have; each answer is kept at once.

    Whatever ends it early, what is under way is received first. BrokenPipeError when nobody hears.
    """
    store = EmbeddingStore(LibraryPaths(home).embeddings)
    dimensions = settings.expected_dimensions or store.own_dimensions(settings.model)
    embedder = _embedder(home, settings, dimensions)
    wanted = _wanted(store, settings.model, dimensions, texts)

    def keep(vectors: dict[str, Vector]) -> None:
        if dimensions is None and embedder.dimensions:
            store.set_own_dimensions(settings.model, embedder.dimensions)
        size = next(iter(vectors.values())).size
        space = EmbeddingSpace(settings.model, size)
        store.put(space, {text_digest(text): vector for text, vector in vectors.items()})

    def buy(batch: Sequence[str]) -> None:
        with reserve.room_for(len(batch) * (embedder.dimensions or 4096) * 4) as free:

            def keep_there(vectors: dict[str, Vector]) -> None:
                free()
                keep(vectors)

            embedder.embed(batch, purchase, keep_there)

    most, at_once = (_LOCAL_TEXTS, 1) if settings.is_local else (_BATCH_TEXTS, AT_ONCE)
    done = 0
    with _Reserve(LibraryPaths(home).purchase_reserve) as reserve, ExitStack() as end:
        threads = end.enter_context(ThreadPoolExecutor(at_once))
        end.callback(threads.shutdown, wait=False, cancel_futures=True)
        sizes = {threads.submit(buy, batch): len(batch) for batch in _batches(wanted, most)}
        for bought in as_completed(sizes):
            bought.result()
            done += sizes[bought]
            _print({"done": done, "total": len(wanted), "tokens": purchase.tokens})
    if len(purchase.refused) > 1 and not purchase.embedded:
        raise refuses_everything(next(iter(purchase.refused.values())))


def _embedder(home: Path, settings: EmbeddingSettings, dimensions: int | None) -> Embedder:
    if settings.is_local:
        return LocalEmbedder(home, settings)
    return OpenAIEmbedder(settings, dimensions)


def _wanted(
    store: EmbeddingStore, model: str, dimensions: int | None, texts: Sequence[str]
) -> list[str]:
    by_digest = {text_digest(text): text for text in texts}
    if dimensions is None:
        return list(by_digest.values())
    return [by_digest[d] for d in store.missing(EmbeddingSpace(model, dimensions), by_digest)]


def _batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) == most or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch


class _Reserve:
    """Disk space that is set aside for answers before money is spent on them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)

    @contextmanager
    def room_for(self, size: int) -> Iterator[Callable[[], None]]:
        """Room for vectors of so many bytes, until the block ends or the function is called, just
        before they are written. OSError when there is none."""
        room = 3 * size + 1_000_000  # row, write-ahead log, indexes
        self._add(room)
        held = [room]

        def free() -> None:
            while held:
                self._add(-held.pop())

        try:
            yield free
        finally:
            free()

    def _add(self, size: int) -> None:
        with self._lock:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                if size > 0:
                    os.posix_fallocate(descriptor, 0, self._size + size)
                else:
                    os.ftruncate(descriptor, self._size + size)
            finally:
                os.close(descriptor)
            self._size += size


def _print(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
