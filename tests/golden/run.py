"""Search on the whole golden set, inside a library of a thousand books.

    PYTHONPATH=tests python tests/golden/run.py [--mode keyword|hybrid|vector] [--missed]

Fetches Debian's packages and adds their books and the handbook to the library in .cache/golden,
which takes minutes the first time. OPENAI_BASE_URL and the other settings count as ever, so that a
model can be measured. --missed names the queries that no hit of the first five answers.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

from support import debian_books, golden_set

from bookbrain.library import Library
from bookbrain.model import Mode
from bookbrain.search.evaluation import Evaluation, Measure
from bookbrain.settings import load_settings

HOME = Path(__file__).parents[2] / ".cache" / "golden"
K = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=get_args(Mode), default="keyword")
    parser.add_argument("--missed", action="store_true")
    options = parser.parse_args()
    os.environ["BOOKBRAIN_HOME"] = str(HOME)
    with debian_books.needed():
        code = fill()
    if code not in (0, 1):  # 1: files without text were refused
        print(f"bookbrain add ended with {code}: some books are missing.", file=sys.stderr)
        return 1
    with Library(load_settings()) as library:
        print(
            f"{options.mode:<15} {'n':>4}  {'hit@1':<17} {'hit@5':<17} {'MRR@10':<17} p50, p95 ms"
        )
        for name in (*golden_set.SETS, golden_set.HARD, golden_set.TYPED):
            entries = golden_set.entries(name)
            for language in ("", "ko", "en"):
                chosen = [e.golden for e in entries if language in ("", e.language)]
                if not chosen:
                    continue
                result = library.evaluate(chosen, k=K, mode=options.mode)
                print(row(f"{name} {language}", result), flush=True)
                if options.missed and not language:
                    print_missed(result)
    return 0


def fill() -> int:
    """Add what the library in HOME lacks; the exit code of `bookbrain add`.

    Raises NoBooks when a book is another edition: the measure would lie.
    """
    golden_set.fetch_editions(list(golden_set.packages()))
    folders = [debian_books.CACHE / package for package in debian_books.LIBRARY]
    for package in debian_books.LIBRARY:
        debian_books.fetch(package)
    command = [sys.executable, "-m", "bookbrain.cli", "add", "--sample", *map(str, folders)]
    return subprocess.run(command, check=False).returncode


def row(name: str, result: Evaluation) -> str:
    measures = (result.hit_at_1, result.hit_at_k, result.mrr_at_10)
    return (
        f"{name:<15} {len(result.ids):>4}  {'  '.join(map(shown, measures))}  "
        f"{result.p50_ms}, {result.p95_ms}"
    )


def shown(measure: Measure) -> str:
    return f"{measure.value:.2f} ({measure.low:.2f}–{measure.high:.2f})"


def print_missed(result: Evaluation) -> None:
    ranks = zip(result.ids, result.ranks, strict=True)
    print("  missed:", " ".join(i for i, rank in ranks if not rank or rank > K))


if __name__ == "__main__":
    sys.exit(main())
