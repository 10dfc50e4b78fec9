"""The keyword leg beside rank_bm25 and bm25s: the same passages and queries, in one run.

    PYTHONPATH=tests python tests/bench/keyword_leg.py [--passages 30000] [--queries 200]

The passages are pages of Debian's books, repeated with a fifth of their terms exchanged until there
are enough; made-up pages where Debian cannot be reached. Reading and analysing the text is not
timed. Exits 1 when a score of ours is more than 1e-4 from rank_bm25's.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import bm25s
import numpy as np
import pypdfium2
from rank_bm25 import BM25Okapi
from support.debian_books import PACKAGES, NoBooks, fetch
from support.prose import technical_pages

from bookbrain.index.analyzer import terms
from bookbrain.index.keywords import KeywordIndex, write_index
from bookbrain.index.postings import count_terms

K = 10
TOLERANCE = 1e-4
PASSAGES_OF_A_BOOK = 300
TURN = 20
Terms = list[str]
Engine = Callable[[Terms], object]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=30_000)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    rng = random.Random(20)
    pages, source = real_pages()
    print(f"Analysing {len(pages):,} pages of {source} …", flush=True)
    queries = make_queries(pages, options.queries, rng)
    passages = multiply([terms(page) for page in pages], options.passages, rng)
    print(f"Indexing {len(passages):,} passages three times …", flush=True)
    with TemporaryDirectory() as folder:
        ours = build_ours(passages, Path(folder) / "index")
        theirs = BM25Okapi(passages)
        peer = bm25s.BM25()
        peer.index(passages, show_progress=False)
        engines: dict[str, Engine] = {
            "bookbrain": lambda query: ours.top(query, K),
            "bm25s": lambda query: peer.retrieve([query], k=K, show_progress=False),
            "rank_bm25": lambda query: np.argsort(theirs.get_scores(query))[::-1][:K],
        }
        sizes = [len(query) for query in queries]
        print(f"{len(queries)} queries of {np.median(sizes):.0f} terms, at most {max(sizes)}")
        print_table(measure(engines, queries))
        worst = max(difference(ours, theirs, query) for query in queries)
    print(f"\nlargest difference to rank_bm25's scores: {worst:.1e} (allowed: {TOLERANCE:.0e})")
    return int(worst > TOLERANCE)


def real_pages() -> tuple[list[str], str]:
    """The text of every page of the Debian books that has some, and where it is from."""
    paths, missing = [], ""
    for package in PACKAGES:
        try:
            paths += fetch(package)
        except NoBooks as reason:
            missing = str(reason)
    pages = [text for path in paths for text in read(path) if len(text) > 200]
    if pages:
        return pages, f"{len(paths)} Debian manuals"
    return technical_pages(3000), f"made-up prose ({missing})"


def read(path: Path) -> list[str]:
    document = pypdfium2.PdfDocument(path)
    texts = []
    for index in range(len(document)):
        page = document[index]
        texts.append(page.get_textpage().get_text_range().replace("\r\n", "\n"))
        page.close()
    document.close()
    return texts


def make_queries(pages: Sequence[str], number: int, rng: random.Random) -> list[Terms]:
    """Two to six words that stand together on some page, analysed.

    Words of more than 20 characters are left out: in Chinese and Japanese that is a sentence.
    """
    queries: list[Terms] = []
    while len(queries) < number:
        words = [word for word in rng.choice(pages).split() if len(word) <= 20]
        start = rng.randrange(len(words) or 1)
        query = terms(" ".join(words[start : start + rng.randint(2, 6)]))
        if query:
            queries.append(query)
    return queries


def multiply(analysed: Sequence[Terms], number: int, rng: random.Random) -> list[Terms]:
    """The first ones as they are, then copies with a fifth of their terms from other pages."""
    passages = [list(page) for page in analysed[:number]]
    while len(passages) < number:
        page, other = list(rng.choice(analysed)), rng.choice(analysed)
        for place in rng.sample(range(len(page)), len(page) // 5 if other else 0):
            page[place] = rng.choice(other)
        passages.append(page)
    return passages


def build_ours(passages: Sequence[Terms], directory: Path) -> KeywordIndex:
    starts = range(0, len(passages), PASSAGES_OF_A_BOOK)
    books = [list(passages[start : start + PASSAGES_OF_A_BOOK]) for start in starts]
    write_index(directory, [(f"{i:04}", count_terms(book)) for i, book in enumerate(books)])
    return KeywordIndex(directory)


def measure(engines: dict[str, Engine], queries: Sequence[Terms]) -> dict[str, list[float]]:
    """Milliseconds of each query.

    The engines take turns every 20 queries, so that all meet the same machine, and hardly any query
    finds the processor's caches as another engine has left them.
    """
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for first in range(0, len(queries), TURN):
        block = queries[first : first + TURN]
        for name, engine in engines.items():
            engine(block[0])
            for query in block:
                started = time.perf_counter()
                engine(query)
                taken[name].append((time.perf_counter() - started) * 1000)
    return taken


def print_table(taken: dict[str, list[float]]) -> None:
    ours = np.percentile(taken["bookbrain"], [50, 95])
    print(f"\n{'engine':<12}{'p50 ms':>10}{'p95 ms':>10}{'p50 ratio':>12}{'p95 ratio':>12}")
    for name, times in taken.items():
        own = np.percentile(times, [50, 95])
        ratio = own / ours
        print(f"{name:<12}{own[0]:>10.3f}{own[1]:>10.3f}{ratio[0]:>11.1f}×{ratio[1]:>11.1f}×")


def difference(ours: KeywordIndex, theirs: BM25Okapi, query: Terms) -> float:
    return float(np.abs(ours.scores(query) - theirs.get_scores(query)).max())


if __name__ == "__main__":
    sys.exit(main())
