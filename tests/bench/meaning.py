"""What meaning is worth in an embedded library: by keyword alone, with the model, and spoiled.

    BOOKBRAIN_HOME=HOME PYTHONPATH=tests python tests/bench/meaning.py [GOLDEN.jsonl ...]

Asks tests/golden's sets, and the golden sets named, of the library in BOOKBRAIN_HOME, which holds
the books of tests/golden/run.py and their vectors. It is asked again with vectors that
are worth less: half of the model's dimensions have other places in questions than in passages, and
questions have random vectors. What the exam says of each is computed as for a model.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
from support import golden_set

from bookbrain.korean import HANGUL
from bookbrain.library import Library
from bookbrain.model import EmbeddingSpace, text_digest
from bookbrain.search import vector_leg
from bookbrain.search.evaluation import GoldenQuery, load_golden
from bookbrain.search.exam import Marks, exam, marked
from bookbrain.settings import load_settings
from bookbrain.store.embeddings import Vector

K = 5
Spoil = Callable[[Vector], Vector]


def shuffled(vector: Vector) -> Vector:
    """Half of the dimensions in other places, the same for every vector."""
    chance = np.random.default_rng(0)
    places = chance.permutation(len(vector))[: len(vector) // 2]
    spoiled = vector.copy()
    spoiled[places] = vector[chance.permutation(places)]
    return spoiled


def at_random(vector: Vector) -> Vector:
    """The same for the same vector."""
    seed = int.from_bytes(hashlib.sha256(vector.tobytes()).digest()[:8])
    return np.random.default_rng(seed).normal(size=len(vector)).astype(np.float32)


def spoiling(stack: ExitStack, spoil: Spoil) -> None:
    """Until `stack` ends, of questions and of those of the exam."""
    asked = {text_digest(q) for task in (exam().english, exam().korean, exam().across)
             for q in task.questions}  # fmt: skip
    query_vector = vector_leg.Semantics.query_vector

    def spoiled(leg: vector_leg.Semantics, space: EmbeddingSpace, query: str) -> Vector:
        return spoil(query_vector(leg, space, query))

    def marks(vectors: Mapping[str, Vector]) -> Marks | None:
        return marked({d: spoil(v) if d in asked else v for d, v in vectors.items()})

    stack.enter_context(patch.object(vector_leg.Semantics, "query_vector", spoiled))
    stack.enter_context(patch.object(vector_leg, "marked", marks))


def main() -> int:
    files = [golden_set.FOLDER / f"{name}.jsonl" for name in (*golden_set.SETS, golden_set.HARD)]
    queries = {
        file.stem: [(one, script_of(one)) for one in load_golden(file)]
        for file in (*files, *map(Path, sys.argv[1:]))
    }
    ways: dict[str, tuple[str, Spoil | None]] = {
        "keyword": ("keyword", None), "hybrid": ("hybrid", None), "vector": ("vector", None),
        "shuffled": ("hybrid", shuffled), "random": ("hybrid", at_random),
    }  # fmt: skip
    for way, (mode, spoil) in ways.items():
        with ExitStack() as stack:
            if spoil:
                spoiling(stack, spoil)
            library = stack.enter_context(Library(load_settings()))
            if mode == "hybrid" and (found := library.marks()):
                marks = (found.english, found.korean, found.across)
                said = [f"{one.first:.2f}/{one.margin:.2f}/{one.weight:.2f}" for one in marks]
                print(f"{way}: exam first/margin/weight: {', '.join(said)}")
            show(library, way, mode, queries)
    return 0


def show(
    library: Library, way: str, mode: str, queries: Mapping[str, list[tuple[GoldenQuery, str]]]
) -> None:
    """A row for each language: all sets but the hard one, then that."""
    for hard in (False, True):
        for language in ("en", "ko"):
            chosen = [
                golden
                for name, entries in queries.items() if (name == golden_set.HARD) == hard
                for golden, script in entries if script == language
            ]  # fmt: skip
            if chosen:
                result = library.evaluate(chosen, k=K, mode=mode)  # type: ignore[arg-type]
                hits = sum(bool(rank) and rank <= K for rank in result.ranks)  # type: ignore[operator]
                print(
                    f"{way:<9} {'hard' if hard else 'others':<6} {language} {hits:>3} of "
                    f"{len(chosen):>3}  hit@5 {result.hit_at_k.value:.3f}  "
                    f"MRR@10 {result.mrr_at_10.value:.3f}  p95 {result.p95_ms} ms", flush=True,
                )  # fmt: skip


def script_of(golden: GoldenQuery) -> str:
    """By which the exam's marks are chosen."""
    return "ko" if HANGUL.search(golden.query) else "en"


if __name__ == "__main__":
    sys.exit(main())
