"""What goes into an archive: the library of one moment and the settings, measured."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from bookbrain import __version__
from bookbrain.backup.archive import Content, measure
from bookbrain.backup.manifest import FORMAT, ListedBook, Manifest, Member
from bookbrain.backup.workplace import OnStep, Steps
from bookbrain.config import Settings
from bookbrain.library import Library
from bookbrain.library.snapshot import Snapshot

_SECRET = ("OPENAI_API_KEY", "BOOKBRAIN_NOTIFY", "BOOKBRAIN_PING")  # how such settings begin
_PASSWORD = re.compile(r"://[^/\s]*:[^/\s]*@")


@dataclass(frozen=True)
class Request:
    """What a backup is to be. `secrets` are members for an encrypted one only."""

    folder: Path
    books: bool = True
    encrypt: bool = False
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Packed:
    """The members of an archive; `lost` names the books whose file is gone or damaged."""

    manifest: Manifest
    contents: Mapping[str, Content] = field(repr=False)
    lost: tuple[str, ...]


def pack(
    settings: Settings, request: Request, staging: Path, made: datetime, on_step: OnStep
) -> Packed:
    """Take a snapshot into the folder `staging`, which is to stay until the archive is written."""
    with Library(settings) as library:
        snapshot = library.snapshot(
            staging, books=request.books, on_copied=lambda done, of: on_step("copying", done, of)
        )
    contents: dict[str, Content] = {}
    if settings.file and settings.file.is_file():
        text = settings.file.read_text(encoding="utf-8")
        contents["settings/bookbrain.env"] = without_secrets(text).encode()
    if request.encrypt:
        contents |= request.secrets
    files = sorted((path for path in staging.rglob("*") if path.is_file()), key=_order)
    contents |= {str(path.relative_to(staging)): path for path in files}
    members = _measured(contents, on_step)
    damaged = {m.name for m in members if m.name.startswith("books/") and m.sha256 not in m.name}
    lost = {book.id for book in snapshot.lost} | {Path(name).stem for name in damaged}
    manifest = Manifest(
        format=FORMAT,
        made=made.isoformat(),
        versions={
            "bookbrain": __version__, "chroma": version("chromadb"),
            "python": sys.version.split()[0],
        },
        schemas=snapshot.schemas,
        spaces=snapshot.spaces,
        complete=request.books and not lost,
        embeddings=snapshot.embeddings,
        books=_listed(snapshot),
        members=tuple(member for member in members if member.name not in damaged),
    )  # fmt: skip
    return Packed(manifest, contents, tuple(b.file for b in snapshot.books if b.id in lost))


def _measured(contents: Mapping[str, Content], on_step: OnStep) -> list[Member]:
    sizes = (len(c) if isinstance(c, bytes) else c.stat().st_size for c in contents.values())
    tell = Steps(on_step, "reading", sum(sizes))
    members = []
    for name, content in contents.items():
        members.append(measure(name, content))
        tell(members[-1].size)
    return members


def _listed(snapshot: Snapshot) -> tuple[ListedBook, ...]:
    return tuple(ListedBook(b.id, b.title, b.file, b.pages, b.passages) for b in snapshot.books)


def _order(path: Path) -> tuple[bool, str]:
    """The databases before the many files."""
    return path.suffix != ".sqlite3", str(path)


def without_secrets(text: str) -> str:
    """A settings file without the values that are nobody else's business."""
    return "".join(
        f"#{line.partition('=')[0].strip()}=\n"
        if line.strip().startswith(_SECRET) or _PASSWORD.search(line)
        else line
        for line in text.splitlines(keepends=True)
    )
