"""The picture of a page, painted in a child process, or one clear reason why not."""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from threading import Lock
from time import monotonic
from typing import Any

from bookbrain.errors import BookBrainError
from bookbrain.formats.fork_server import ForkError, ForkServer
from bookbrain.messages import fill
from bookbrain.processes import describe_exit

Letters = tuple[tuple[str, tuple[float, float, float, float]], ...]
_PAINTER = 2  # counts the ways in which pages were painted
_MOST_BYTES = 100_000_000  # of a picture
_HINT = "Open the PDF itself."


@dataclass(frozen=True, slots=True)
class Picture:
    """Page `number` of the PDF at `path`, `width` pixels wide, not painted yet.

    `marks` (start, end) of the page's `text` are highlighted where they stand on it. Where the text
    is, or ends in, `words` that were read from the picture, these have the places of their letters:
    left, bottom, right, top, in the page's own points. Painting is given up after `timeout` seconds
    or at `memory_mb` MiB.
    """

    path: str
    number: int
    width: int
    text: str
    marks: tuple[tuple[int, int], ...]
    timeout: float
    memory_mb: int
    words: tuple[Letters, ...] = ()

    @property
    def digest(self) -> str:
        """Pictures with the same digest look the same, where a path means the same file."""
        shown = (_PAINTER, self.path, self.number, self.width, self.text, self.marks, self.words)
        return sha256(repr(shown).encode()).hexdigest()

    def paint(self) -> bytes:
        """A PNG; without marks where the page does not read as the text does.

        Raises BookBrainError when there is no picture.
        """
        return _answer(asdict(self), self.timeout)


Box = tuple[float, float, float, float]  # left, top, right, bottom; shares of the page's sides


@dataclass(frozen=True, slots=True)
class Places:
    """The size of a page in points, and for each span of its text the boxes where it stands."""

    size: tuple[float, float]
    boxes: tuple[tuple[Box, ...], ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Page `number` of the PDF at `path`, of whose `text` the places of `spans` (start, end) are to
    be found; all else is as `Picture` has it."""

    path: str
    number: int
    text: str
    spans: tuple[tuple[int, int], ...]
    timeout: float
    memory_mb: int
    words: tuple[Letters, ...] = ()

    @property
    def digest(self) -> str:
        """Sheets with the same digest have the same places, where a path means the same file."""
        asked = (self.path, self.number, self.text, self.spans, self.words)
        return sha256(repr(asked).encode()).hexdigest()

    def find(self) -> Places:
        """A box for each line of each span; none where the page does not read as the text does.

        Raises BookBrainError when the page cannot be opened.
        """
        found = json.loads(_answer(asdict(self), self.timeout))
        boxes = tuple(tuple((a, b, c, d) for a, b, c, d in one) for one in found["boxes"])
        across, down = found["size"]
        return Places((across, down), boxes)


def _answer(request: dict[str, Any], timeout: float) -> bytes:
    """What the child makes of a request; BookBrainError when it makes nothing."""
    deadline = monotonic() + timeout
    forks = _taken()
    try:
        lines = [*forks.lines(request, lambda: deadline, _MOST_BYTES)]
    except TimeoutError as error:
        raise BookBrainError(
            fill("This page takes longer than {seconds:g} seconds to paint.", seconds=timeout),
            _HINT,
        ) from error
    except (ForkError, OSError, OverflowError) as error:
        reason = describe_exit(error.code) if isinstance(error, ForkError) else str(error)
        raise BookBrainError(
            fill("This page cannot be painted ({reason}).", reason=reason), _HINT
        ) from error
    finally:
        _give_back(forks)
    return b"\n".join(lines)


_idle: list[ForkServer] = []
_changing = Lock()


def _taken() -> ForkServer:
    """A child that paints nothing just now, to be given back."""
    with _changing:
        return _idle.pop() if _idle else ForkServer("bookbrain.formats.page_image_child")


def _give_back(forks: ForkServer) -> None:
    """One waits for the next page: that takes half of the time of the next picture away."""
    with _changing:
        if not _idle:
            _idle.append(forks)
            return
    forks.close()
