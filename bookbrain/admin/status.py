"""`bookbrain-admin status`: how a server is, on one screen of 80 columns."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bookbrain import __version__
from bookbrain.admin.options import check_server, end_with, has_failed, pass_machine, show_checks
from bookbrain.backup.archives import Backup, list_backups
from bookbrain.checks import Check, State
from bookbrain.checks.condition import (
    Space,
    check_backup,
    check_damage,
    check_disk,
    check_memory,
    look_at_disks,
    read_memory,
)
from bookbrain.checks.network import check_certificate, look_at_banned
from bookbrain.checks.services import Unit, look_at_units
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import print_json, say
from bookbrain.errors import BookBrainError
from bookbrain.library import Library, arrivals, rejections
from bookbrain.messages import fill
from bookbrain.paths import LibraryPaths
from bookbrain.privileges import become_service
from bookbrain.server.access import Site, configured, read_site
from bookbrain.server.caddy import Machine
from bookbrain.server.probes import Certificate, chroma_answers, door_of, read_certificate, text_of
from bookbrain.settings import Settings


@dataclass(frozen=True)
class LibraryCounts:
    """What the library has; `unfinished`, `waiting`, `arriving` and `rejected` count books."""

    books: int
    pages: int
    passages: int
    unfinished: int
    waiting: int
    arriving: int
    rejected: int


@dataclass(frozen=True)
class Meaning:
    """Search by meaning: whether it is set up, and whether Chroma answers.

    `chroma` is None where the library starts one when it needs it.
    """

    model: str
    enabled: bool
    chroma: bool | None


@dataclass(frozen=True)
class Status:
    """What is None could not be found out, or is not there; `troubles` says why."""

    version: str
    now: datetime
    units: tuple[Unit, ...]
    site: Site | None
    certificate: Certificate | None
    disks: tuple[Space, ...]
    memory: Space
    backups: tuple[Backup, ...]
    banned: list[str] | None = None
    shelf: LibraryCounts | None = None
    meaning: Meaning | None = None
    damage: Check | None = None
    site_trouble: str = ""
    library_trouble: str = ""


def look_at_server(machine: Machine) -> Status:
    """To be called once, by root, who is the user of the service from then on."""
    layout = machine.layout
    site, site_trouble = None, ""
    try:
        site = configured(read_site(layout))
    except BookBrainError as error:
        site_trouble = error.whole
    units = look_at_units(layout, machine.systemctl)
    certificate = read_certificate(site.domain, door_of(site.domain)) if site else None
    backups: tuple[Backup, ...] = ()
    banned = look_at_banned()
    shelf, meaning, damage, library_trouble = None, None, None, ""
    try:
        settings = become_service(layout)
        backups = tuple(list_backups(layout.backups))
        meaning = _meaning(settings)
        damage = check_damage(settings, datetime.now(UTC))
        shelf = _shelf(settings)
    except BookBrainError as error:
        library_trouble = error.whole
    return Status(
        version=__version__,
        now=datetime.now(UTC),
        units=units,
        site=site,
        certificate=certificate,
        disks=look_at_disks([layout.home, layout.root]),
        memory=read_memory(text_of(Path("/proc/meminfo"))),
        backups=backups,
        banned=banned,
        shelf=shelf,
        meaning=meaning,
        damage=damage,
        site_trouble=site_trouble,
        library_trouble=library_trouble,
    )


def _meaning(settings: Settings) -> Meaning:
    url, embedding = settings.chroma_url, settings.embedding
    return Meaning(embedding.model, embedding.enabled, chroma_answers(url) if url else None)


def _shelf(settings: Settings) -> LibraryCounts:
    inbox = LibraryPaths(settings.home).inbox
    with Library(settings) as library:
        books = library.books()
        return LibraryCounts(
            books=len(books),
            pages=sum(book.pages for book in books),
            passages=sum(book.passages for book in books),
            unfinished=library.unfinished(),
            waiting=library.waiting()[0],
            arriving=len(arrivals(inbox)),
            rejected=len(rejections(inbox)),
        )


_MOST_DISKS = 3


def summarize(status: Status) -> list[Check]:
    """What is wrong is FAIL."""
    checks = [Check("version", State.OK, status.version)]
    checks += [_service(unit) for unit in status.units if not unit.is_timer]
    checks += _timers([unit for unit in status.units if unit.is_timer])
    checks += _library(status.shelf, status.library_trouble)
    if status.damage:
        checks.append(_short(status.damage))
    if status.meaning:
        checks.append(_check_meaning(status.meaning))
    checks += _site(status)
    checks.append(_guessing(status.banned))
    checks += [_short(check_disk(disk)) for disk in status.disks[:_MOST_DISKS]]
    checks.append(_short(check_memory(status.memory)))
    checks.append(_short(check_backup(status.backups, None, status.now)))
    return checks


def _service(unit: Unit) -> Check:
    state = State.OK if unit.runs else State.FAIL
    name = unit.title.removeprefix("bookbrain-")
    if unit.since is None:
        return Check("service", state, fill("{unit}: {state}", unit=name, state=unit.state))
    since = f"{unit.since:%Y-%m-%d %H:%M}"
    if unit.restarts:
        return Check(
            "service",
            state,
            fill(
                "{unit}: {state} since {since}, restarts: {count}",
                unit=name,
                state=unit.state,
                since=since,
                count=unit.restarts,
            ),
        )
    return Check(
        "service",
        state,
        fill("{unit}: {state} since {since}", unit=name, state=unit.state, since=since),
    )


def _timers(units: Sequence[Unit]) -> list[Check]:
    """One line for those that wait for their hour, and one for the others."""
    lines = []
    for state, chosen in (
        (State.OK, [unit for unit in units if unit.runs]),
        (State.FAIL, [unit for unit in units if not unit.runs]),
    ):
        names = ", ".join(
            unit.name.removeprefix("bookbrain-").removesuffix(".timer") for unit in chosen
        )
        if names and state is State.OK:
            lines.append(Check("timer", state, fill("active: {names}", names=names)))
        elif names:
            lines.append(Check("timer", state, fill("not active: {names}", names=names)))
    return lines


def _library(shelf: LibraryCounts | None, trouble: str) -> list[Check]:
    if shelf is None:
        return [Check("library", State.FAIL, trouble)]
    waits = shelf.unfinished + shelf.waiting
    return [
        Check(
            "library",
            State.OK,
            fill(
                "books: {books}, pages: {pages}, passages: {passages}",
                books=shelf.books,
                pages=shelf.pages,
                passages=shelf.passages,
            ),
        ),
        Check(
            "inbox",
            State.FAIL if waits else State.WARN if shelf.rejected else State.OK,
            fill(
                "unfinished: {unfinished}, waiting: {waiting}, "
                "arriving: {arriving}, rejected: {rejected}",
                unfinished=shelf.unfinished,
                waiting=shelf.waiting,
                arriving=shelf.arriving,
                rejected=shelf.rejected,
            ),
        ),
    ]


def _check_meaning(meaning: Meaning) -> Check:
    if meaning.chroma is False:
        return Check("meaning", State.FAIL, "Chroma does not answer: search is by keyword only")
    if not meaning.enabled:
        return Check("meaning", State.OK, "off, for there is no key")
    if meaning.chroma is None:
        return Check("meaning", State.OK, meaning.model)
    return Check("meaning", State.OK, fill("{model}; Chroma answers", model=meaning.model))


def _site(status: Status) -> list[Check]:
    if status.site is None:
        return [Check("site", State.FAIL, status.site_trouble)]
    checks = [Check("site", State.OK, status.site.url)]
    return [*checks, _short(check_certificate(status.site, status.certificate, status.now, ""))]


def _guessing(banned: Sequence[str] | None) -> Check:
    if banned is None:
        return Check("guessing", State.WARN, "not refused: fail2ban does not watch")
    return Check(
        "guessing",
        State.OK,
        fill("addresses that fail2ban refuses now: {count}", count=len(banned)),
    )


def _short(check: Check) -> Check:
    """The remedy is the business of the doctor."""
    return check._replace(remedy="")


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@pass_machine
def status(machine: Machine, as_json: bool) -> None:
    """Show how this server is, on one screen; ends with 1 when something is wrong."""
    check_server(machine.layout)
    seen = look_at_server(machine)
    checks = summarize(seen)
    if as_json:
        print_json(json.dumps(_as_object(seen, checks), ensure_ascii=False, default=str))
    else:
        show_checks(checks)
        if has_failed(checks):
            say("What to do about it: sudo bookbrain-admin doctor")
    end_with(checks)


def _as_object(seen: Status, checks: Iterable[Check]) -> dict[str, Any]:
    """Without the secrets of the site."""
    site = seen.site
    return asdict(seen) | {
        "site": {"url": site.url, "acme": site.acme} if site else None,
        "ok": not has_failed(checks),
    }
