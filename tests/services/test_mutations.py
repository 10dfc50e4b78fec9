"""Five hundred damaged PDFs: each is a book or has a one-line reason, and the library lives on."""

from pathlib import Path

import pytest
from support import debian_books, pdfs
from support.shelf import Shelf

pytestmark = pytest.mark.slow

_MUTANTS, _COMMANDS = 500, 5
_LARGEST = 400_000  # bytes of an original: larger ones only take longer


def _originals(folder: Path) -> list[bytes]:
    made = [
        pdfs.long_book(folder / "mixed.pdf", 6, seed=1, language="mixed"),
        pdfs.long_book(folder / "english.pdf", 10, seed=2, language="en"),
        pdfs.mixed(folder / "part.pdf", ["text", "scan", "blank", "text"]),
        pdfs.book(folder / "labels.pdf", ["one", "two", "three"], labels=["i", "ii", "1"]),
        pdfs.garbled(folder / "garbled.pdf", good=["A good page."]),
        pdfs.odd_text(folder / "odd.pdf"),
        pdfs.encrypted(folder / "open.pdf", ""),
        pdfs.script(folder / "script.pdf"),
    ]
    return [path.read_bytes() for path in [*made, *_real_books()]]


def _real_books() -> list[Path]:
    found = []
    for package in debian_books.PACKAGES:
        try:
            found += debian_books.fetch(package)
        except debian_books.NoBooks as reason:
            print(f"without {package}: {reason}")
    return sorted((p for p in found if p.stat().st_size < _LARGEST), key=lambda p: p.name)[:4]


def test_each_is_a_book_or_has_a_reason(plain: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "mutants"
    folder.mkdir()
    names = []
    for name, data in pdfs.mutations(_originals(tmp_path), _MUTANTS):
        (folder / name).write_bytes(data)
        names.append(folder / name)
    share = _MUTANTS // _COMMANDS
    statuses: list[str] = []
    for start in range(0, _MUTANTS, share):
        files = names[start : start + share]
        done = plain.run("add", "--json", *files, code=None, BOOKBRAIN_READ_TIMEOUT="20")
        assert done.code in (0, 1), done
        outcomes = done.json()
        assert [outcome["path"] for outcome in outcomes] == [str(file) for file in files]
        for outcome in outcomes:
            assert "BookBrain failed" not in outcome["reason"], outcome
            assert (outcome["status"] == "failed") == bool(outcome["reason"] and outcome["hint"])
            assert "\n" not in outcome["reason"] + outcome["hint"]
        statuses += [outcome["status"] for outcome in outcomes]
    added = statuses.count("added")
    print({status: statuses.count(status) for status in sorted(set(statuses))})
    assert 0 < added < _MUTANTS  # the wounds are neither harmless nor all deadly
    assert len(plain.books()) == added
    good = pdfs.long_book(tmp_path / "good.pdf", 9, seed=77)
    plain.add(good)
    hit = plain.search(pdfs.probe(77, 6))["hits"][0]
    assert (hit["file"], hit["page"]) == ("good.pdf", 7)
    before = plain.search("비동기 처리")["hits"]
    plain.run("rebuild")
    assert plain.search("비동기 처리")["hits"] == before
