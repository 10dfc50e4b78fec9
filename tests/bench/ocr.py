"""Reading scanned pages beside OCRmyPDF: words that come back, pages a minute, CPU seconds.

    PYTHONPATH=tests python tests/bench/ocr.py --ocrmypdf PATH [--share 0.25] [--scanner typical]

PATH is the program of an environment of its own. Both read the same scans with the same languages,
two pages at a time: we page by page, OCRmyPDF one PDF with all of them, whose text layer is then
read by pypdfium2. Whoever is measured runs alone, one after the other.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pypdfium2 as pdfium
from golden.scans import Reading, row
from support import debian_books, scans

from bookbrain.ocr.page_scan import PageScan
from bookbrain.ocr.tesseract import find_tesseract

LANGUAGES = "Hangul+eng"
Made = TypeVar("Made")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ocrmypdf", required=True)
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--scanner", choices=scans.SCANNERS, default="typical")
    options = parser.parse_args()
    with debian_books.needed():
        pages = scans.sample_pages(options.share)
    how = scans.SCANNERS[options.scanner]
    with TemporaryDirectory() as name:
        folder = Path(name)
        made = [scans.scan_page(pdfium.PdfDocument(path), n, how) for path, n in pages]
        book = scans.save_book(folder / "scans.pdf", made, how)
        typed = [scans.words_in(scans.text_of(pdfium.PdfDocument(path), n)) for path, n in pages]
        layer = folder / "layer.pdf"
        command = [
            options.ocrmypdf, "-q", "-j", "2", "-l", LANGUAGES, "-O", "0", "--output-type", "pdf",
            "--deskew", "--sidecar", str(folder / "layer.txt"), str(book), str(layer),
        ]  # fmt: skip
        ours = measured("ours", len(pages), lambda: read(book, len(pages)))
        measured("OCRmyPDF", len(pages), lambda: subprocess.run(command, check=True))
        document = pdfium.PdfDocument(layer)
        theirs = [scans.text_of(document, n) for n in range(1, len(document) + 1)]
        sidecar = (folder / "layer.txt").read_text().split("\f")
    print(f"{'':<34} pages  " + "  ".join(f"{kind:<17}" for kind in scans.KINDS))
    for who, texts in (("ours", ours), ("OCRmyPDF's layer", theirs), ("its sidecar", sidecar)):
        found = [
            Reading("", t, scans.words_in(text), 0, [])
            for t, text in zip(typed, texts, strict=False)
        ]
        for language in ("ko", "en"):
            print(row(f"{who}, {language}", [r for r in found if r.language == language]))
    return 0


def read(book: Path, count: int) -> list[str]:
    engine = find_tesseract()
    with ThreadPoolExecutor(2) as threads:
        scanned = [PageScan(str(book), number) for number in range(1, count + 1)]
        return [page.text for page in threads.map(engine.recognise, scanned)]


def measured(who: str, pages: int, work: Callable[[], Made]) -> Made:
    """Do it and print what it took."""
    begun, before = time.monotonic(), cpu_seconds()
    made = work()
    seconds, used = time.monotonic() - begun, cpu_seconds() - before
    print(f"{who}: {60 * pages / seconds:.1f} pages a minute, {used / pages:.1f} CPU s a page")
    return made


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
