"""How well a model's words are told from invented ones, on scans whose text is known.

    PYTHONPATH=tests python tests/bench/agreement.py [--share 0.17]

tesseract reads scans of pages of Debian's manuals, typical ones and poor ones. A model that reads
them well says the pages' own text; liars exchange a share of its words for those of other pages, or
say another page. It prints the share of the words, by kind, that come back as typed, by tesseract
alone and with the model, and how many of the liars' words come in.
"""

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pypdfium2 as pdfium
from support import debian_books, scans

from bookbrain.ocr.agreement import agreed_words
from bookbrain.ocr.engine import RecognisedPage
from bookbrain.ocr.page_scan import PageScan
from bookbrain.ocr.tesseract import find_tesseract

SHARES = (0.1, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Read:
    """What a page says, and what tesseract read of its scan."""

    book: str
    typed: str
    page: RecognisedPage

    @property
    def korean(self) -> bool:
        return len(scans.words_in(self.typed)["hangul"]) >= 20

    def with_model(self, said: str) -> str | None:
        words = agreed_words(self.page.words, said)
        return None if words is None else RecognisedPage(words, self.page.matrix).text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.17)
    options = parser.parse_args()
    with debian_books.needed():
        places = scans.sample_pages(options.share)
    for name, scanner in scans.SCANNERS.items():
        with TemporaryDirectory() as folder:
            pages = [_read(place, scanner, Path(folder)) for place in places]
        print(f"{name}: {len(pages)} pages")
        _print_words(pages)
        _print_lies(pages)


def _read(place: tuple[Path, int], scanner: scans.Scanner, folder: Path) -> Read:
    path, number = place
    document = pdfium.PdfDocument(path)
    scan = scans.scan_page(document, number, scanner)
    file = scans.save_book(folder / f"{path.stem}-{number}.pdf", [scan], scanner)
    page = find_tesseract().recognise(PageScan(str(file), 1))
    return Read(path.stem, scans.text_of(document, number), page)


def _print_words(pages: Sequence[Read]) -> None:
    for kind in scans.KINDS:
        typed = [scans.words_in(page.typed)[kind] for page in pages]
        alone = [scans.words_in(page.page.text)[kind] for page in pages]
        both = [scans.words_in(page.with_model(page.typed) or "")[kind] for page in pages]
        of = sum(map(len, typed))
        before, after = (
            sum(len(a & b) for a, b in zip(typed, words, strict=True)) / of
            for words in (alone, both)
        )
        print(f"  {kind:<12} tesseract {before:.3f}, with the model {after:.3f} of {of}")


def _print_lies(pages: Sequence[Read]) -> None:
    came, said = Counter[str](), Counter[str]()
    for page in pages:
        chance = random.Random(page.book)
        others = [p for p in pages if p.book != page.book and p.korean == page.korean]
        pool = [word for other in others for word in other.typed.split()]
        lies = {f"{share:.0%} exchanged": _lie(page, share, pool, chance) for share in SHARES}
        if others:
            lies["another page"] = others[0].typed
        for name, lie in lies.items():
            known = {*page.typed.split(), *page.page.text.split()}
            came[name] += len({*(page.with_model(lie) or "").split()} - known)
            said[name] += len({*lie.split()} - known)
    for name, count in said.items():
        print(f"  {name:<16} {came[name]} of {count} words came in")


def _lie(page: Read, share: float, pool: Sequence[str], chance: random.Random) -> str:
    lines = [
        [chance.choice(pool) if chance.random() < share else word for word in line.split()]
        for line in page.typed.split("\n")
    ]
    return "\n".join(" ".join(line) for line in lines)


if __name__ == "__main__":
    main()
