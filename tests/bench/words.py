"""The words of manuals beside those that poppler sees, and beside another release's, in one run.

    PYTHONPATH=tests python tests/bench/words.py FOLDER [--books 80] [--seed 1] [--before TREE]

Takes books at random from a folder of PDFs, the same for a seed. `--before` is a checkout of an
earlier release: what its reader had on a page and this one has not is counted and listed, but for
the printed numbers of lines. A word is a run of two letters or more; a hyphen at the end of a line
is undone for both.
Needs `pdftotext` (package poppler-utils).
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
_READ = """
import json, sys
from pathlib import Path
from bookbrain.errors import BookBrainError
from bookbrain.formats.pdf import PdfReader
with PdfReader(timeout=120, memory_mb=2000) as reader:
    for line in sys.stdin:
        try:
            pages = [page.lines or "" for page in reader.read(Path(line.strip())).pages]
        except BookBrainError:
            pages = None
        print(json.dumps(pages), flush=True)
"""
_WORD = re.compile(r"[^\W\d_]{2,}")
_HYPHENATED = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010]\n\s*(?=[^\W\d_])")
_SHOWN = 40


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--books", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier release")
    options = parser.parse_args()
    books = sorted(options.folder.rglob("*.pdf"))
    books = random.Random(options.seed).sample(books, min(options.books, len(books)))
    ours = read_all(books, ROOT)
    print(f"{len(books)} books, {sum(len(pages or ()) for pages in ours):,} pages")
    print_missing("pdftotext -layout", books, [poppler(book) for book in books], ours)
    if options.before:
        print_missing("the release before", books, read_all(books, options.before), ours)
    return 0


def read_all(books: Sequence[Path], tree: Path) -> list[list[str] | None]:
    """The lines of each page of each book, as the reader of a checkout has them."""
    command = [sys.executable, "-c", _READ]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    asked = "".join(f"{book.resolve()}\n" for book in books)
    done = subprocess.run(
        command,
        input=asked,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=tree,
    )  # its modules come before all others
    return [json.loads(line) for line in done.stdout.splitlines()]


def poppler(book: Path) -> list[str] | None:
    command = ["pdftotext", "-layout", "-q", str(book), "-"]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout
    return text.decode("utf-8", "replace").split("\f")[:-1]


def words_of(page: str) -> Counter[str]:
    text = unicodedata.normalize("NFKC", page)
    return Counter(_WORD.findall(_HYPHENATED.sub("", text)))


def print_missing(
    name: str, books: Sequence[Path], theirs: Sequence[list[str] | None],
    ours: Sequence[list[str] | None],
) -> None:  # fmt: skip
    """How many words of another reader's are on our page, too, and examples of those that are not.

    A word that stands in ours in parts, or in a longer one, is counted apart: it is there, but not
    found by itself.
    """
    total = missing = joined = 0
    examples: list[str] = []
    for book, other, own in zip(books, theirs, ours, strict=True):
        for number, (page, mine) in enumerate(zip(other or (), own or (), strict=False), 1):
            wanted, there = words_of(page), words_of(mine)
            letters = "".join(_WORD.findall(unicodedata.normalize("NFKC", mine)))
            total += sum(wanted.values())
            for word, count in (wanted - there).items():
                if word in letters:
                    joined += count
                else:
                    missing += count
                kind = "in parts" if word in letters else "missing"
                examples.append(f"{kind}: {book.name} {number}: {word}")
    share = 1 - (missing + joined) / max(total, 1)
    parted = 1 - missing / max(total, 1)
    print(f"\n{name}: {total:,} words; {share:.4%} are there as such,")
    print(f"{parted:.4%} as such or split differently: {joined:,} in other parts, {missing:,} not")
    random.Random(0).shuffle(examples)
    print("\n".join(examples[:_SHOWN]))


if __name__ == "__main__":
    sys.exit(main())
