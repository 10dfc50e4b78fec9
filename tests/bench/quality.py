"""Which engine finds the page: the golden set, asked over the same pages in one run, as a table.

    PYTHONPATH=tests python tests/bench/quality.py

The library is that of tests/golden/run.py, a thousand books, made the first time. BookBrain answers
by keyword. The others get its pages as terms of our analyzer, so that only the ranking differs;
Recoll (package recollcmd), which keeps to its own, gets each page as a file.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from golden import run as golden_library
from support import golden_set
from support.debian_books import needed
from support.search_engines import ENGINES, K

from bookbrain.index.analyzer import terms, terms_of
from bookbrain.library import Library
from bookbrain.search.evaluation import Place
from bookbrain.settings import load_settings

Find = Callable[[str], Sequence[Place]]  # a query's best ten pages
COLUMNS = [(name, language) for name in golden_set.SETS for language in ("ko", "en")]


def main() -> int:
    with needed():
        golden_library.fill()
    names = [f"{name} {language}" for name, language in COLUMNS]
    print(f"\n| hit@5, MRR@10 | {' | '.join([*names, 'all'])} |")
    print("| --- |" + " --- |" * (len(names) + 1))
    settings = load_settings({"BOOKBRAIN_HOME": str(golden_library.HOME)})
    with Library(settings) as library, TemporaryDirectory() as folder:
        print_row("BookBrain", lambda query: ours(library, query))
        texts = texts_of(library)
        places, analysed = [*texts], terms_of([*texts.values()])
        for name in (name for name in ENGINES if name != "bookbrain"):
            (home := Path(folder) / name).mkdir()
            try:
                ask = ENGINES[name](analysed, home)
            except ImportError:
                print(f"{name} is not installed: left out")
                continue
            print_row(name, lambda query: [places[n] for n in ask(terms(query))])  # noqa: B023
        if shutil.which("recollindex"):
            print_row("Recoll", recoll(texts, Path(folder)))
    return 0


def texts_of(library: Library) -> dict[Place, str]:
    """Every page of the library that has any text."""
    found = {}
    for book in library.books():
        opened = library.open_book(book.id)
        for number in range(1, book.pages + 1):
            if text := opened.page(number).text.strip():
                found[book.file, number] = text
    return found


def ours(library: Library, query: str) -> list[Place]:
    return [(hit.file, hit.page) for hit in library.search(query, k=K, mode="keyword").hits]


def recoll(texts: dict[Place, str], folder: Path) -> Find:
    """Recoll over a file for each page; any word of a query may be missing."""
    pages, settings = folder / "pages", folder / "recoll"
    pages.mkdir()
    settings.mkdir()
    places = [*texts]
    for number, text in enumerate(texts.values()):
        (pages / f"{number}.txt").write_text(text, encoding="utf-8")
    (settings / "recoll.conf").write_text(f"topdirs = {pages}\nloglevel = 2\n")
    subprocess.run(["recollindex", "-c", str(settings)], check=True, capture_output=True)

    def find(query: str) -> list[Place]:
        command = ["recollq", "-c", str(settings), "-o", "-b", "-n", str(K), query]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        urls = [line for line in said.splitlines() if line.startswith("file://")]
        return [places[int(Path(url).stem)] for url in urls]

    return find


def print_row(name: str, find: Find) -> None:
    ranks = {column: [rank_of(entry, find) for entry in chosen(*column)] for column in COLUMNS}
    cells = [shown(of_one) for of_one in [*ranks.values(), [*chain(*ranks.values())]]]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def chosen(name: str, language: str) -> list[golden_set.Entry]:
    return [entry for entry in golden_set.entries(name) if entry.language == language]


def rank_of(entry: golden_set.Entry, find: Find) -> int | None:
    """Of the first page that answers, from 1."""
    found = find(entry.golden.query)
    return next((n for n, place in enumerate(found, 1) if place in entry.golden.places), None)


def shown(ranks: Sequence[int | None]) -> str:
    hit = fmean(bool(rank and rank <= 5) for rank in ranks)
    return f"{hit:.2f}, {fmean(1 / rank if rank else 0 for rank in ranks):.2f}"


if __name__ == "__main__":
    sys.exit(main())
