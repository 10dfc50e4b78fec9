"""Where a library keeps its things, and a server, as `install.sh --domain …` lays it out."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bookbrain.errors import BusyError, ConfigError

SERVICE_USER = "bookbrain"
DATABASES = CATALOG, STORE = "catalog.sqlite3", "embeddings.sqlite3"
BOOKS, KEYWORDS = "books", "keywords"
STAMP_FILE = "library.json"  # in `books` and in `keywords`
REJECTED = "rejected"  # in the inbox
PDF = ".pdf"


class Below:
    """What is in the folder of a library, or of a server, under this name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, paths: "LibraryPaths | Layout", _: type) -> Path:
        return paths.top / self.name


@dataclass(frozen=True)
class LibraryPaths:
    """Every file, folder and lock of the library in the folder `top`."""

    top: Path

    settings = Below("bookbrain.env")
    credentials = Below("credentials")
    catalog = Below(CATALOG)
    embeddings = Below(STORE)
    books = Below(BOOKS)  # a PDF and its card for each, and the stamp
    keywords = Below(KEYWORDS)  # segments, commits, and the stamp
    incoming = Below("incoming")  # copies of files on their way in
    inbox = Below("inbox")
    uploads = Below(".uploads")  # on their way into the inbox
    reserve = Below("reserve")  # room that is kept to remove a book
    backups = Below("backups")
    # Chroma's own server: its data, where it answers, what it says
    chroma = Below("chroma")
    chroma_address = Below("chroma.json")
    chroma_log = Below("chroma.log")
    # What checks found, and what was told of it
    damage = Below("check.json")
    last_check = Below("last-check.json")
    health = Below("health.json")
    # Work under way, and what a kill may leave of it
    snapshot = Below(".backup")  # on its way into an archive
    restoring = Below(".restoring")  # what an archive brought, on its way into the library
    verifying = Below(".verifying")  # a library made to see whether an archive works
    before_restore = Below("before.sqlite3")  # in what an archive brought
    before_upgrade = Below(".before-upgrade")  # whole or not there
    purchase_reserve = Below("embeddings.reserve")
    recognising = Below(".recognising")  # postings of pages that were read from their pictures
    scans_came = Below("scans-came")  # there until the unit that reads scans starts again
    ocr_pace = Below("ocr.json")  # how long such a page took
    spending = Below("spending.json")  # what answers cost this month
    golden = Below("answers.jsonl")  # questions whose answer somebody judged, for `eval --answers`
    # Models that embed on this machine: each in a folder of its own, and which one is chosen; where
    # the process answers that has it in memory, and what that says
    models = Below("models")
    model_choice = Below("embedding-model")
    model_socket = Below("model.sock")
    model_log = Below("model.log")
    # Locks: of the writer, of who works on books, takes from the inbox, checks, tells, buys, reads
    # scans …
    library_lock = Below("library.lock")
    worker_lock = Below("worker.lock")
    inbox_lock = Below("inbox.lock")
    damage_lock = Below("check.lock")
    health_lock = Below("health.lock")
    purchase_lock = Below("embeddings.lock")
    ocr_lock = Below("ocr.lock")
    spending_lock = Below("spending.lock")
    golden_lock = Below("answers.lock")
    backup_lock = Below("backup.lock")  # … of a backup or a restore, of a verification
    verify_lock = Below("verify.lock")
    chroma_users = Below("chroma.users")  # … and of who uses our Chroma, is it, starts it
    chroma_server = Below("chroma.server")
    chroma_start = Below("chroma.start")
    model_server = Below("model.server")  # … and of who is the process of the model, starts it
    model_start = Below("model.start")
    model_lock = Below("model.lock")  # … installs one

    def book_file(self, book_id: str) -> Path:
        return self.books / f"{book_id}{PDF}"

    def incoming_file(self, book_id: str) -> Path:
        """Where the copy of a file is until its book is in the catalog."""
        return self.incoming / f"{book_id}{PDF}"

    def card(self, book_id: str) -> Path:
        return self.books / f"{book_id}.json"


@dataclass(frozen=True)
class Layout:
    """The files and folders of a server below `top`, which is `/` but in tests."""

    top: Path = Path("/")

    home = Below("var/lib/bookbrain")  # the library
    inbox = Below("var/lib/bookbrain/inbox")  # PDFs that land here are added
    backups = Below("var/backups/bookbrain")
    logs = Below("var/log/bookbrain")  # what the journal said, a file for each month
    # Root's notes of an upgrade; there until the new release was judged, or undone.
    upgrading = Below("opt/bookbrain/upgrading")
    etc = Below("etc/bookbrain")
    settings = Below("etc/bookbrain/bookbrain.env")
    # Secrets, each a file that only root reads; systemd hands them to the units.
    credentials = Below("etc/bookbrain/credentials")
    site = Below("etc/bookbrain/site.json")  # the truth about the site, for root only
    # What everybody may know of the site: services have no rights to see the rest.
    address = Below("etc/bookbrain/address.json")
    agent_tokens = Below("etc/bookbrain/tokens.json")  # hashes of them; the app may read it
    site_piece = Below("etc/bookbrain/caddy/site.caddy")  # what Caddy is told of the site
    caddyfile = Below("etc/caddy/Caddyfile")  # that of the machine, which imports ours
    # Where the running Caddy is told what to do: in its home, where it can make a socket.
    caddy_socket = Below("var/lib/caddy/admin.sock")
    sign_in_socket = Below("var/lib/caddy/sign-in.sock")  # where it compares passwords, for itself


def site_domain(layout: Layout) -> str:
    """The domain under which the server is asked, as it is now; "" where it has none yet."""
    try:
        return str(json.loads(layout.address.read_text(encoding="utf-8"))["domain"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def layout_of(home: Path) -> Layout | None:
    """The server whose library is at `home`."""
    layout = Layout(home.parents[2]) if len(home.parents) > 2 else Layout()
    return layout if home == layout.home else None


def is_upgrading(home: Path) -> bool:
    """Whether `home` is a server's library, and the release that serves it is not judged yet."""
    layout = layout_of(home)
    return layout is not None and layout.upgrading.exists()


def refuse_in_upgrade(home: Path) -> None:
    """Raise BusyError while `is_upgrading`: what is written now could be lost by going back."""
    if is_upgrading(home):
        raise BusyError(
            "An upgrade is under way: nothing can be changed just now.",
            "Try again in a few minutes.",
        )


def with_server_defaults(env: Mapping[str, str], layout: Layout = Layout()) -> dict[str, str]:
    """The environment in which a command works: on a server, for root, the one of its service.

    Raises ConfigError for an ordinary user of a server who has no library: theirs is not meant.
    """
    if env.get("BOOKBRAIN_HOME") or not layout.settings.exists():
        return dict(env)
    if os.geteuid() != 0:
        raise ConfigError("The library of this server belongs to root.", "Run it with sudo.")
    return service_environment(layout) | {name: value for name, value in env.items() if value}


def service_environment(layout: Layout) -> dict[str, str]:
    """Where the services of a server find its library and its settings."""
    return {
        "BOOKBRAIN_HOME": str(layout.home),
        "BOOKBRAIN_SETTINGS": str(layout.settings),
        "CREDENTIALS_DIRECTORY": str(layout.credentials),
    }
