"""Whether BookBrain works, end to end. Needs no root: what it may not see is left out.

An upgrade goes back when something here is FAIL. So that is for what is broken; what depends on
others (the endpoint, the certificate, the clock), or is for the owner to do, is `warn`.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bookbrain.backup.archives import Backup, list_backups
from bookbrain.checks import Check, State, network, services
from bookbrain.checks.channels import check_channels
from bookbrain.checks.services import SERVICES, Unit, look_at_files
from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.library import Library
from bookbrain.messages import fill
from bookbrain.model import Book
from bookbrain.paths import Layout
from bookbrain.server.access import read_address
from bookbrain.server.caddy import Machine
from bookbrain.server.probes import (
    answer_of,
    chroma_answers,
    door_of,
    output_of,
    read_certificate,
    text_of,
)
from bookbrain.settings import Settings
from bookbrain.store.damage import look_at_damage

_LITTLE, _SOME = 1e9, 5e9  # bytes of disk
_LITTLE_MEMORY = 200e6  # bytes; to read a PDF takes about as much


@dataclass(frozen=True)
class Space:
    """Bytes: of the disk that `path` is on, or of memory."""

    path: str
    free: int
    total: int


def look_at_disks(paths: Iterable[Path]) -> tuple[Space, ...]:
    """One for each disk, by the first path that is on it."""
    disks: dict[int, Space] = {}
    for path in paths:
        if path.exists() and (device := path.stat().st_dev) not in disks:
            usage = shutil.disk_usage(path)
            disks[device] = Space(str(path), usage.free, usage.total)
    return tuple(disks.values())


def read_memory(text: str) -> Space:
    """Of /proc/meminfo; swap counts."""
    kb = {
        name: int(value.split()[0])
        for name, _, value in (line.partition(":") for line in text.splitlines())
        if value.split()[:1] and value.split()[0].isdigit()
    }
    free = kb.get("MemAvailable", 0) + kb.get("SwapFree", 0)
    return Space("", free * 1024, (kb.get("MemTotal", 0) + kb.get("SwapTotal", 0)) * 1024)


def check_disk(disk: Space) -> Check:
    state = State.FAIL if disk.free < _LITTLE else State.WARN if disk.free < _SOME else State.OK
    return Check(
        "disk",
        state,
        fill(
            "{free:.1f} GB free of {total:.1f} GB at {path}",
            free=disk.free / 1e9,
            total=disk.total / 1e9,
            path=disk.path,
        ),
        "Make room: sudo apt-get clean; sudo journalctl --vacuum-size=100M",
        disk.path,
    )


def check_memory(memory: Space) -> Check:
    return Check(
        "memory",
        State.WARN if memory.free < _LITTLE_MEMORY else State.OK,
        fill(
            "{free:.1f} GB free of {total:.1f} GB, swap counted",
            free=memory.free / 1e9,
            total=memory.total / 1e9,
        ),
        "Add swap, or stop what else runs here: systemctl status",
    )


_LONG = timedelta(days=8)  # a week, and a day for a timer that was late
_REMEDY = "systemctl status bookbrain-backup.timer; then: sudo bookbrain-admin backup"


def check_backup(found: Sequence[Backup], begun: datetime | None, now: datetime) -> Check:
    """`found` is newest first; what is damaged, or made later than now, is no backup. `begun` is
    when the library was; None where that is not known, or it is empty."""
    made = [backup for backup in found if backup.made <= now]
    sound = next((backup for backup in made if backup.is_sound), None)
    damaged = next((backup for backup in made if backup.damaged), None)
    if damaged and (sound is None or damaged.made > sound.made):
        return Check(
            "backup",
            State.WARN,
            fill("The library was damaged at the last backup: {file}", file=damaged.file),
            "See what is damaged: sudo bookbrain-admin backup; then restore a sound backup.",
        )
    if sound is None:
        old = begun is not None and now - begun > _LONG
        return Check("backup", State.WARN if old else State.OK, "none yet", _REMEDY)
    age = now - sound.made
    state = State.WARN if age > _LONG else State.OK
    if age.days:
        return Check(
            "backup",
            state,
            fill("{file}, {days} days old", file=sound.file, days=age.days),
            _REMEDY,
        )
    return Check(
        "backup",
        state,
        fill("{file}, {hours} hours old", file=sound.file, hours=age.seconds // 3600),
        _REMEDY,
    )


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
