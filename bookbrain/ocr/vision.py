"""A model that reads pictures, beside tesseract: the engine that costs money.

tesseract reads each page first: boxes and confidence come from it, and the model's words come in
only where both agree. Where the model fails the page stays as tesseract read it, and counts as read
by that: it is offered to the model again. Too many failures in a row are no page's own.
"""

import logging
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Protocol

from PIL import Image

from bookbrain.errors import UnavailableError
from bookbrain.messages import fill
from bookbrain.ocr.agreement import VERSION, agreed_words
from bookbrain.ocr.engine import RecognisedPage, Substitute, bought_way
from bookbrain.ocr.page_scan import PageScan, ScanPicture, UnreadPageError
from bookbrain.ocr.tesseract import Tesseract

log = logging.getLogger(__name__)
LONGEST_SIDE = 2048  # pixels; OpenAI makes larger pictures smaller before a model sees them
_QUALITY = 75  # of JPEG, which every server takes: a quarter of a PNG's size
_LONGEST_NAME = 100  # characters of a model's name
_HOPELESS = 20  # pages in a row, and none before


class PictureReader(Protocol):
    """A model that says what is written on a picture."""

    @property
    def model(self) -> str:
        """Its name."""

    @property
    def tokens(self) -> int:
        """What was billed till now."""

    @property
    def dollars(self) -> float | None:
        """What that cost; None where the price is not known."""

    def read(self, jpeg: bytes) -> str:
        """The text, a line for each line.

        Raises UnreadPageError, with the reason, where there is none of this picture, and another
        BookBrainError where there is none of any.
        """


@dataclass(slots=True)
class VisionEngine:
    """`reader` says what is on the page, `tesseract` where, and whether it is."""

    reader: PictureReader
    tesseract: Tesseract
    name: str = "vision"
    _failures: int = 0
    _agreed: bool = False
    _lock: Lock = field(default_factory=Lock)

    @property
    def version(self) -> str:
        model = "".join(filter(str.isprintable, self.reader.model))[:_LONGEST_NAME]
        program = self.tesseract.version.rpartition("; ")[0]
        return f"{self.name} {model}; {program}; {bought_way(VERSION)}"

    def recognise(self, scan: PageScan) -> RecognisedPage | Substitute:
        """Read a page; one without a word by tesseract is not sent.

        Raises what `Tesseract.recognise` and `PictureReader.read` raise, but for a page that only
        the model cannot read; UnavailableError where none of many pages was of use.
        """
        page, picture = self.tesseract.read(scan)
        if not page.words:
            return page
        try:
            words = agreed_words(page.words, self.reader.read(jpeg_of(picture)))
            if words is None:
                raise UnreadPageError("what the model says is not what is on the page")
        except UnreadPageError as error:
            book = Path(scan.path).stem
            log.info("left to tesseract book=%s page=%d: %s", book, scan.number, error.for_log)
            self._count(error)
            return Substitute(page, self.tesseract.version, error.message)
        self._agreed = True
        return RecognisedPage(words, page.matrix)

    def _count(self, error: UnreadPageError) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= _HOPELESS and not self._agreed:
                raise UnavailableError(
                    fill("The model {model} was of no use for {pages} pages in a row: {reason}.",
                         model=self.reader.model, pages=self._failures, reason=error.message),
                    "Check BOOKBRAIN_OCR_MODEL, or try other pages: `bookbrain ocr --pages 3-9`",
                    quoted=error.quoted,
                ) from error  # fmt: skip


def jpeg_of(picture: ScanPicture) -> bytes:
    """The picture as it is sent: grey, its longer side of 2,048 pixels at most."""
    _, size, _, pixels = picture.pgm.split(b"\n", 3)
    width, height = map(int, size.split())
    image = Image.frombuffer("L", (width, height), pixels, "raw", "L", 0, 1)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS, reducing_gap=None)
    made = BytesIO()
    image.save(made, "JPEG", quality=_QUALITY)
    return made.getvalue()
