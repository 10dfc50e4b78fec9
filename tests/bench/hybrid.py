"""Both legs together: `bookbrain serve` with a real Chroma server on a library of many passages.

    PYTHONPATH=tests python tests/bench/hybrid.py [--passages 45000] [--queries 200] [--home FOLDER]

Pages are made up, a passage each, and embedded as the stand-in for OpenAI embeds them: 1,536
dimensions. They go straight into the stores; with --home they stay there for another run. Each
query is new. The stand-in is asked for its text first, over a connection that stays open, and that
time is taken off: what is left is ours and Chroma's. Recall is of the exact 100 nearest passages.
"""

import argparse
import http.client
import json
import random
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import numpy as np
from support.app import App, serving
from support.chroma_server import ChromaServer
from support.openai_api import embed
from support.openai_process import OpenAIProcess
from support.prose import technical_pages
from support.shelf import Shelf

from bookbrain.model import Book, EmbeddingSpace, Page, Passage, Span, TextId
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.settings import ChromaSettings, EmbeddingSettings, Settings
from bookbrain.store.catalog import NewBook
from bookbrain.store.rows import revision_of
from bookbrain.store.vectors import Vectors

SPACE = EmbeddingSpace("text-embedding-3-small", 1536)
PAGES_OF_A_BOOK = 150
LINES = 10
NEAREST = 100
WARM_UP = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=45_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    books = -(-options.passages // PAGES_OF_A_BOOK)
    with ExitStack() as stack:
        folder = options.home or Path(stack.enter_context(TemporaryDirectory()))
        (folder / "chroma").mkdir(parents=True, exist_ok=True)
        chroma = stack.enter_context(ChromaServer(folder / "chroma"))
        in_a_process(fill, folder / "library", chroma.url, books)
        openai = stack.enter_context(OpenAIProcess())
        shelf = stack.enter_context(
            Shelf(folder / "library", openai, CHROMA_URL=chroma.url,
                  BOOKBRAIN_EMBEDDING_DIMENSIONS=str(SPACE.dimensions))
        )  # fmt: skip
        chroma.kill()
        chroma.start()  # as after a restart of the machine
        app = stack.enter_context(serving(shelf))
        print(f"by meaning {seconds_until_meaning(app):.1f} s after the app, Chroma began anew")
        queries = make_queries(books, options.queries + WARM_UP)
        measure(app, openai, queries)
        print(f"memory: app {memory(app.process.pid)}, Chroma {memory(chroma.pid)}")
        in_a_process(print_recall, folder / "library", chroma.url, queries)
    return 0


def in_a_process(work: object, *arguments: object) -> None:
    """Its memory is not kept."""
    process = get_context("spawn").Process(target=work, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(process.exitcode)


def fill(home: Path, chroma: str, number: int) -> None:
    """Bring the library to `number` books, as `add` would without a file to read."""
    stores = ConnectedStores(Settings(home=home, chroma=ChromaSettings(chroma)))
    first = len(stores.catalog.book_ids())
    started = time.monotonic()
    for seed in range(first, number):
        add(stores, seed)
        if seed == number - 1 or seed % 20 == 19:
            passages = (seed + 1) * PAGES_OF_A_BOOK
            print(f"{passages:,} passages, {time.monotonic() - started:.0f} s", flush=True)
    if first < number:
        stores.index_all()
        stores.drop_old_indexes()
    stores.close()


def add(stores: ConnectedStores, seed: int) -> None:
    name = f"{seed:064x}"
    texts = [short(page) for page in technical_pages(PAGES_OF_A_BOOK, seed, "mixed")]
    pages = [Page(n, str(n), "", text) for n, text in enumerate(texts, start=1)]
    passages = [Passage(n, (Span(n + 1, 0, len(text)),), text) for n, text in enumerate(texts)]
    vectors = {passage.digest: embed(passage.text, SPACE.dimensions) for passage in passages}
    stores.embeddings.put(SPACE, vectors)
    stores.semantics.publish(SPACE, name, {p.ordinal: p.digest for p in passages})
    stores.index_text(TextId(name, revision_of(pages)), pages)
    book = Book(name, f"Book {seed}", f"book{seed}.pdf", len(pages), len(passages), "")
    stores.catalog.add_book(NewBook(book, pages, passages, str(SPACE)), "", 0)


def short(page: str) -> str:
    """Ten of its lines, not always the same: analysing all of it would take minutes more."""
    lines = page.splitlines()
    start = len(page) % max(1, len(lines) - LINES)
    return "\n".join(lines[start : start + LINES])


def make_queries(books: int, number: int) -> list[str]:
    """Three to six words that stand together on some page, and a number: no two are the same."""
    rng = random.Random(6)
    queries = []
    for turn in range(number):
        (page,) = technical_pages(1, rng.randrange(books), "mixed")
        words = page.split()
        start = rng.randrange(len(words) - 6)
        queries.append(" ".join([*words[start : start + rng.randint(3, 6)], str(turn)]))
    return queries


def seconds_until_meaning(app: App) -> float:
    """Chroma puts what it has not written into its index back there when it is first asked."""
    begun = time.monotonic()
    while app.search("the first one")["degraded"]:
        time.sleep(0.2)
    return time.monotonic() - begun


def measure(app: App, openai: OpenAIProcess, queries: Sequence[str]) -> None:
    taken: dict[str, list[float]] = {}
    endpoint = Asked(openai)
    for turn, query in enumerate(queries):
        answers = [app.search(query, mode="keyword")]
        seconds = endpoint.seconds(query)
        answers += [app.search(query), app.search(query)]
        problems = {answer["degraded"] for answer in answers} - {None}
        if problems:
            sys.exit(f"A leg did not take part: {problems}")
        if turn >= WARM_UP:
            keyword, new, known = (answer["took_ms"] for answer in answers)
            taken.setdefault("keyword", []).append(keyword)
            taken.setdefault("hybrid", []).append(new)
            taken.setdefault("of it the endpoint", []).append(seconds * 1000)
            taken.setdefault("hybrid without it", []).append(new - seconds * 1000)
            taken.setdefault("hybrid, asked again", []).append(known)
    print(f"\n{len(queries) - WARM_UP} queries{'p50 ms':>23}{'p95 ms':>10}")
    for name, times in taken.items():
        p50, p95 = np.percentile(times, [50, 95])
        print(f"{name:<24}{p50:>10.1f}{p95:>10.1f}")


class Asked:
    """The stand-in, asked as plainly as can be."""

    def __init__(self, openai: OpenAIProcess) -> None:
        self._path = urlsplit(openai.url).path + "/embeddings"
        self._headers = {"authorization": f"Bearer {openai.key}"}
        self._connection = http.client.HTTPConnection(urlsplit(openai.url).netloc, timeout=60)

    def seconds(self, query: str) -> float:
        body = {"model": SPACE.model, "input": [query], "encoding_format": "float"}
        started = time.perf_counter()
        self._connection.request("POST", self._path, json.dumps(body), self._headers)
        self._connection.getresponse().read()
        return time.perf_counter() - started


def memory(pid: int) -> str:
    """What of a process is in memory, and what of that is its own: mapped files can be dropped."""
    lines = [line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    mb = {words[0]: int(words[1]) / 1000 for words in lines if words[-1] == "kB"}
    return f"{mb['VmRSS:']:,.0f} MB ({mb['RssAnon:']:,.0f} its own)"


def print_recall(home: Path, chroma: str, queries: Sequence[str]) -> None:
    """How many of the exact nearest Chroma finds, where it is asked for twice as many."""
    server = ChromaSettings(chroma)
    stores = ConnectedStores(Settings(home, EmbeddingSettings(base_url="-"), server))
    passages = [p for book in stores.catalog.book_ids() for p in stores.catalog.passages(book)]
    stored = stores.embeddings.get(SPACE, (passage.digest for passage in passages))
    matrix = np.stack([stored[passage.digest] for passage in passages])
    keys = [(passage.book_id, passage.ordinal) for passage in passages]
    vectors = Vectors(server, SPACE)
    shares = []
    for query in queries:
        scores = matrix @ embed(query, SPACE.dimensions)
        worst = np.partition(scores, -NEAREST)[-NEAREST]
        near = {keys[n] for n in np.flatnonzero(scores >= worst)}
        found = set(vectors.nearest(embed(query, SPACE.dimensions), 2 * NEAREST))
        shares.append(min(len(found & near), NEAREST) / NEAREST)
    print(f"recall@{NEAREST} of {2 * NEAREST}: mean {np.mean(shares):.3f}, "
          f"of the worst 5 % {np.percentile(shares, 5):.2f} or less")  # fmt: skip
    stores.close()


if __name__ == "__main__":
    sys.exit(main())
