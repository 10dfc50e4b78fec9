"""Having texts embedded by the child process that survives us."""

import json
import logging
import os
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


class PurchaseUnderWay:
    """Texts whose vectors a child process puts into the store, while we do something else; it buys
    only those that are not there."""

    def __init__(self, home: Path, settings: EmbeddingSettings, texts: Sequence[str]) -> None:
        self._settings = settings
        order = {"home": str(home), "settings": asdict(settings), "texts": list(texts)}
        with open(os.memfd_create("order"), "w+b") as stdin:  # it holds a key: no file
            stdin.write(json.dumps(order).encode())
            stdin.seek(0)
            self._child = start_module(
                "bookbrain.models.purchase_child", stdin=stdin, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )  # fmt: skip

    def close(self) -> None:
        """Let the child end after what is under way; nothing where it has ended."""
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe:
                pipe.close()

    def end(self, progress: Progress) -> tuple[Purchase, Exception | None]:
        """What became of the texts, at its end, and what ended it early: an error as
        `Embedder.embed` raises, or OSError when the disk is full."""
        child = self._child
        assert child.stdout and child.stderr  # noqa: S101  (pipes were asked for)
        last: dict[str, Any] = {}
        tokens = 0
        with child.stdout as stdout, child.stderr as stderr:
            for line in stdout:
                last = json.loads(line)
                tokens = last.get("tokens", tokens)
                if "done" in last:
                    progress(last["done"], last["total"])
            complaint = stderr.read().decode(errors="replace")
        code = end(child, grace=5) if child.poll() is None else child.returncode
        log_bill(self._settings, tokens)
        purchase = Purchase(tokens=tokens, refused=last.get("refused", {}))
        if "error" in last:
            kind = getattr(errors, last["kind"], BookBrainError)
            error = kind(unpacked(last["error"]), unpacked(last["hint"]), quoted=last["quoted"])
            return purchase, error
        return purchase, None if "refused" in last else _failed(code, complaint)


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
