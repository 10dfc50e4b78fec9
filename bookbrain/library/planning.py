"""What adding a file would take, before it is added."""

from pathlib import Path

from bookbrain.errors import InputError
from bookbrain.ingest.discovery import check_is_pdf
from bookbrain.ingest.passages import make_passages
from bookbrain.ingest.reading import read_pdf
from bookbrain.ingest.tokens import count_tokens
from bookbrain.library.reports import Plan, Progress
from bookbrain.library.stores import Stores
from bookbrain.library.taking import file_digest


def plan_file(stores: Stores, path: Path, name: str, progress: Progress) -> Plan:
    """The plan for the PDF at `path`, which is known by `name`; it is read, and nothing changes."""
    try:
        return _plan(stores, path, name, progress)
    except InputError as error:
        return Plan(name, reason=error.message, hint=error.hint)


def _plan(stores: Stores, path: Path, name: str, progress: Progress) -> Plan:
    check_is_pdf(path)
    if book := stores.catalog.book(file_digest(path)):
        known = stores.has_file(book.id)  # else adding it mends the book
        return Plan(name, book.title, book.pages, book.passages, 0, known=known)
    text = read_pdf(
        path,
        timeout=stores.settings.read_timeout,
        memory_mb=stores.settings.read_memory,
        progress=lambda *at: progress.step("reading", *at),
    )
    passages = make_passages(text.pages)
    tokens = sum(count_tokens(passage.text) for passage in passages)
    return Plan(name, text.title or Path(name).stem, len(text.pages), len(passages), tokens)
