"""One .tar.zst file: the manifest, the members in its order, and a seal over all that is before.

Any tar and zstd can unpack it. The seal is a skippable frame of zstd, the last 40 bytes: the
SHA-256 of every byte before it. So no byte can change unseen, those of headers and padding neither,
and what a reader takes from the file is no more than the manifest says.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from struct import pack
from tarfile import BLOCKSIZE, GNU_FORMAT, NUL, REGTYPE, TarError, TarInfo
from typing import BinaryIO, Protocol, cast

from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from bookbrain.backup.manifest import MOST_BYTES, NAME, Flaw, Manifest, Member, parse_manifest
from bookbrain.wording import fill

_CHUNK = 1 << 20
_LEVEL = 3
_MOST_WINDOW = 1 << 27  # bytes of memory that an archive may ask for
_END = 2 * BLOCKSIZE * NUL
_SEAL = pack("<II", 0x184D2A50, 32)  # of a skippable frame with 32 bytes
_SEAL_BYTES = len(_SEAL) + 32

OnBytes = Callable[[int], None]
Content = Path | bytes


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


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

    def __init__(self, file: Readable) -> None:
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
        for _, content in self.members():
            for chunk in content:
                on_bytes(len(chunk))

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
            if not left and digest.hexdigest() != member.sha256:
                raise Flaw("a file in it does not have its checksum")
            yield chunk
        if not member.size and digest.hexdigest() != member.sha256:
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

    def __init__(self, file: Readable) -> None:
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
