"""Keyword search beside its peers: the same pages and queries, in one run, as a table.

    PYTHONPATH=tests python tests/bench/search.py [--documents 30000] [--queries 200]
        [--books FOLDER] [--engines bookbrain,tantivy]

The documents are the pages of Debian's books, or of the PDFs in FOLDER, repeated with a fifth of
their terms exchanged until there are enough; made-up pages where there are no books. Reading and
analysing them is not timed. A peer that is not installed is left out, and rank_bm25 above 100,000
documents, where it takes minutes. Exits 1 when a score of ours is more than 1e-4 from rank_bm25's.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pypdfium2
from rank_bm25 import BM25Plus
from support.debian_books import PACKAGES, NoBooks, fetch
from support.prose import technical_pages
from support.search_engines import ENGINES, Ask, Documents, Terms, add_book

from bookbrain.index.analyzer import terms, terms_of
from bookbrain.index.bm25 import K1, B, open_commit

TOLERANCE = 1e-4
TURN = 20
MANY = 100_000
CHECKED = 5_000  # documents whose scores are compared
NEW_BOOK = 150  # pages
QUESTIONS = ("how do I", "what is the", "why does", "어떻게", "무엇인가", "방법")
BLOCK = 2_000  # pages that are analysed at once


@dataclass
class Measured:
    """An engine that is ready, what it took, and the milliseconds of its queries."""

    ask: Ask
    seconds: float
    megabytes: float
    taken: list[float] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=30_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--books", type=Path, help="a folder of PDFs, in place of Debian's")
    parser.add_argument("--engines", default=",".join(ENGINES))
    options = parser.parse_args()
    pages, source = read_folder(options.books) if options.books else debian_pages()
    print(f"Analysing {len(pages):,} pages of {source} …", flush=True)
    queries = make_queries(pages, options.queries, random.Random(20))
    blocks = (pages[first : first + BLOCK] for first in range(0, len(pages), BLOCK))
    analysed = [document for block in blocks for document in terms_of(block) if document]
    with TemporaryDirectory() as folder:
        engines = build(options.engines.split(","), analysed, options.documents, Path(folder))
        ask_all(engines, queries)
        print_table(engines, queries, options.documents)
        if "bookbrain" in engines:
            print_growth(Path(folder) / "bookbrain", analysed[:NEW_BOOK])
        worst = largest_difference(analysed[:CHECKED], queries, Path(folder) / "checked")
    print(f"\nlargest difference to rank_bm25's scores: {worst:.1e} (allowed: {TOLERANCE:.0e})")
    return int(worst > TOLERANCE)


def debian_pages() -> tuple[list[str], str]:
    """The text of every page of the Debian books that has some, and where it is from."""
    paths, missing = [], ""
    for package in PACKAGES:
        try:
            paths += fetch(package)
        except NoBooks as reason:
            missing = str(reason)
    pages = [text for path in paths for text in read(path)]
    if pages:
        return pages, f"{len(paths)} Debian manuals"
    return technical_pages(3000, 0, "mixed"), f"made-up prose ({missing})"


def read_folder(folder: Path) -> tuple[list[str], str]:
    paths = sorted(folder.glob("*.pdf"))
    return [text for path in paths for text in read(path)], f"{len(paths)} books"


def read(path: Path) -> list[str]:
    """The pages with more than a line of text; none of a book that cannot be opened."""
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError:
        return []
    texts = []
    for index in range(len(document)):
        page = document[index]
        texts.append(page.get_textpage().get_text_range().replace("\r\n", "\n"))
        page.close()
    document.close()
    return [text for text in texts if len(text) > 200]


def make_queries(pages: Sequence[str], number: int, rng: random.Random) -> list[Terms]:
    """Two to eight words that stand together on some page, every other time as a question.

    Words of more than 20 characters are left out: in Chinese and Japanese that is a sentence.
    """
    queries: list[Terms] = []
    while len(queries) < number:
        words = [word for word in rng.choice(pages).split() if len(word) <= 20]
        start = rng.randrange(len(words) or 1)
        asked = rng.choice(QUESTIONS) if len(queries) % 2 else ""
        query = terms(" ".join([asked, *words[start : start + rng.randint(2, 8)]]))
        if query:
            queries.append(query)
    return queries


def multiply(analysed: Sequence[Terms], number: int) -> Iterator[Terms]:
    """The first ones as they are, then copies with a fifth of their terms from other pages.

    Always the same: each engine has them made anew, for 600,000 fill the memory.
    """
    rng = random.Random(20)
    yield from analysed[:number]
    for _ in range(number - len(analysed)):
        page, other = list(rng.choice(analysed)), rng.choice(analysed)
        for place in rng.sample(range(len(page)), len(page) // 5):
            page[place] = other[int(rng.random() * len(other))]
        yield page


def build(
    names: Sequence[str], analysed: Sequence[Terms], number: int, folder: Path
) -> dict[str, Measured]:
    engines = {}
    for name in names:
        if name == "rank_bm25" and number > MANY:
            print(f"{name} would take minutes: left out")
            continue
        home = folder / name
        home.mkdir()
        documents = Timed(multiply(analysed, number))
        print(f"Indexing {number:,} documents with {name} …", flush=True)
        started = time.perf_counter()
        try:
            ask = ENGINES[name](documents, home)
        except ImportError:
            print(f"{name} is not installed: left out")
            continue
        seconds = time.perf_counter() - started - documents.seconds
        size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        engines[name] = Measured(ask, seconds, size / 1e6)
    return engines


class Timed:
    """Documents, and the seconds that it took to make them: these are no engine's."""

    def __init__(self, documents: Documents) -> None:
        self.seconds = 0.0
        self._documents = iter(documents)

    def __iter__(self) -> Iterator[Terms]:
        return self

    def __next__(self) -> Terms:
        started = time.perf_counter()
        try:
            return next(self._documents)
        finally:
            self.seconds += time.perf_counter() - started


