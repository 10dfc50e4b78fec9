"""One .tar.zst file: the manifest, the members in its order, and a seal over all before it.

Any tar and zstd can unpack it. The seal is a skippable frame of zstd, the last 40 bytes: the
SHA-256 of every byte before it. So no byte can change unseen, those of headers and padding neither,
and what a reader takes from the file is no more than the manifest says.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from struct import pack
from tarfile import BLOCKSIZE, GNU_FORMAT, NUL, REGTYPE, TarError, TarInfo
from typing import Any, BinaryIO, cast, get_args, get_origin, get_type_hints

from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from bookbrain.library import Expected
from bookbrain.messages import as_row, fill, message_of, of_row
from bookbrain.model import Book
from bookbrain.paths import BOOKS, DATABASES, KEYWORDS, PDF, LibraryPaths

NAME = "manifest.json"
GOLDEN = LibraryPaths(Path()).golden.name
FORMAT = 1
MOST_BYTES = 64 << 20  # of a manifest
_NAMES = re.compile(
    r"settings/bookbrain\.env|secrets/(site\.json|credentials/[a-z0-9-]{1,64})"
    rf"|{re.escape(GOLDEN)}|{'|'.join(DATABASES)}|{BOOKS}/[0-9a-f]{{64}}\{PDF}"
    rf"|{KEYWORDS}/[0-9a-f]{{24}}(\.json)?"
    rf"|{KEYWORDS}/segments/[0-9a-f]{{64}}-[0-9]{{1,9}}\.npz",  # in older archives
    re.ASCII,
)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


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


def listed(book: Book) -> ListedBook:
    """A book of the library, as a manifest has it."""
    return ListedBook(book.id, book.title, book.file, book.pages, book.passages)


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
        return {Path(name).stem for name in names if name.startswith(f"{BOOKS}/")}

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
        found: Manifest = _decoded(Manifest, given)
        found = replace(found, unsound=tuple(map(of_row, found.unsound)))
        aware = found.time.tzinfo is not None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Flaw("its manifest is damaged") from error
    if not aware or found.format < 1 or not _has_what_it_needs(found):
        raise Flaw("its manifest is damaged")
    if not all(map(_belongs, found.members)):
        raise Flaw("it has a file that does not belong there")
    if not _has_the_files(found):
        raise Flaw("its files are not those of its books")
    return found


def _has_what_it_needs(manifest: Manifest) -> bool:
    names = [member.name for member in manifest.members]
    digests = [m.sha256 for m in manifest.members] + [book.id for book in manifest.books]
    return (
        len(set(names)) == len(names)
        and {*DATABASES} <= {*names}
        and all(map(_DIGEST.fullmatch, digests))
        and all(member.size >= 0 for member in manifest.members)
    )


def _has_the_files(manifest: Manifest) -> bool:
    """Those of its books and of no others; of a catalog that is damaged not all books are known."""
    ids = [book.id for book in manifest.books]
    if len(set(ids)) != len(ids):
        return False
    if manifest.complete:
        return not manifest.unsound and manifest.files == {*ids}
    return bool(manifest.unsound) or manifest.files <= {*ids}


def _belongs(member: Member) -> bool:
    """Whether its name may be in an archive; that of a book's file says what is in it."""
    path = Path(member.name)
    return bool(_NAMES.fullmatch(member.name)) and (
        path.parent.name != BOOKS or path.stem == member.sha256
    )


def _decoded(kind: Any, given: Any) -> Any:
    """What JSON has for a value of this kind; raises TypeError or KeyError for any other."""
    of = get_args(kind)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        there = [f.name for f in fields(kind) if f.default is MISSING or f.name in given]
        return kind(**{name: _decoded(hints[name], given[name]) for name in there})  # type: ignore[operator]
    if get_origin(kind) is tuple:
        return tuple(_decoded(of[0], one) for one in _decoded(list, given))
    if of:
        return {key: _decoded(of[1], one) for key, one in _decoded(dict, given).items()}
    if type(given) is not kind:
        raise TypeError
    return given


_CHUNK = 1 << 20
_LEVEL = 3
_MOST_WINDOW = 1 << 27  # bytes of memory that an archive may ask for
_END = 2 * BLOCKSIZE * NUL
_SEAL = pack("<II", 0x184D2A50, 32)  # of a skippable frame with 32 bytes
_SEAL_BYTES = len(_SEAL) + 32
OnBytes = Callable[[int], None]
Content = Path | bytes


def measure(name: str, content: Content) -> Member:
    """The member that `content` is under this name."""
    digest, size = sha256(), 0
    with _opened(content) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Member(name, size, digest.hexdigest())


