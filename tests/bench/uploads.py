"""Six books of 300 MB at once from a browser into an app that has 1 GB: what it takes of memory.

`PYTHONPATH=tests python tests/bench/uploads.py [--books 6] [--megabytes 300] [--limit 1024]`, with
Debian's Chromium. As root on a machine with the memory controller of cgroup v1 the app, and all
that it starts, gets no more than the limit; elsewhere it says that it has none.
"""

import argparse
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from support.app import App, serving
from support.large_books import Memory, make_books
from support.shelf import Shelf, wait_for

_CGROUPS = Path("/sys/fs/cgroup/memory")
_LONG = 1_800_000.0  # milliseconds


@contextmanager
def limited(limit_mb: int) -> Iterator[Path | None]:
    """A cgroup that has so much memory; None where there is none to be had."""
    if not (_CGROUPS / "memory.limit_in_bytes").exists() or os.geteuid() != 0:
        yield None
        return
    group = _CGROUPS / f"bookbrain-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(limit_mb << 20))
    try:
        yield group
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text(), "the end of the app", 120)
        group.rmdir()


def upload(visitor: Page, app: App, books: list[Path], inbox: Path) -> None:
    """What a person does on the page."""
    memory = Memory(app.process.pid)
    visitor.goto(f"http://127.0.0.1:{app.port}/books")
    visitor.locator("input[type=file]").wait_for(state="attached")
    time.sleep(3)
    before = memory.begin()
    begun = time.monotonic()
    visitor.locator("input[type=file]").set_input_files(books)
    button = visitor.get_by_role("button", name=f"Add {len(books)} books")
    button.wait_for(timeout=_LONG)
    seconds = time.monotonic() - begun
    grown = memory.most - before
    print(f"app: {before:.0f} MB before, {memory.most:.0f} MB at most (+{grown:.0f}) "
          f"while {len(books)} books came and were read, {seconds:.0f} s")  # fmt: skip
    memory.begin()
    button.click()
    arrived: set[str] = set()

    def all_are_there() -> bool:
        arrived.update(path.name for path in inbox.glob("*.pdf"))
        return arrived >= {book.name for book in books}

    wait_for(all_are_there, "all books in the inbox", 300)
    visitor.get_by_text(f"books: {len(books)}, pages: {len(books)}").wait_for(timeout=_LONG)
    print(f"arrived in the inbox: {len(arrived)}; all are books after "
          f"{time.monotonic() - begun:.0f} s; app {memory.most:.0f} MB at most")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--books", type=int, default=6)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--limit", type=int, default=1024)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bookbrain-uploads-", dir="/var/tmp"))
    try:
        books = make_books(folder, asked.books, asked.megabytes)
        with limited(asked.limit) as group, Shelf(folder / "library") as shelf:
            enter = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]
            shelf.inside = enter if group else []
            with serving(shelf) as app, sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"),
                    args=["--no-sandbox", "--disable-dev-shm-usage"],
                )
                visitor = browser.new_context(locale="en-US").new_page()
                upload(visitor, app, books, shelf.home / "inbox")
                browser.close()
            if group:
                most = int((group / "memory.max_usage_in_bytes").read_text()) >> 20
                killed = re.findall(r"oom_kill (\d+)", (group / "memory.oom_control").read_text())
                print(f"limit {asked.limit} MB, all with page cache {most} MB, killed: {killed}")
            else:
                print("no limit: no memory controller to be had")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
