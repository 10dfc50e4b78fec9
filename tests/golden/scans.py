"""How many words of scanned pages come back as they were typed, and where their marks stand.

    PYTHONPATH=tests python tests/golden/scans.py [--scanner typical|poor] [--share 0.25] [--lost]

Makes scans of pages of Debian's manuals (support/scans.py) and has tesseract read them. --lost
prints the words of each page that did not come back, and the marks that miss theirs. CPU
seconds are for painting and reading.
"""

import argparse
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pypdfium2 as pdfium
from support import debian_books, scans

from bookbrain.ocr.engine import OcrEngine
from bookbrain.ocr.page_scan import PageScan
from bookbrain.ocr.tesseract import find_tesseract

COVERED = 0.7  # intersection over union of a mark and its word
KOREAN = 20  # distinct Hangul words that a Korean page has at least


@dataclass(frozen=True, slots=True)
class Reading:
    """The distinct words of a page that were typed and that were read, by kind."""

    place: str
    typed: dict[str, set[str]]
    read: dict[str, set[str]]
    confidence: float
    marks: list[scans.DrawnMark]

    @property
    def language(self) -> str:
        return "ko" if len(self.typed["hangul"]) >= KOREAN else "en"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scanner", choices=scans.SCANNERS, default="typical")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--lost", action="store_true")
    options = parser.parse_args()
    with debian_books.needed():
        pages = scans.sample_pages(options.share)
    readings = []
    with TemporaryDirectory() as folder:
        for reading in read_pages(pages, options.scanner, find_tesseract(), Path(folder)):
            readings.append(reading)
            print(row(reading.place, [reading]), flush=True)
            if options.lost:
                for kind in scans.KINDS:
                    print("   ", *sorted(reading.typed[kind] - reading.read[kind]))
                for mark in reading.marks:
                    if mark.overlap < COVERED:
                        print(f"    {mark.overlap:.2f} {mark.part} of {mark.word}")
    print()
    print(f"{'':<34} pages  " + "  ".join(f"{kind:<17}" for kind in scans.KINDS), " marks")
    for language in ("ko", "en"):
        print(row(language, [r for r in readings if r.language == language]))
    print(row("all", readings))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{(used.ru_utime + used.ru_stime) / len(readings):.1f} CPU seconds a page")
    return 0


def read_pages(
    pages: list[tuple[Path, int]], scanner: str, engine: OcrEngine, folder: Path
) -> Iterator[Reading]:
    """What an engine reads of scans of these pages, two at a time."""
    made = [_scanned(path, number, scanner, folder) for path, number in pages]
    with ThreadPoolExecutor(2) as threads:
        yield from threads.map(partial(_read, engine), made)


@dataclass(frozen=True, slots=True)
class _Made:
    """A scanned page in a file of its own, and the words of the page with their places."""

    place: str
    file: Path
    text: str
    words: list[scans.TypedWord]


def _scanned(path: Path, number: int, scanner: str, folder: Path) -> _Made:
    document, how = pdfium.PdfDocument(path), scans.SCANNERS[scanner]
    scan = scans.scan_page(document, number, how)
    return _Made(
        f"{path.stem} p. {number}",
        scans.save_book(folder / f"{path.stem}-{number}.pdf", [scan], how),
        scans.text_of(document, number),
        scans.typed_words(document, number, scan.askew),
    )


def _read(engine: OcrEngine, made: _Made) -> Reading:
    found = engine.recognise(PageScan(str(made.file), 1))
    return Reading(
        made.place,
        scans.words_in(made.text),
        scans.words_in(found.text),
        found.confidence,
        scans.drawn_marks(made.file, found, made.words),
    )


def row(name: str, readings: list[Reading]) -> str:
    """The words that came back, of those that were typed; the marks on their words; confidence."""
    typed, back = Counter[str](), Counter[str]()
    for reading in readings:
        for kind in scans.KINDS:
            typed[kind] += len(reading.typed[kind])
            back[kind] += len(reading.typed[kind] & reading.read[kind])
    shares = [
        f"{back[k] / typed[k]:.3f} {back[k]:>4} of {typed[k]:<4}" if typed[k] else f"{'–':<18}"
        for k in scans.KINDS
    ]
    drawn = [mark.overlap for reading in readings for mark in reading.marks]
    well = sum(overlap >= COVERED for overlap in drawn)
    marks = f"{well / len(drawn):.4f} of {len(drawn):<5}" if drawn else ""
    confidence = sum(reading.confidence for reading in readings) / len(readings)
    return f"{name:<34} {len(readings):>5}  {'  '.join(shares)}  {marks:<14} {confidence:.1f}"


if __name__ == "__main__":
    sys.exit(main())
