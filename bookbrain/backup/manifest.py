"""What an archive says of itself: its first member, and the measure of all others."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from bookbrain.library.proof import Expected
from bookbrain.wording import as_row, message_of, of_row

NAME = "manifest.json"
FORMAT = 1
MOST_BYTES = 64 << 20  # of a manifest

_NAMES = re.compile(
    r"settings/bookbrain\.env|secrets/(site\.json|credentials/[a-z0-9-]{1,64})"
    r"|(catalog|embeddings)\.sqlite3|books/[0-9a-f]{64}\.pdf"
    r"|keywords/[0-9a-f]{24}(\.json)?"
    r"|keywords/segments/[0-9a-f]{64}-[0-9]{1,9}\.npz",  # in archives from before there were shards
    re.ASCII,
)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


T = TypeVar("T")


class Flaw(Exception):
    """What is wrong with an archive, as the end of a sentence."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = message_of(what)


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive; `sha256` in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ListedBook:
    """`file` is the name that the owner gave; `pages` and `passages` count."""

    id: str
    title: str
    file: str
    pages: int
    passages: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Of one archive. `made` is ISO 8601, UTC; `versions` of programs, `schemas` of databases.

    `complete` says whether the files of the books are in it, `spaces` where books are embedded.
    `unsound` is what was wrong with the library: such an archive is for rescue only.
    """

    format: int
    made: str
    versions: Mapping[str, str]
    schemas: Mapping[str, int]
    spaces: tuple[str, ...]
    complete: bool
    embeddings: int
    books: tuple[ListedBook, ...]
    members: tuple[Member, ...]
    unsound: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether it is of a sound library, with the files of all its books or of none."""
        return not self.unsound and (self.complete or not self.files)

    @property
    def files(self) -> set[str]:
        """The ids of the books whose files are in it."""
        names = (member.name for member in self.members)
        return {Path(name).stem for name in names if name.startswith("books/")}

    @property
    def expected(self) -> Expected:
        """The counts of the library that comes back."""
        return Expected(
            len(self.books),
            sum(book.pages for book in self.books),
            sum(book.passages for book in self.books),
        )

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(member.size for member in self.members)

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.made)

    def as_bytes(self) -> bytes:
        """As it stands in the archive."""
        value = {**asdict(self), "unsound": [as_row(flaw) for flaw in self.unsound]}
        return json.dumps(value, ensure_ascii=False, indent=1).encode()


def parse_manifest(data: bytes) -> Manifest:
    """The manifest that `data` is; raises Flaw unless it is one in every detail."""
    try:
        given = json.loads(data)
        version = given["format"]
        if type(version) is int and version > FORMAT:
            raise Flaw("a newer BookBrain made it")
        found = Manifest(
            format=_typed(version, int),
            made=_typed(given["made"], str),
            versions=_mapping(given["versions"], str),
            schemas=_mapping(given["schemas"], int),
            spaces=tuple(_typed(space, str) for space in _typed(given["spaces"], list)),
            complete=_typed(given["complete"], bool),
            embeddings=_typed(given["embeddings"], int),
            books=tuple(_book(book) for book in _typed(given["books"], list)),
            members=tuple(_member(member) for member in _typed(given["members"], list)),
            unsound=tuple(
                of_row(_typed(flaw, str)) for flaw in _typed(given.get("unsound", []), list)
            ),
        )
        aware = found.time.tzinfo is not None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Flaw("its manifest is damaged") from error
    if not aware or found.format < 1 or not _has_what_it_needs(found):
        raise Flaw("its manifest is damaged")
    if not _has_the_files(found):
        raise Flaw("its files are not those of its books")
    return found


def _has_what_it_needs(manifest: Manifest) -> bool:
    names = [member.name for member in manifest.members]
    return len(set(names)) == len(names) and {"catalog.sqlite3", "embeddings.sqlite3"} <= {*names}


def _has_the_files(manifest: Manifest) -> bool:
    """Those of its books and of no others; of a catalog that is damaged not all books are known."""
    ids = [book.id for book in manifest.books]
    if len(set(ids)) != len(ids):
        return False
    if manifest.complete:
        return not manifest.unsound and manifest.files == {*ids}
    return bool(manifest.unsound) or manifest.files <= {*ids}


def _member(given: Any) -> Member:
    member = Member(
        _typed(given["name"], str), _typed(given["size"], int), _typed(given["sha256"], str)
    )
    if not _NAMES.fullmatch(member.name):
        raise Flaw("it has a file that does not belong there")
    if member.size < 0 or not _DIGEST.fullmatch(member.sha256):
        raise ValueError
    if member.name.startswith("books/") and member.name != f"books/{member.sha256}.pdf":
        raise Flaw("it has a file that does not belong there")
    return member


def _book(given: Any) -> ListedBook:
    book = ListedBook(
        _typed(given["id"], str),
        _typed(given["title"], str),
        _typed(given["file"], str),
        _typed(given["pages"], int),
        _typed(given["passages"], int),
    )
    if not _DIGEST.fullmatch(book.id):
        raise ValueError
    return book


def _mapping(given: Any, kind: type[T]) -> dict[str, T]:
    return {key: _typed(value, kind) for key, value in _typed(given, dict).items()}


def _typed(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError
    return value
