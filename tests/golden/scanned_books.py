"""How well search finds books that were scanned: the golden sets over books, and over their scans.

    PYTHONPATH=tests python tests/golden/scanned_books.py [--scanner typical|poor] [--near 5] [SET…]

Both libraries have the same pages: those that answer a question, and those that are among the
first --near hits of one in the whole books. SET is another golden set over the same books, in JSON
lines. Keyword mode; reading takes some 4 CPU seconds a page.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pypdfium2 as pdfium
from support import debian_books, golden_set, scans

from bookbrain.library import Library
from bookbrain.search.evaluation import Evaluation, GoldenQuery, Place, load_golden
from bookbrain.settings import Settings

BOOKS = (
    "install.ko.pdf", "lshort-ko.pdf", "kotex-utf-doc.pdf", "oblivoir-simpledoc.pdf",
    "pmhanguljamo-kdoc.pdf", "cjk-ko-doc.pdf", "install.en.pdf", "developers-reference.pdf",
    "debian-reference.en.pdf", "fancyhdr.pdf", "hyperref-doc.pdf", "pgfgantt.pdf", "bytefield.pdf",
    "siunitx.pdf", "algorithm2e.pdf",
)  # fmt: skip
K = 5


@dataclass(frozen=True, slots=True)
class Question:
    """A query, and the set and language that it is counted with."""

    golden: GoldenQuery
    of: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scanner", choices=scans.SCANNERS, default="typical")
    parser.add_argument("--near", type=int, default=K)
    parser.add_argument("sets", metavar="SET", nargs="*", type=Path)
    options = parser.parse_args()
    try:
        books = golden_set.fetch_editions(BOOKS)
    except debian_books.NoBooks as reason:
        print(reason, file=sys.stderr)
        return 69
    questions = own_questions()
    for path in options.sets:
        questions += questions_of(path)
    with TemporaryDirectory() as name:
        pages = places_of(questions)
        if options.near:
            pages |= hits_of(questions, books, Path(name, "whole"), options.near)
        measured = judge(questions, books, pages, options.scanner, Path(name))
    print(f"{'':<24} {'n':>3}  hit@5          hit@1          MRR@10: originals, scans")
    for of, (before, after) in measured.items():
        print(row(of, before, after))
    return 0


def own_questions() -> list[Question]:
    """Those of both sets whose first answer is in one of BOOKS."""
    return [
        Question(entry.golden, f"{name} {entry.language}")
        for name in golden_set.SETS
        for entry in golden_set.entries(name)
        if entry.main[0] in BOOKS
    ]


def questions_of(path: Path) -> list[Question]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Question(golden, f"{path.name} {line['lang']}")
        for golden, line in zip(load_golden(path), lines, strict=True)
        if line["book"] in BOOKS
    ]


def places_of(questions: Iterable[Question]) -> set[Place]:
    """The pages that answer one of them."""
    return {place for question in questions for place in question.golden.places}


def hits_of(
    questions: Iterable[Question], books: Sequence[Path], home: Path, count: int
) -> set[Place]:
    """The first `count` hits of each question in these books."""
    with Library(Settings(home)) as library:
        library.add(books)
        return {
            (hit.file, hit.page)
            for question in questions
            for hit in library.search(question.golden.query, k=count, mode="keyword").hits
        }


def judge(
    questions: Sequence[Question],
    books: Sequence[Path],
    pages: Collection[Place],
    scanner: str,
    folder: Path,
) -> dict[str, tuple[Evaluation, Evaluation]]:
    """How the questions of each set and language are answered by these pages of the books, and by
    scans of them."""
    chosen = defaultdict[str, list[int]](list)
    for book, number in sorted(pages):
        chosen[book].append(number)
    originals, scanned = folder / "originals", folder / "scans"
    for part in (originals, scanned):
        part.mkdir()
    for path in books:
        if numbers := chosen[path.name]:
            cut(path, numbers, originals / path.name)
            scan(originals / path.name, scanner, scanned / path.name)
    asked = defaultdict[str, list[GoldenQuery]](list)
    for question in questions:
        golden = question.golden
        places = {(b, chosen[b].index(n) + 1) for b, n in golden.places if n in chosen[b]}
        asked[question.of].append(GoldenQuery(golden.id, golden.query, frozenset(places)))
    before, after = answers(originals, asked), answers(scanned, asked)
    return {of: (before[of], after[of]) for of in asked}


def cut(path: Path, numbers: Sequence[int], target: Path) -> None:
    """A book of these pages of the book at `path`."""
    document = pdfium.PdfDocument.new()
    document.import_pages(pdfium.PdfDocument(path), [number - 1 for number in numbers])
    document.save(target)


def scan(path: Path, scanner: str, target: Path) -> None:
    document, how = pdfium.PdfDocument(path), scans.SCANNERS[scanner]
    pictures = [scans.scan_page(document, n, how) for n in range(1, len(document) + 1)]
    scans.save_book(target, pictures, how)


def answers(folder: Path, asked: Mapping[str, Sequence[GoldenQuery]]) -> dict[str, Evaluation]:
    """What a library of the books in `folder` answers when all of its pages are read."""
    with Library(Settings(folder / "library")) as library:
        library.add(sorted(folder.glob("*.pdf")))
        report = library.recognise()
        assert not report.stopped, report.stopped
        return {of: library.evaluate(golden, k=K, mode="keyword") for of, golden in asked.items()}


def row(name: str, before: Evaluation, after: Evaluation) -> str:
    measures = [
        (before.hit_at_k.value, after.hit_at_k.value),
        (before.hit_at_1.value, after.hit_at_1.value),
        (before.mrr_at_10.value, after.mrr_at_10.value),
    ]
    shown = "  ".join(f"{old:.3f} {new:.3f}  " for old, new in measures)
    share = measures[0][1] / measures[0][0] if measures[0][0] else 1.0
    return f"{name:<24} {len(before.ids):>3}  {shown}  {share:.3f} of the originals' hit@5"


if __name__ == "__main__":
    sys.exit(main())
