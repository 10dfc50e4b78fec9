"""The picture of a page as an engine wants it: grey, upright, straight, with the way back to it.

It is made in a child process: a hostile PDF can crash or fill that, and nothing else.
"""

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from bookbrain.errors import BookBrainError
from bookbrain.messages import fill
from bookbrain.processes import Bounds, describe_exit, module_command, run_in_bounds

# (a, b, c, d, e, f): pixel (x, y) of the picture is the point (ax + cy + e, bx + dy + f) of the
# page's own coordinates, whatever its rotation and crop.
Matrix = tuple[float, float, float, float, float, float]
VERSION = 1  # counts the ways in which such pictures were made
MOST_PIXELS = 24_000_000
LEAST_INK = 12  # pixels of a quarter's size: a letter has more
INK_LEVELS = 40  # of 255, by which ink is darker than the paper around it
_TILE = 32  # pixels of a smaller picture, for which the paper has one level
INK_STEP = 4  # pixels a side of which are one of ink
Grey = NDArray[np.uint8]
Ink = NDArray[np.bool_]
Levels = NDArray[np.float64]
_MOST_BYTES = MOST_PIXELS + 10_000
_HINT = "Look at the page in the PDF itself."


class UnreadPageError(BookBrainError):
    """This page could not be read; the message is the reason. The next one may do better."""


@dataclass(frozen=True, slots=True)
class ScanPicture:
    """A grey picture in PGM's form (P5, a byte a pixel); `ink` is where its ink is, as `ink_of`.

    An `idle` one is read where nobody else wants the processor.
    """

    pgm: bytes
    dpi: float
    matrix: Matrix
    ink: Ink
    idle: bool = False

    @property
    def blank(self) -> bool:
        """Whether nothing is on it that could be a letter."""
        return bool(self.ink.sum() < LEAST_INK)


@dataclass(frozen=True, slots=True)
class PageScan:
    """Page `number` of the PDF at `path`, not painted yet.

    Its picture is turned clockwise by `turned` degrees (0, 90, 180, 270) more than the PDF says.
    Painting is given up after `timeout` seconds or at `memory_mb` MiB; an `idle` one as `Bounds`
    has it.
    """

    path: str
    number: int
    timeout: float = 60.0
    memory_mb: int = 1024
    turned: int = 0
    idle: bool = False

    def paint(self) -> ScanPicture:
        """The picture, of 300 dots an inch, or fewer on a large page.

        Raises UnreadPageError.
        """
        try:
            done = run_in_bounds(
                module_command("bookbrain.ocr.page_scan_child"),
                json.dumps(asdict(self)).encode(),
                Bounds(self.timeout, self.memory_mb, _MOST_BYTES, self.idle),
                variables={"OPENBLAS_NUM_THREADS": "1"},  # numpy's threads would fill its memory
            )
        except TimeoutError as error:
            reason = fill("it takes longer than {seconds:g} seconds to paint", seconds=self.timeout)
            raise UnreadPageError(reason, _HINT) from error
        except OverflowError as error:
            raise UnreadPageError("its picture is too large", _HINT) from error
        if done.code:
            reason = fill("it cannot be painted ({reason})", reason=describe_exit(done.code))
            raise UnreadPageError(reason, _HINT)
        head, _, pgm = done.stdout.partition(b"\n")
        try:
            told = json.loads(head)
            a, b, c, d, e, f = map(float, told["matrix"])
            matrix, ink = (a, b, c, d, e, f), _ink_of_pgm(pgm)
            return ScanPicture(pgm, float(told["dpi"]), matrix, ink, self.idle)
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadPageError("its picture cannot be used", _HINT) from error


def _ink_of_pgm(pgm: bytes) -> Ink:
    form, size, most, pixels = pgm.split(b"\n", 3)
    width, height = map(int, size.split())
    if (form, most) != (b"P5", b"255"):
        raise ValueError("it is no PGM of bytes")
    return ink_of(np.frombuffer(pixels, np.uint8).reshape(height, width))


def ink_of(pixels: Grey) -> Ink:
    """Where something darker than the paper around it is, at a quarter of the size.

    Light that falls off to one side, and paper that is not white, are no ink.
    """
    small = smaller(pixels, INK_STEP)
    return np.asarray(small < paper_of(small) - INK_LEVELS)


def smaller(pixels: Grey, step: int) -> Levels:
    """The means of squares of so many pixels a side; one white pixel for a picture with less."""
    height, width = (side // step * step for side in pixels.shape)
    if not height or not width:
        return np.full((1, 1), 255.0)
    parts = pixels[:height, :width].reshape(height // step, step, width // step, step)
    return np.asarray(parts.mean((1, 3)))


def paper_of(levels: Levels) -> Levels:
    """The level of the paper around each pixel."""
    down, across = (-(-side // _TILE) for side in levels.shape)
    padding = ((0, down * _TILE - levels.shape[0]), (0, across * _TILE - levels.shape[1]))
    tiles = np.pad(levels, padding, mode="edge").reshape(down, _TILE, across, _TILE)
    paper = np.percentile(tiles, 90, axis=(1, 3))
    whole = np.repeat(np.repeat(paper, _TILE, 0), _TILE, 1)
    return np.asarray(whole[: levels.shape[0], : levels.shape[1]])