def write_archive(
    out: BinaryIO, manifest: Manifest, contents: Mapping[str, Content], on_bytes: OnBytes
) -> None:
    """Write the archive of these contents, which the manifest has measured, to `out`.

    Raises Flaw when one is no longer as it was measured.
    """
    sealed = Hashed(out)
    data = manifest.as_bytes()
    packer = ZstdCompressor(level=_LEVEL, write_checksum=True)
    with packer.stream_writer(cast(BinaryIO, sealed), closefd=False) as packed:
        for member in (Member(NAME, len(data), sha256(data).hexdigest()), *manifest.members):
            packed.write(_header(member, manifest.time.timestamp()))
            with _opened(contents[member.name] if member.name != NAME else data) as file:
                for chunk in _exactly(file, member):
                    packed.write(chunk)
                    on_bytes(len(chunk))
            packed.write(_padding(member.size))
        packed.write(_END)
    out.write(_SEAL + sealed.digest.digest())


class Archive:
    """An archive that is being read, once and in order; `manifest` is all that is read so far.

    Every method, and the making, raises Flaw at the first byte that should not be as it is.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._sealed = _Unsealing(file)
        self._plain = ZstdDecompressor(max_window_size=_MOST_WINDOW).stream_reader(
            cast(BinaryIO, self._sealed), read_across_frames=True
        )
        size = self._header(NAME, most=MOST_BYTES)
        data = self._read(size)
        self._pad(size)
        self.manifest = parse_manifest(data)

    def members(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Each member with its bytes, which are whole and right when their iterator ends; then the
        seal is checked. What is not taken of a member is read and checked all the same."""
        for member in self.manifest.members:
            if self._header(member.name, member.size) != member.size:
                raise Flaw("its files are not those of its manifest")
            content = self._content(member)
            yield member, content
            for _ in content:
                pass
            self._pad(member.size)
        if self._read(len(_END)) != _END or self._some(1):
            raise Flaw("there is something after its end")
        self._sealed.check()

    def check(self, on_bytes: OnBytes) -> None:
        """Read everything to the end, and keep nothing."""
        self.extract(Path(), lambda name: False, on_bytes)

    def extract(self, folder: Path, wanted: Callable[[str], bool], on_bytes: OnBytes) -> None:
        """Write the wanted members into `folder`, and check the others."""
        for member, content in self.members():
            if not wanted(member.name):
                for chunk in content:
                    on_bytes(len(chunk))
                continue
            path = folder / member.name  # its pattern leads nowhere else
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for chunk in content:
                    file.write(chunk)
                    on_bytes(len(chunk))
                file.flush()
                os.fsync(descriptor)

    def _content(self, member: Member) -> Iterator[bytes]:
        digest, left = sha256(), member.size
        while left:
            chunk = self._read(min(left, _CHUNK))
            left -= len(chunk)
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != member.sha256:
            raise Flaw("a file in it does not have its checksum")

    def _header(self, name: str, most: int) -> int:
        """The size of the next member, which must be the plain file `name`."""
        try:
            found = TarInfo.frombuf(self._read(BLOCKSIZE), "utf-8", "strict")
        except (TarError, ValueError) as error:
            raise Flaw("it is damaged") from error
        if found.name != name or found.type != REGTYPE or not 0 <= found.size <= most:
            raise Flaw("its files are not those of its manifest")
        return found.size

    def _pad(self, size: int) -> None:
        if self._read(len(_padding(size))).strip(NUL):
            raise Flaw("it is damaged")

    def _read(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = self._some(min(size, _CHUNK))
            if not piece:
                raise Flaw("it is cut off")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _some(self, size: int) -> bytes:
        try:
            return self._plain.read(size)
        except ZstdError as error:
            raise Flaw("it is damaged") from error


class Hashed:
    """Passes on what is written, and knows its SHA-256."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.digest = sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._out.write(data)


class _Unsealing:
    """What is before the seal."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()
        self._kept = b""

    def read(self, size: int = -1) -> bytes:
        size = size if size > 0 else _CHUNK
        while len(self._kept) < size + _SEAL_BYTES:
            chunk = self._file.read(size + _SEAL_BYTES - len(self._kept))
            if not chunk:
                break
            self._kept += chunk
        given = self._kept[: max(0, min(size, len(self._kept) - _SEAL_BYTES))]
        self._kept = self._kept[len(given) :]
        self._digest.update(given)
        return given

    def check(self) -> None:
        if self.read(1) or self._kept != _SEAL + self._digest.digest():
            raise Flaw("it is damaged")


def _header(member: Member, time: float) -> bytes:
    info = TarInfo(member.name)
    info.size, info.mtime, info.mode = member.size, int(time), 0o600
    return info.tobuf(GNU_FORMAT, "utf-8", "strict")  # one block: no name needs more


def _padding(size: int) -> bytes:
    return -size % BLOCKSIZE * NUL


def _exactly(file: BinaryIO, member: Member) -> Iterator[bytes]:
    digest, left = sha256(), member.size
    while left and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
        yield chunk
    if left or file.read(1) or digest.hexdigest() != member.sha256:
        raise Flaw(fill("{name} changed while it was read", name=member.name))


def _opened(content: Content) -> BinaryIO:
    return BytesIO(content) if isinstance(content, bytes) else content.open("rb")
