"""Keyword search engines that are given the same terms, ours among them: for benchmarks only.

Each takes the documents and an empty folder of its own, and returns what answers a query: with the
numbers of its ten best documents, best first. A peer that is not installed raises ImportError.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from support.shelving import first_text

from bookbrain.index.bm25 import K1, B, open_commit
from bookbrain.index.commit import drop_unnamed, write_commit
from bookbrain.index.segment import count_terms, term_key, write_segment

K = 10
PAGES_OF_A_BOOK = 300
Terms = Sequence[str]
Documents = Iterable[Terms]
Ask = Callable[[Terms], Sequence[int]]
Engine = Callable[[Documents, Path], Ask]


def bookbrain(documents: Documents, folder: Path) -> Ask:
    """Book by book, as a library grows."""
    commit = None
    books: list[str] = []
    for pages in _books(documents):
        books.append(f"{len(books):05}")
        commit = add_book(folder, commit, books, pages)
    index = open_commit(folder, commit or "")
    return lambda query: [*index.best(index.look_up(Counter(query)), K)]


def add_book(folder: Path, commit: str | None, books: Sequence[str], pages: Sequence[Terms]) -> str:
    """Add the last of the books, whose pages these are, to the index of the others."""
    texts = [first_text(book) for book in books]
    write_segment(folder, texts[-1], count_terms(pages))
    written = write_commit(folder, commit, texts, _is_there)
    drop_unnamed(folder, written)
    return written


def rank_bm25(documents: Documents, folder: Path) -> Ask:
    from rank_bm25 import BM25Plus

    index = BM25Plus([list(document) for document in documents], k1=K1, b=B, delta=0)
    return lambda query: np.argsort(index.get_scores(list(query)))[::-1][:K].tolist()


def bm25s(documents: Documents, folder: Path) -> Ask:
    import bm25s

    index = bm25s.BM25(k1=K1, b=B)
    index.index([list(document) for document in documents], show_progress=False)
    return lambda query: (
        index.retrieve([list(query)], k=K, show_progress=False).documents[0].tolist()
    )


def sqlite_fts5(documents: Documents, folder: Path) -> Ask:
    """Without the texts, which the others do not keep either."""
    database = sqlite3.connect(folder / "fts5.sqlite3")
    database.execute("CREATE VIRTUAL TABLE page USING fts5(terms, content='')")
    with database:
        rows = ((n, _letters(document)) for n, document in enumerate(documents))
        database.executemany("INSERT INTO page (rowid, terms) VALUES (?, ?)", rows)
    database.execute("INSERT INTO page (page) VALUES ('optimize')")
    found = f"SELECT rowid FROM page WHERE page MATCH ? ORDER BY rank LIMIT {K}"

    def ask(query: Terms) -> Sequence[int]:
        any_of_them = _letters(dict.fromkeys(query)).replace(" ", " OR ")
        return [number for (number,) in database.execute(found, (any_of_them,))]

    return ask


def tantivy(documents: Documents, folder: Path) -> Ask:
    import tantivy

    schema = tantivy.SchemaBuilder()
    schema.add_text_field("terms", tokenizer_name="whitespace", index_option="freq")
    schema.add_unsigned_field("number", stored=True)
    index = tantivy.Index(schema.build(), path=str(folder))
    writer = index.writer(200 << 20, 2)
    for number, document in enumerate(documents):
        writer.add_document(tantivy.Document(terms=_letters(document), number=number))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def ask(query: Terms) -> Sequence[int]:
        hits = searcher.search(index.parse_query(_letters(query), ["terms"]), K).hits
        return [searcher.doc(address)["number"][0] for _, address in hits]

    return ask


ENGINES: dict[str, Engine] = {
    "bookbrain": bookbrain,
    "rank_bm25": rank_bm25,
    "bm25s": bm25s,
    "SQLite FTS5": sqlite_fts5,
    "tantivy": tantivy,
}


def _books(documents: Documents) -> Iterator[list[Terms]]:
    remaining = iter(documents)
    while pages := list(islice(remaining, PAGES_OF_A_BOOK)):
        yield pages


def _is_there(book_id: str) -> None:
    raise AssertionError(f"{book_id} has no segment")


def _letters(terms: Iterable[str]) -> str:
    """Terms as words that no tokenizer changes."""
    return " ".join(f"t{term_key(term):x}" for term in terms)
