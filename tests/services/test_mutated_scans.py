"""Scans that are odd, too large or broken: each is read, or says why not, and the rest goes on.

BOOKBRAIN_MUTATED_SCANS=200 tests/run tests/services/test_mutated_scans.py   # ten of each kind
"""

import os
import re
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from support.mutated_scans import KINDS, WORD, mutants
from support.scans import easy_scan
from support.shelf import Shelf

from bookbrain.errors import UnavailableError
from bookbrain.model import Page
from bookbrain.ocr.choice import TO_RECOGNISE
from bookbrain.ocr.page_scan import PageScan
from bookbrain.ocr.tesseract import find_tesseract
from bookbrain.settings import Settings
from bookbrain.store.folder import Stores

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]
_NUMBER = int(os.environ.get("BOOKBRAIN_MUTATED_SCANS", str(len(KINDS))))
_MOST_MEMORY = 1024  # MiB that all processes may take together: what the unit of a server has
_PATIENCE = 6000  # seconds: a safety net


def test_each_is_read_or_named(plain: Shelf, tmp_path: Path) -> None:
    try:
        find_tesseract()
    except UnavailableError as error:
        pytest.skip(str(error))
    (folder := tmp_path / "scans").mkdir()
    made = {mutant.content: mutant for mutant in mutants(_NUMBER)}.values()
    for mutant in made:
        (folder / mutant.name).write_bytes(mutant.content)
    easy_scan(folder / "last.pdf", "scheduler")
    refused = [one for one in _add(plain, folder) if one["status"] == "failed"]
    assert all(one["reason"] and one["hint"] for one in refused)

    most = _recognise(plain)

    pages = _pages(plain)
    read = {file for file, page in pages if WORD in page.text}
    named = {file for file, page in pages if page.problem}
    silent = {file for file, page in pages if not page.text and not page.problem}
    assert {mutant.name for mutant in made if mutant.whole} <= read
    assert silent == {file for file in silent if _is_blank(folder / file)}
    assert [hit["file"] for hit in plain.search("scheduler")["hits"]] == ["last.pdf"]
    tried = {file for file, page in pages if page.problem in TO_RECOGNISE}
    assert tried == {book["file"] for book in plain.books() if len(book["problems"]) > 1}
    assert plain.run("ocr", "--json").json()["pages"] == 0, "nothing is left"
    print(
        f"{len(made)} files: {len(refused)} refused, {len(pages) - len(named | silent)} read, "
        f"{len(named)} named, {len(silent)} blank; {most:.0f} MiB at most"
    )
    assert most <= _MOST_MEMORY


def _add(shelf: Shelf, folder: Path) -> list[dict[str, Any]]:
    done = shelf.add("--json", folder, code=None)
    assert done.code in (0, 1), done
    return list(done.json())


def _recognise(shelf: Shelf) -> float:
    """Have the pages read; the most memory, in MiB, that its processes had together."""
    process, most = shelf.start("ocr"), 0.0
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None:
        assert time.monotonic() < deadline
        most = max(most, sum(map(_memory, shelf.processes())))
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    shelf.finish(process)
    return most


def _pages(shelf: Shelf) -> list[tuple[str, Page]]:
    """Each page, with the name of its file."""
    with closing(Stores(Settings(shelf.home))) as stores:
        books = stores.catalog.books()
        return [(book.file, page) for book in books for page in stores.catalog.pages(book.id)]


def _memory(pid: int) -> float:
    """MiB that a process has; what it shares counts in part."""
    with suppress(OSError):
        told = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        return int(re.findall(r"Pss:\s+(\d+)", told)[0]) / 1024
    return 0.0


def _is_blank(path: Path) -> bool:
    return PageScan(str(path), 1).paint().blank
