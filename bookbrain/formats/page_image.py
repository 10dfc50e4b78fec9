"""The picture of a page, painted in a child process, or one clear reason why not."""

import json
import subprocess
from dataclasses import asdict, dataclass
from hashlib import sha256

from bookbrain.errors import BookBrainError
from bookbrain.messages import fill
from bookbrain.processes import PIPE, describe_exit, end, start_module

Letters = tuple[tuple[str, tuple[float, float, float, float]], ...]
_PAINTER = 1  # counts the ways in which pages were painted
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
        try:
            child = start_module("bookbrain.formats.page_image_child", stdin=PIPE, stdout=PIPE)
        except OSError as error:
            raise BookBrainError(
                fill("This page cannot be painted ({reason}).", reason=error.strerror), _HINT
            ) from error
        try:
            png, _ = child.communicate(json.dumps(asdict(self)).encode(), self.timeout)
        except subprocess.TimeoutExpired as error:
            raise BookBrainError(
                fill(
                    "This page takes longer than {seconds:g} seconds to paint.",
                    seconds=self.timeout,
                ),
                _HINT,
            ) from error
        finally:
            end(child)
            for pipe in (child.stdin, child.stdout):
                if pipe:
                    pipe.close()
        if child.returncode:
            reason = describe_exit(child.returncode)
            raise BookBrainError(
                fill("This page cannot be painted ({reason}).", reason=reason), _HINT
            )
        return png
