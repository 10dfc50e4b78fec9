"""How long a book may take: from one sign of life to the next, and in all."""

import os
import select
from collections.abc import Callable, Iterator
from math import inf
from time import monotonic
from typing import IO

from bookbrain.errors import InputError
from bookbrain.wording import fill

_CHUNK = 1 << 20
_PAGES = 500  # for which a book gets the time of one sign of life more
_MOST = 15  # times the time of one sign of life, whatever a file says of its pages


def whole_book(timeout: float, pages: int) -> float:
    """Seconds that reading a book of so many pages may take where a page may take `timeout`."""
    return timeout * min(2 + pages / _PAGES, _MOST)


class Deadlines:
    """Those of the book that is worked on now, by time.monotonic.

    Where what follows its reading is included, it may take twice as long, and be quiet meanwhile.
    """

    def __init__(self, timeout: float, *, all_of_it: bool = False) -> None:
        self._timeout = 2 * timeout if all_of_it else timeout
        self._quiet = inf if all_of_it else timeout
        self._begun = monotonic()
        self._seconds = whole_book(self._timeout, 0)
        self._heard = self._begun

    def hear(self, pages: int | None = None) -> None:
        """Note a sign of life, and how many pages the book has, where it says so."""
        self._heard = monotonic()
        if pages:
            self._seconds = whole_book(self._timeout, pages)

    @property
    def next(self) -> float:
        """When it is given up."""
        return min(self._heard + self._quiet, self._begun + self._seconds)

    @property
    def error(self) -> InputError:
        """Why it is given up, once it is."""
        hint = "If the file is good, raise BOOKBRAIN_READ_TIMEOUT."
        if self._heard + self._quiet <= self._begun + self._seconds:
            return InputError(
                fill("reading it made no progress for {seconds:g} seconds", seconds=self._quiet),
                hint,
            )
        return InputError(
            fill("reading it takes longer than {seconds:g} seconds in all", seconds=self._seconds),
            hint,
        )


def lines_until(pipe: IO[bytes], deadline: Callable[[], float], most: int) -> Iterator[bytes]:
    """The whole lines that come out of a pipe, in which nothing may be buffered.

    Raises TimeoutError after the `deadline`, OverflowError after `most` bytes.
    """
    begun: list[bytes] = []
    received = 0
    while True:
        left = deadline() - monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise TimeoutError
        chunk = os.read(pipe.fileno(), _CHUNK)
        received += len(chunk)
        if received > most:
            raise OverflowError
        if not chunk:
            return
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for line in others:
            yield b"".join(begun)
            begun = [line]
