"""Having texts embedded by the child process that survives us."""

import json
import logging
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bookbrain import errors
from bookbrain.errors import BookBrainError
from bookbrain.log import Event
from bookbrain.messages import fill, unpacked
from bookbrain.models import Purchase
from bookbrain.processes import describe_exit, end, start_module
from bookbrain.settings import EmbeddingSettings

Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


def embed_texts(
    home: Path,
    settings: EmbeddingSettings,
    texts: Sequence[str],
    progress: Progress = lambda done, total: None,
) -> Purchase:
    """Put the vectors of all texts into the store, buying only those that it does not have.

    Raises what `Embedder.embed` raises, and OSError when the disk is full.
    """
    child = start_module(
        "bookbrain.models.purchase_child", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin and child.stdout and child.stderr  # noqa: S101  (pipes were asked for)
    order = {"home": str(home), "settings": asdict(settings), "texts": list(texts)}
    last: dict[str, Any] = {}
    tokens = 0
    with child.stdin as stdin:
        stdin.write(json.dumps(order).encode())
    with child.stdout as stdout, child.stderr as stderr:
        for line in stdout:
            last = json.loads(line)
            tokens = last.get("tokens", tokens)
            if "done" in last:
                progress(last["done"], last["total"])
        complaint = stderr.read().decode(errors="replace")
    code = end(child, grace=5) if child.poll() is None else child.returncode
    log_bill(settings, tokens)
    if "error" in last:
        kind = getattr(errors, last["kind"], BookBrainError)
        raise kind(unpacked(last["error"]), unpacked(last["hint"]), quoted=last["quoted"])
    if "refused" not in last:
        raise _failed(code, complaint)
    return Purchase(tokens=last["tokens"], refused=last["refused"])


def log_bill(settings: EmbeddingSettings, tokens: int) -> None:
    """Tell the journal what was paid for, passages or a question."""
    price = settings.dollars_per_million_tokens
    dollars = None if price is None else tokens * price / 1e6
    if tokens:
        event = Event(event="embed", tokens=tokens, dollars=dollars)
        _log.info("embedded tokens=%d", tokens, extra={"fields": event})


def _failed(code: int, complaint: str) -> Exception:
    reason = complaint.strip().splitlines()[-1] if complaint.strip() else describe_exit(code)
    if "No space left" in reason or "disk is full" in reason:
        return OSError(28, "No space left on device")
    return BookBrainError(
        fill("Embedding ended before its time: {reason}.", reason=reason),
        "Run `bookbrain add` again.",
        quoted=reason,
    )
