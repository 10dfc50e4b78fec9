"""How the library and the machine are: what the app sees itself, and what was seen for it."""

import shutil
from collections.abc import Callable, Container, Iterator
from datetime import datetime, timedelta

from bookbrain.errors import BookBrainError
from bookbrain.last_check import Seen, last_check
from bookbrain.library import Library
from bookbrain.library.damage import look_at_damage
from bookbrain.wording import fill

_LONG = timedelta(hours=1)  # the timer of a server comes every quarter of an hour
_LITTLE, _SOME = 1e9, 5e9  # bytes of disk


def look(library: Library, now: datetime) -> list[Seen]:
    """All that is known, the worst first; costs nothing."""
    own = [*_look_at_library(library), look_at_damage(library.settings.home, now), _disk(library)]
    told = _told(library, {seen.name for seen in own}, now)
    ranks = ("FAIL", "warn", "ok")
    return sorted([*own, *told], key=lambda seen: ranks.index(seen.state))


def _look_at_library(library: Library) -> Iterator[Seen]:
    yield _books(library)
    yield from (Seen("files", "warn", f.seen, f.remedy) for f in library.check_files())
    yield _ask("search", lambda: f"by keyword, {library.check_search()} ms")
    if library.settings.embedding.enabled:
        yield _ask("Chroma", lambda: f"it answers; vectors: {library.check_chroma()}")
        yield _meaning(library)
    else:
        yield Seen(
            "meaning",
            "ok",
            "off, for there is no key",
            "Set OPENAI_API_KEY (or OPENAI_BASE_URL of a compatible server), start BookBrain again "
            "and run `bookbrain embed`; on a server: sudo bookbrain-admin key",
        )


def _ask(name: str, seen: Callable[[], str]) -> Seen:
    try:
        return Seen(name, "ok", seen())
    except BookBrainError as error:
        return Seen(name, "FAIL", error.message, error.hint)


def _books(library: Library) -> Seen:
    waiting, reason = library.waiting()
    if unfinished := library.unfinished():
        return Seen(
            "library",
            "warn",
            fill("Books left unfinished: {books}.", books=unfinished),
            "Run `bookbrain add`; on a server: sudo systemctl restart bookbrain-ingest",
        )
    if waiting:
        return Seen(
            "library",
            "warn",
            fill("Books that wait: {books}. {reason}", books=waiting, reason=reason),
        )
    books = library.books()
    pages, passages = sum(book.pages for book in books), sum(book.passages for book in books)
    return Seen(
        "library",
        "ok",
        fill(
            "books: {books}, pages: {pages}, passages: {passages}",
            books=len(books),
            pages=pages,
            passages=passages,
        ),
    )


def _meaning(library: Library) -> Seen:
    model = library.settings.embedding.model
    if missing := library.unembedded():
        return Seen(
            "meaning",
            "warn",
            fill("Books that are not embedded with {model}: {books}.", model=model, books=missing),
            "Run `bookbrain embed`; on a server with sudo.",
        )
    return Seen("meaning", "ok", model)


def _disk(library: Library) -> Seen:
    home = library.settings.home
    disk = shutil.disk_usage(home)
    state = "FAIL" if disk.free < _LITTLE else "warn" if disk.free < _SOME else "ok"
    seen = fill(
        "{free:.1f} GB free of {total:.1f} GB at {path}",
        free=disk.free / 1e9,
        total=disk.total / 1e9,
        path=home,
    )
    return Seen("disk", state, seen, "" if state == "ok" else "Make room on it.")


def _told(library: Library, known: Container[str], now: datetime) -> Iterator[Seen]:
    """What the last health check of a server saw beside that; nothing where there is no server."""
    last = last_check(library.settings.home)
    if last is None:
        return
    yield from (seen for seen in last.seen if seen.name not in known)
    if now - last.at > _LONG:
        yield Seen(
            "health",
            "warn",
            fill("The last health check was at {time:%Y-%m-%d %H:%M} UTC.", time=last.at),
            "systemctl status bookbrain-health.timer",
        )
