"""What goes into an archive: the library of one moment and the settings, measured."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from bookbrain import __version__
from bookbrain.backup.archive import FORMAT, GOLDEN, Content, Manifest, Member, listed, measure
from bookbrain.backup.archives import OnStep, Steps
from bookbrain.files import open_file
from bookbrain.library import Library
from bookbrain.messages import fill
from bookbrain.paths import BOOKS, DATABASES, LibraryPaths
from bookbrain.settings import Settings, without_secrets
from bookbrain.store.copy import SCHEMAS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What a backup is to be. `secrets` are members for an encrypted one only."""

    folder: Path
    books: bool = True
    encrypt: bool = False
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Packed:
    """The members of an archive; `lost` names the books whose file is gone or damaged. What makes
    the library unsound, a lost file too, is in the manifest."""

    manifest: Manifest
    contents: Mapping[str, Content] = field(repr=False)
    lost: tuple[str, ...]
    unsound: tuple[str, ...]  # of the databases


def pack(
    settings: Settings, request: Request, staging: Path, made: datetime, on_step: OnStep
) -> Packed:
    """Take a snapshot into the folder `staging`, which is to stay until the archive is written."""
    with Library(settings) as library:
        snapshot = library.snapshot(
            staging, books=request.books, on_copied=lambda done, of: on_step("copying", done, of)
        )
    contents = _settings(settings) | _judged(LibraryPaths(settings.home).golden)
    if request.encrypt:
        contents |= request.secrets
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    files.sort(key=lambda path: path.name not in DATABASES)  # these before the many files
    contents |= {str(path.relative_to(staging)): path for path in files}
    members = _measured(contents, on_step)
    damaged = {m.name for m in members if m.name.startswith(f"{BOOKS}/") and m.sha256 not in m.name}
    lost = {book.id for book in snapshot.lost} | {Path(name).stem for name in damaged}
    names = tuple(b.file for b in snapshot.books if b.id in lost)
    manifest = Manifest(
        format=FORMAT,
        made=made.isoformat(),
        versions={
            "bookbrain": __version__, "chroma": version("chromadb"),
            "python": sys.version.split()[0],
        },
        schemas=dict(SCHEMAS),
        spaces=snapshot.spaces,
        complete=request.books and not lost and not snapshot.unsound,
        embeddings=snapshot.embeddings,
        books=tuple(map(listed, snapshot.books)),
        members=tuple(member for member in members if member.name not in damaged),
        unsound=(
            *snapshot.unsound,
            *(fill("the file of a book is gone or damaged: {file}", file=name) for name in names),
        ),
    )  # fmt: skip
    return Packed(manifest, contents, names, snapshot.unsound)


def _settings(settings: Settings) -> dict[str, Content]:
    """The file with the settings, where there is one."""
    if not settings.file or not settings.file.is_file():
        return {}
    text = settings.file.read_text(encoding="utf-8", errors="replace")
    return {f"settings/{LibraryPaths(Path()).settings}": without_secrets(text).encode()}


def _judged(path: Path) -> dict[str, Content]:
    """The questions that somebody judged, where there are any. Nothing else fails for them."""
    try:
        with open_file(path) as golden:
            return {GOLDEN: golden.read()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        log.warning("not in the backup: %s (%s)", path.name, error.strerror)
        return {}


def _measured(contents: Mapping[str, Content], on_step: OnStep) -> list[Member]:
    sizes = (len(c) if isinstance(c, bytes) else c.stat().st_size for c in contents.values())
    tell = Steps(on_step, "reading", sum(sizes))
    members = []
    for name, content in contents.items():
        members.append(measure(name, content))
        tell(members[-1].size)
    return members
