"""The child process that buys embeddings: its order comes on stdin.

It outlives the command that started it. When that one is killed, the request under way is still
received, paid for and kept, and only then does this process end: the next command finds the vectors
instead of buying them again. One such process works at a time.

Prints JSON lines: `{"done": n}` after each request, at last `{"refused": …, "tokens": n}` or
`{"error": message, "hint": hint, "quoted": part, "kind": class}`.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bookbrain.errors import BookBrainError
from bookbrain.files import file_lock
from bookbrain.messages import as_row, packed
from bookbrain.model import EmbeddingSpace, text_digest
from bookbrain.models import Embedder, Purchase
from bookbrain.models.openai_api import OpenAIEmbedder, refuses_everything
from bookbrain.paths import LibraryPaths
from bookbrain.settings import EmbeddingSettings
from bookbrain.store.embeddings import EmbeddingStore, Vector

# OpenAI takes 2,048 inputs and 300,000 tokens; small requests lose less when one fails.
_BATCH_TEXTS = 128
_BATCH_BYTES = 600_000


def main() -> None:
    order = json.load(sys.stdin)
    settings = EmbeddingSettings(**order["settings"])
    try:
        with file_lock(LibraryPaths(Path(order["home"])).purchase_lock):
            purchase = _buy(Path(order["home"]), settings, order["texts"])
    except BookBrainError as error:
        said = {"error": packed(error.message), "hint": packed(error.hint), "quoted": error.quoted}
        _print({**said, "kind": type(error).__name__})
        return
    refused = {digest: as_row(reason) for digest, reason in purchase.refused.items()}
    _print({"refused": refused, "tokens": purchase.tokens})


def _buy(home: Path, settings: EmbeddingSettings, texts: Sequence[str]) -> Purchase:
    """Embed those of the texts that the store does not have; each answer is kept at once."""
    store = EmbeddingStore(LibraryPaths(home).embeddings)
    dimensions = settings.expected_dimensions or store.own_dimensions(settings.model)
    embedder: Embedder = OpenAIEmbedder(settings, dimensions)
    purchase = Purchase()
    wanted = _wanted(store, settings.model, dimensions, texts)
    done = 0

    def keep(vectors: dict[str, Vector]) -> None:
        LibraryPaths(home).purchase_reserve.unlink(missing_ok=True)
        if dimensions is None and embedder.dimensions:
            store.set_own_dimensions(settings.model, embedder.dimensions)
        size = next(iter(vectors.values())).size
        space = EmbeddingSpace(settings.model, size)
        store.put(space, {text_digest(text): vector for text, vector in vectors.items()})

    for batch in _batches(wanted):
        _reserve(home, len(batch) * (embedder.dimensions or 4096) * 4)
        embedder.embed(batch, purchase, keep)
        done += len(batch)
        _print({"done": done, "total": len(wanted), "tokens": purchase.tokens})
    LibraryPaths(home).purchase_reserve.unlink(missing_ok=True)
    if len(purchase.refused) > 1 and not purchase.embedded:
        raise refuses_everything(next(iter(purchase.refused.values())))
    return purchase


def _wanted(
    store: EmbeddingStore, model: str, dimensions: int | None, texts: Sequence[str]
) -> list[str]:
    by_digest = {text_digest(text): text for text in texts}
    if dimensions is None:
        return list(by_digest.values())
    return [by_digest[d] for d in store.missing(EmbeddingSpace(model, dimensions), by_digest)]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) == _BATCH_TEXTS or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch


def _reserve(home: Path, size: int) -> None:
    """Set disk space aside for an answer before money is spent on it; OSError when there is none.

    The space is freed just before the answer is written.
    """
    descriptor = os.open(LibraryPaths(home).purchase_reserve, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, 3 * size + 1_000_000)  # row, write-ahead log, indexes
    finally:
        os.close(descriptor)


def _print(line: dict[str, Any]) -> None:
    try:
        print(json.dumps(line), flush=True)  # noqa: T201
    except BrokenPipeError:  # nobody waits any more; what was bought is kept
        os._exit(0)


if __name__ == "__main__":
    main()
