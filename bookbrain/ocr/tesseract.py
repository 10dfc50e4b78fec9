"""tesseract, the engine that comes with every Debian: its program, run once or more for a page.

It is a child process with bounds: a page can crash, hang or fill it, and that page alone is lost.
It reads with the models of a script and of English in one run. `kor` knows no Latin letter, and
beside it `eng` takes Korean words for its own.
"""

import os
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from errno import ENOSPC
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bookbrain.errors import ConfigError, UnavailableError
from bookbrain.messages import fill
from bookbrain.ocr.engine import RecognisedPage
from bookbrain.ocr.page_scan import INK_STEP, VERSION, Ink, PageScan, ScanPicture, UnreadPageError
from bookbrain.ocr.tesseract_output import fit_to_ink, lie, words_of_output
from bookbrain.processes import Bounds, EndedInBounds, describe_exit, run_in_bounds
from bookbrain.settings import Settings

_REMEDY = (
    "As root, run: `apt-get install tesseract-ocr tesseract-ocr-script-hang tesseract-ocr-eng "
    "tesseract-ocr-osd`"
)
_COLUMNS, _BLOCK = "3", "6"  # layouts that it looks for; the second misses less of a page
_OPTIONS = ("-c", "preserve_interword_spaces=1", "txt", "tsv")
_MODELS = ("Hangul", "eng", "osd")
_OPTIONS_VERSION = 1  # counts the ways in which tesseract was used
_VARIABLES = {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8"}  # threads cost twice the work
_MOST_BYTES = 8_000_000  # of what it prints of a page; a full one is a hundredth of that
_DOUBTFUL = 60.0  # confidence below which a page may stand on its side or its head
_LEAST_READ = 0.6  # of the ink: less, and it took lines for a figure, or there is one
_CERTAIN = 2.0  # tesseract's own measure of how sure it is of an orientation
_BASE = "page"  # of the names of what it writes
_HINT = "Look at the page in the PDF itself."
_LISTED = re.compile(r'languages in "?(.*?)/?"? \((\d+)\)')
_ORIENTATION = re.compile(r"Rotate: (\d+)\s+Orientation confidence: ([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Tesseract:
    """Runs `command` with `models`; a page gets `timeout` seconds and `memory_mb` MiB.

    What it writes of a page is below `scratch` for a moment, or where temporary files are.
    """

    version: str
    models: tuple[str, ...]
    command: str = "tesseract"
    timeout: float = 120.0
    memory_mb: int = 1024
    scratch: Path | None = None
    name: str = "tesseract"

    def recognise(self, scan: PageScan) -> RecognisedPage:
        """Read a page, turned as it has to be; its words are in reading order.

        Raises UnreadPageError with the reason why this page cannot be read, OSError
        when the disk is full.
        """
        return self.read(scan)[0]

    def read(self, scan: PageScan) -> tuple[RecognisedPage, ScanPicture]:
        """The same, and the picture on which the words stand."""
        picture = scan.paint()
        if picture.blank:
            return RecognisedPage((), picture.matrix), picture
        page = self._read(picture, _COLUMNS)
        if page.confidence < _DOUBTFUL or _share_read(picture.ink, page) < _LEAST_READ:
            page = max(page, self._read(picture, _BLOCK), key=_certain_letters)
        doubtful = page.confidence < _DOUBTFUL or lie(page.words)
        if doubtful and (turned := self._turned(picture)):
            upright = replace(scan, turned=(scan.turned + turned) % 360).paint()
            found = [(page, picture), (self._read(upright, _COLUMNS), upright)]
            page, picture = max(
                found, key=lambda read: (not lie(read[0].words), _certain_letters(read[0]))
            )
        return _without_specks(page), picture

    def _read(self, picture: ScanPicture, layout: str) -> RecognisedPage:
        with TemporaryDirectory(prefix="bookbrain-ocr-", dir=self.scratch) as name:
            folder = Path(name)
            self._run(picture, folder, self.models, ["--psm", layout, *_OPTIONS])
            try:
                table, plain = (_written(folder / f"{_BASE}.{kind}") for kind in ("tsv", "txt"))
                words = fit_to_ink(words_of_output(table, plain), picture.ink)
                return RecognisedPage(words, picture.matrix)
            except (OSError, ValueError) as error:
                if not os.statvfs(folder).f_bavail:  # which tesseract does not notice
                    raise OSError(ENOSPC, os.strerror(ENOSPC)) from error
                raise UnreadPageError("what tesseract wrote of it cannot be used", _HINT) from error

    def _turned(self, picture: ScanPicture) -> int:
        """By how many degrees the picture has to be turned clockwise; 0 where that is unknown."""
        done = self._run(picture, None, ["osd"], ["--psm", "0"])
        found = _ORIENTATION.search(done.stdout.decode(errors="replace"))
        return int(found[1]) if found and float(found[2]) >= _CERTAIN else 0

    def _run(
        self, picture: ScanPicture, folder: Path | None, models: Sequence[str],
        options: Sequence[str],
    ) -> EndedInBounds:  # fmt: skip
        """Read the picture, into files in `folder` where there is one."""
        to = _BASE if folder else "stdout"
        dpi = str(round(picture.dpi))
        command = [self.command, "stdin", to, "-l", "+".join(models), "--dpi", dpi, *options]
        try:
            done = run_in_bounds(
                command, picture.pgm,
                Bounds(self.timeout, self.memory_mb, _MOST_BYTES, picture.idle),
                variables=_VARIABLES, folder=folder,
            )  # fmt: skip
        except TimeoutError as error:
            reason = fill("reading it takes longer than {seconds:g} seconds", seconds=self.timeout)
            raise UnreadPageError(reason, _HINT) from error
        except OverflowError as error:
            raise UnreadPageError("tesseract wrote far more than a page", _HINT) from error
        except FileNotFoundError as error:
            raise _missing() from error
        if done.code == -signal.SIGABRT or b"bad_alloc" in done.stderr:
            raise UnreadPageError("reading it needs too much memory", _HINT)
        if done.code and "osd" not in models:  # which fails where there are too few letters
            reason = fill("tesseract failed on it ({reason})", reason=describe_exit(done.code))
            raise UnreadPageError(reason, _HINT)
        return done


def _share_read(ink: Ink, page: RecognisedPage) -> float:
    """The share of a picture's ink that is in the boxes of words; `ink` is of a quarter's size."""
    read = np.zeros_like(ink)
    for word in page.words:
        left, top, right, bottom = (side // INK_STEP for side in word.box)
        read[top : bottom + 1, left : right + 1] = True
    return int((ink & read).sum()) / int(ink.sum())


def _without_specks(page: RecognisedPage) -> RecognisedPage:
    """The page without lone characters that are doubtful: dust, rules of tables, shadows."""
    words = (word for word in page.words if len(word.text) > 1 or word.confidence >= _DOUBTFUL)
    return replace(page, words=tuple(words))


def _certain_letters(page: RecognisedPage) -> int:
    return sum(len(word.text) for word in page.words if word.confidence >= _DOUBTFUL)


def find_engine(settings: Settings) -> Tesseract:
    """The engine that works by itself, and beside which `vision` does. Raises ConfigError where
    none is set, and UnavailableError, with what to install, where it is not here."""
    if settings.ocr == "off":
        raise ConfigError(
            "Text recognition is switched off.", "To switch it on, set BOOKBRAIN_OCR=tesseract."
        )
    return find_tesseract()


def find_tesseract(command: str = "tesseract") -> Tesseract:
    """tesseract as it is installed here.

    Raises UnavailableError, with what to install, where it or a model of it is missing.
    """
    asked = [
        _ask(command, "--version"),
        _ask(command, "--list-langs"),
    ]
    version, listed = (done.stdout.decode(errors="replace") for done in asked)
    folder = found[1] if (found := _LISTED.search(listed)) else ""
    there = listed.splitlines()[1:]
    models = [
        next((name for name in (model, f"script/{model}") if name in there), "")
        for model in _MODELS
    ]
    if not all(models):
        missing = ", ".join(m for m, name in zip(_MODELS, models, strict=True) if not name)
        raise UnavailableError(
            fill("tesseract is here without its models {missing}.", missing=missing), _REMEDY
        )
    parts = [version.splitlines()[0], *(f"{n} {_digest(folder, n)}" for n in models[:2])]
    parts.append(f"{VERSION}.{_OPTIONS_VERSION}")
    return Tesseract("; ".join(parts), tuple(models[:2]), command)


def _ask(command: str, question: str) -> EndedInBounds:
    try:
        done = run_in_bounds(
            [command, question], b"", Bounds(30, 512, 1_000_000), variables=_VARIABLES
        )  # fmt: skip
    except FileNotFoundError as error:
        raise _missing() from error
    except (TimeoutError, OverflowError) as error:
        raise UnavailableError("tesseract does not answer.", _REMEDY) from error
    if done.code or not done.stdout.strip():
        reason = describe_exit(done.code)
        raise UnavailableError(
            fill("tesseract does not work here ({reason}).", reason=reason), _REMEDY
        )
    return done


def _digest(folder: str, model: str) -> str:
    """What the model's file is known by; "" where it cannot be read."""
    try:
        data = Path(folder, f"{model}.traineddata").read_bytes()
    except OSError:
        return ""
    return sha256(data).hexdigest()[:12]


def _written(path: Path) -> bytes:
    """What is in a file of tesseract's, if it is one."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        return file.read()


def _missing() -> UnavailableError:
    return UnavailableError("tesseract, which reads scanned pages, is not installed.", _REMEDY)