def ask_all(engines: dict[str, Measured], queries: Sequence[Terms]) -> None:
    """Time each query, after one round that is not timed.

    The engines take turns every 20 queries, so that all meet the same machine, and hardly any query
    finds the processor's caches as another engine has left them.
    """
    for warm in (True, False):
        for first in range(0, len(queries), TURN):
            for engine in engines.values():
                engine.ask(queries[first])
                for query in queries[first : first + TURN]:
                    started = time.perf_counter()
                    engine.ask(query)
                    if not warm:
                        engine.taken.append((time.perf_counter() - started) * 1000)


def print_table(engines: dict[str, Measured], queries: Sequence[Terms], documents: int) -> None:
    sizes = [len(query) for query in queries]
    print(f"{len(queries)} queries of {np.median(sizes):.0f} terms, at most {max(sizes)}")
    print(f"\n| {documents:,} documents | index s | on disk MB | p50 ms | p95 ms | most ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, engine in engines.items():
        p50, p95, most = np.percentile(engine.taken, [50, 95, 100])
        disk = f"{engine.megabytes:.0f}" if engine.megabytes else "in memory"
        print(f"| {name} | {engine.seconds:.1f} | {disk} | {p50:.2f} | {p95:.2f} | {most:.2f} |")


def print_growth(folder: Path, pages: Sequence[Terms]) -> None:
    """What opening ours takes, and one more book in it."""
    (commit,) = folder.glob("*.json")
    started = time.perf_counter()
    index = open_commit(folder, commit.stem)
    opened = time.perf_counter()
    books = list(dict.fromkeys(index.place(n)[0] for n in range(index.documents)))
    begun = time.perf_counter()
    add_book(folder, commit.stem, [*books, "new"], pages)
    print(f"\nopening it: {opened - started:.3f} s; "
          f"one more book of {len(pages)} pages: {time.perf_counter() - begun:.2f} s")  # fmt: skip


def largest_difference(documents: Sequence[Terms], queries: Sequence[Terms], folder: Path) -> float:
    """Between our scores and rank_bm25's, over all documents and queries."""
    folder.mkdir()
    index = open_commit(folder, add_book(folder, None, ["all"], documents))
    peer = BM25Plus([list(document) for document in documents], k1=K1, b=B, delta=0)
    every = range(len(documents))
    return max(
        float(
            np.abs(
                index.scores(index.look_up(Counter(query)), every) - peer.get_scores(query)
            ).max()
        )
        for query in queries
    )


if __name__ == "__main__":
    sys.exit(main())
