"""How the app is, in one word."""

import asyncio
import logging
from time import monotonic
from typing import Literal

from bookbrain.config import Settings
from bookbrain.errors import BookBrainError
from bookbrain.threads import in_thread
from bookbrain.web.shelf import Shelf

Word = Literal["ok", "degraded", "down"]

PROBE = "준비 ready"  # Hangul and English: it takes every part of the analyzer
_FRESH = 1.0  # seconds that an answer is kept
_PATIENCE = 5.0  # seconds that a check may take

_log = logging.getLogger(__name__)


class Health:
    """`ok` when a keyword search works, `degraded` when only search by meaning does not, `down`.

    It has a library of its own, so that a busy shelf is not taken for a broken one, and never calls
    the embedding endpoint: it knows what became of the searches that did.
    """

    def __init__(self, settings: Settings) -> None:
        self._shelf = Shelf(settings, most=1)
        self._word: Word = "ok"
        self._fresh_until = 0.0
        self._check: asyncio.Task[None] | None = None

    async def word(self) -> Word:
        """The state, at most a second old; `down` when it cannot be found out in five more."""
        if monotonic() >= self._fresh_until and (self._check is None or self._check.done()):
            self._check = asyncio.create_task(self._renew())
        if self._check and not self._check.done():
            await asyncio.wait({self._check}, timeout=_PATIENCE)
            if not self._check.done():
                return "down"
        return self._word

    def close(self) -> None:
        self._shelf.close()

    async def _renew(self) -> None:
        word, reason = await in_thread(self._ask)
        if word != self._word:
            level = {"ok": logging.INFO, "degraded": logging.WARNING, "down": logging.ERROR}[word]
            _log.log(level, "BookBrain is %s. %s", word, reason)
        self._word, self._fresh_until = word, monotonic() + _FRESH

    def _ask(self) -> tuple[Word, str]:
        try:
            with self._shelf.library() as library:
                library.search(PROBE, k=1, mode="keyword")
                if silent := library.silent():
                    return "degraded", f"{silent} does not answer: search is by keyword only."
        except BookBrainError as error:
            return "down", str(error)
        return "ok", ""
