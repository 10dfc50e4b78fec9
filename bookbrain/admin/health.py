"""Whether BookBrain works, end to end. Needs no root: what it may not see is left out.

An upgrade goes back when something here is FAIL. So that is for what is broken; what depends on
others (the endpoint, the certificate, the clock), or is for the owner to do, is `warn`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bookbrain.admin.alerts.channels import check_channels
from bookbrain.admin.asking import answer_of, chroma_answers, output_of, text_of
from bookbrain.admin.backup_age import check_backup
from bookbrain.admin.certificate import door_of, read_certificate
from bookbrain.admin.check import Check, State
from bookbrain.admin.doctor import network, services
from bookbrain.admin.publishing import Machine
from bookbrain.admin.resources import check_disk, check_memory, look_at_disks, read_memory
from bookbrain.admin.site import read_address
from bookbrain.admin.units import SERVICES, Unit, look_at_files
from bookbrain.backup.listing import list_backups
from bookbrain.config import Settings
from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.library import Library
from bookbrain.library.damage import look_at_damage
from bookbrain.model import Book
from bookbrain.server import Layout
from bookbrain.wording import fill

HEALTH_UNIT = "bookbrain-health.service"
_NEEDED = (*SERVICES, "bookbrain-ingest.service")
_APP = "127.0.0.1:8501"
_MEMORY = Path("/proc/meminfo")


def check_health(machine: Machine, settings: Settings) -> list[Check]:
    """All that was looked at; costs nothing, and changes nothing."""
    layout, on_server = machine.layout, settings.home == machine.layout.home
    books, checks = _check_library(settings)
    checks.append(check_damage(settings, datetime.now(UTC)))
    disks = [layout.home, layout.backups, layout.root] if on_server else [settings.home]
    checks += [check_disk(disk) for disk in look_at_disks(disks)]
    checks.append(check_memory(read_memory(text_of(_MEMORY))))
    clock = output_of("timedatectl", "show", "-p", "NTPSynchronized") or ""
    checks += services.check_clock(clock)
    checks += check_channels(settings.notify.channels)
    return [*checks, *_check_server(machine, books)] if on_server else checks


# The library


def _check_library(settings: Settings) -> tuple[Sequence[Book], list[Check]]:
    books: Sequence[Book] = ()
    try:
        with Library(settings) as library:
            books = library.books()
            checks = [_books(library, books), *check_files(library)]
            checks += [_search(library), *_chroma(library)]
            if settings.embedding.enabled:
                checks += [*_meaning(library), _endpoint(library)]
            return books, checks
    except BookBrainError as error:
        return books, [Check("library", State.FAIL, error.message, error.hint)]
    except (OSError, sqlite3.Error) as error:
        return books, [
            Check(
                "library",
                State.FAIL,
                fill("It cannot be read: {reason}.", reason=error),
                "See if the disk is well: sudo dmesg; else restore a backup.",
            )
        ]


def _books(library: Library, books: Sequence[Book]) -> Check:
    pages = sum(book.pages for book in books)
    waiting, reason = library.waiting()
    if unfinished := library.unfinished():
        return Check(
            "library",
            State.WARN,
            fill("Books left unfinished: {books}.", books=unfinished),
            "Run `bookbrain add`; on a server: sudo systemctl restart bookbrain-ingest",
        )
    if waiting:
        return Check(
            "library",
            State.WARN,
            fill("Books that wait: {books}. {reason}", books=waiting, reason=reason),
        )
    return Check(
        "library", State.OK, fill("books: {books}, pages: {pages}", books=len(books), pages=pages)
    )


def check_files(library: Library) -> list[Check]:
    """What is wrong with the files of the books."""
    return [Check("files", State.WARN, f.seen, f.remedy) for f in library.check_files()]


def check_damage(settings: Settings, now: datetime) -> Check:
    """What the last check for damage came to."""
    seen = look_at_damage(settings.home, now)
    return Check(seen.name, State(seen.state), seen.seen, seen.remedy)


def _search(library: Library) -> Check:
    try:
        return Check("search", State.OK, fill("by keyword, {time} ms", time=library.check_search()))
    except BookBrainError as error:
        return Check("search", State.FAIL, error.message, error.hint)


def _chroma(library: Library) -> Iterator[Check]:
    """Without a key nobody needs it."""
    url, enabled = library.settings.chroma_url, library.settings.embedding.enabled
    if url and not chroma_answers(url):
        state = State.FAIL if enabled else State.WARN
        yield services.check_chroma(url, answers=False)._replace(state=state)
    elif enabled:
        try:
            yield Check(
                "Chroma",
                State.OK,
                fill("it answers; vectors: {count}", count=library.check_chroma()),
            )
        except BookBrainError as error:
            yield Check("Chroma", State.FAIL, error.message, error.hint)
    elif url:
        yield services.check_chroma(url, answers=True)


def _meaning(library: Library) -> Iterator[Check]:
    model = library.settings.embedding.model
    if missing := library.unembedded():
        seen = fill(
            "Books that are not embedded with {model}: {books}.", model=model, books=missing
        )
        yield Check("meaning", State.WARN, seen, "Run `bookbrain embed`; on a server with sudo.")
    else:
        yield Check("meaning", State.OK, model)


def _endpoint(library: Library) -> Check:
    try:
        library.check_endpoint()
    except ConfigError as error:
        remedy = "Set another key; on a server: sudo bookbrain-admin key"
        return Check("endpoint", State.WARN, error.message, remedy)
    except BookBrainError as error:
        return Check(
            "endpoint",
            State.WARN,
            error.message,
            "Until it answers, new questions are searched by keyword only and new books wait.",
        )
    return Check("endpoint", State.OK, "it answers, and takes the key")


# The server


def _check_server(machine: Machine, books: Sequence[Book]) -> Iterator[Check]:
    layout, now = machine.layout, datetime.now(UTC)
    site = read_address(layout)
    yield services.check_application(answer_of(f"http://{site.upstream if site else _APP}/healthz"))
    for unit in look_at_files(layout, machine.systemctl):
        if unit.name != HEALTH_UNIT and unit.state != "not-found":
            yield _unit(unit)
    if site:
        shown = read_certificate(site.domain, door_of(site.domain))
        check = network.check_certificate(site, shown, now, "")
        yield check if check.state is State.OK else check._replace(state=State.WARN)
    yield from _backup(layout, books, now)


def failed_state(unit: str) -> State:
    """What is made of a unit that has failed: without these nobody can search, or add."""
    return State.FAIL if unit in _NEEDED else State.WARN


def _unit(unit: Unit) -> Check:
    if unit.state == "failed":
        (check,) = services.check_failed([unit.name], [])
        return check._replace(state=failed_state(unit.name), subject=unit.name)
    return Check(
        "service",
        State.OK,
        fill("{title}: {state}", title=unit.title, state=unit.state),
        subject=unit.name,
    )


def _backup(layout: Layout, books: Sequence[Book], now: datetime) -> Iterator[Check]:
    begun = datetime.fromisoformat(books[0].added_at) if books else None
    try:
        yield check_backup(list_backups(layout.backups), begun, now)
    except OSError:  # not for the service's eyes
        return
