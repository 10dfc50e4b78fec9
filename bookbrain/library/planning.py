"""What adding files would take, before anything is changed or bought."""

from collections.abc import Sequence
from pathlib import Path

from bookbrain.errors import InputError
from bookbrain.ingest.discovery import Found, check_is_pdf, find_books
from bookbrain.ingest.passages import make_passages
from bookbrain.ingest.tokens import count_tokens
from bookbrain.library.reports import Plan, Progress
from bookbrain.library.stores import Stores
from bookbrain.library.taking import file_digest, read_book


def plan(stores: Stores, paths: Sequence[str | Path], progress: Progress) -> list[Plan]:
    """What each of the paths would take; reads the files and changes nothing."""
    found: Found = find_books(paths)
    plans = [Plan(path, reason=e.message, hint=e.hint) for path, e in found.unusable]
    for number, path in enumerate(found.files, start=1):
        progress.begin(path.name, number, len(found.files))
        try:
            plans.append(_plan(stores, path, progress))
        except InputError as error:
            plans.append(Plan(str(path), reason=error.message, hint=error.hint))
    return plans


def _plan(stores: Stores, path: Path, progress: Progress) -> Plan:
    """A book whose own file is damaged or gone is not known: adding it would mend it."""
    check_is_pdf(path)
    if book := stores.catalog.book(file_digest(path)):
        there = stores.has_file(book.id)
        return Plan(path.name, book.title, book.pages, book.passages, 0, known=there)
    text = read_book(stores.settings, path, lambda *at: progress.step("reading", *at))
    passages = make_passages(text.pages)
    tokens = sum(count_tokens(passage.text) for passage in passages)
    return Plan(path.name, text.title or path.stem, len(text.pages), len(passages), tokens)
