"""What a search takes while a backup is made and verified, as a ratio to the quiet time before.

    PYTHONPATH=tests python tests/bench/backup.py [--seconds 60]

Ten queries a second against `bookbrain serve` on five Debian books, embedded by the stand-in.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

from support.app import serving
from support.debian_books import QUERIES, five_books, needed
from support.openai_process import OpenAIProcess
from support.shelf import Shelf


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="of the quiet time")
    options = parser.parse_args()
    with needed():
        books = five_books()
    with (
        TemporaryDirectory() as folder,
        OpenAIProcess() as openai,
        Shelf(Path(folder) / "library", openai) as shelf,
    ):
        shelf.add(*books)
        with serving(shelf) as app:
            compare(shelf, app.port, options.seconds)
    return 0


def compare(shelf: Shelf, port: int, seconds: int) -> None:
    """Print a line for each time."""
    quiet = visited(port, lambda: sleep(seconds))
    show("quiet", quiet, quiet)
    for name in ("backup", "verify"):
        show(name, visited(port, lambda name=name: admin(shelf, name)), quiet)


def visited(port: int, work: Callable[[], None]) -> dict[str, list[float]]:
    """What a visitor saw during `work`."""
    command = [sys.executable, "-m", "support.visitor", f"http://127.0.0.1:{port}", *QUERIES]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[1],
    ) as visitor:  # fmt: skip
        work()
        return dict(json.loads(visitor.communicate()[0]))


def admin(shelf: Shelf, command: str) -> None:
    program = [sys.executable, "-P", "-c", "from bookbrain.admin import main; main()"]
    subprocess.run([*program, command], env=shelf.env, check=True, stdout=subprocess.DEVNULL)


def show(name: str, seen: dict[str, list[float]], quiet: dict[str, list[float]]) -> None:
    p50, p95 = (share_of(seen, share) for share in (0.5, 0.95))
    ratio = p95 / share_of(quiet, 0.95)
    print(
        f"{name:8} {len(seen['ms']):5} answers, wrong {len(seen['wrong'])}, "
        f"p50 {p50:6.1f} ms, p95 {p95:6.1f} ms, {ratio:.2f} times the quiet p95"
    )


def share_of(seen: dict[str, list[float]], share: float) -> float:
    return seen["ms"][int(len(seen["ms"]) * share)]


if __name__ == "__main__":
    sys.exit(main())
