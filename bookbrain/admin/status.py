"""How a server is, as facts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bookbrain import __version__
from bookbrain.admin.asking import chroma_answers, text_of
from bookbrain.admin.certificate import Certificate, door_of, read_certificate
from bookbrain.admin.check import Check
from bookbrain.admin.doctor.door import look_at_banned
from bookbrain.admin.health import check_damage
from bookbrain.admin.publishing import Machine
from bookbrain.admin.resources import Space, look_at_disks, read_memory
from bookbrain.admin.site import Site, configured, read_site
from bookbrain.admin.units import Unit, look_at_units
from bookbrain.backup.listing import Backup, list_backups
from bookbrain.cli.opening import take_settings
from bookbrain.config import Settings
from bookbrain.errors import BookBrainError
from bookbrain.library import Library
from bookbrain.library.arrivals import INBOX, arrivals, rejections


@dataclass(frozen=True)
class Shelf:
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
    shelf: Shelf | None = None
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
        settings = take_settings(layout)
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


def _shelf(settings: Settings) -> Shelf:
    inbox = settings.home / INBOX
    with Library(settings) as library:
        books = library.books()
        return Shelf(
            books=len(books),
            pages=sum(book.pages for book in books),
            passages=sum(book.passages for book in books),
            unfinished=library.unfinished(),
            waiting=library.waiting()[0],
            arriving=len(arrivals(inbox)),
            rejected=len(rejections(inbox)),
        )
