"""An archive is what its manifest says, to the last byte, or it is refused."""

import json
import random
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from struct import pack
from tarfile import (
    BLKTYPE,
    BLOCKSIZE,
    DIRTYPE,
    GNU_FORMAT,
    LNKTYPE,
    SYMTYPE,
    XHDTYPE,
    TarInfo,
)  # fmt: skip

import pytest
from zstandard import ZstdCompressor, ZstdDecompressor

from bookbrain.backup.archive import (
    Archive,
    Content,
    Flaw,
    ListedBook,
    Manifest,
    Member,
    measure,
    parse_manifest,
    write_archive,
)
from bookbrain.backup.archives import (
    DAMAGED,
    NO_BOOKS,
    archive_name,
    left_over,
    list_backups,
    time_of,
)
from bookbrain.backup.restoration import check_versions
from bookbrain.errors import InputError

_BOOK = random.Random(1).randbytes(5000)
_ID = sha256(_BOOK).hexdigest()
_CONTENTS: dict[str, Content] = {
    "settings/bookbrain.env": b"BOOKBRAIN_FUSION=rrf\n",
    "catalog.sqlite3": b"catalog " * 1000,
    "embeddings.sqlite3": b"",
    f"keywords/{'a' * 24}": b"t" * 512,
    f"keywords/{'b' * 24}.json": b"{}",
    f"keywords/segments/{_ID}-1.npz": b"s",
    f"books/{_ID}.pdf": _BOOK,
}


def _silent(count: int) -> None:
    """Hears of bytes."""


def _manifest(contents: dict[str, Content]) -> Manifest:
    return Manifest(
        format=1,
        made="2026-11-23T04:00:00+00:00",
        versions={"bookbrain": "0.1.0"},
        schemas={"catalog.sqlite3": 1, "embeddings.sqlite3": 1},
        spaces=("model/64",),
        complete=True,
        embeddings=3,
        books=(ListedBook(_ID, "제목", "a.pdf", 5, 3),),
        members=tuple(measure(name, content) for name, content in contents.items()),
    )


def _written(manifest: Manifest, contents: dict[str, Content]) -> bytes:
    out = BytesIO()
    write_archive(out, manifest, contents, _silent)
    return out.getvalue()


@pytest.fixture(scope="module")
def good() -> bytes:
    return _written(_manifest(_CONTENTS), _CONTENTS)


def _read(data: bytes) -> Manifest:
    archive = Archive(BytesIO(data))
    archive.check(_silent)
    return archive.manifest


def test_what_is_written_is_read(good: bytes, tmp_path: Path) -> None:
    archive = Archive(BytesIO(good))
    assert archive.manifest == _manifest(_CONTENTS)
    archive.extract(tmp_path, lambda name: "settings" not in name, _silent)
    found = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert found == {n: c for n, c in _CONTENTS.items() if "settings" not in n}


def test_other_programs_can_unpack_it(good: bytes, tmp_path: Path) -> None:
    plain = ZstdDecompressor().stream_reader(BytesIO(good)).read()
    (tmp_path / "a.tar").write_bytes(plain)
    subprocess.run(["tar", "-xf", "a.tar"], cwd=tmp_path, check=True)
    for name, content in _CONTENTS.items():
        assert (tmp_path / name).read_bytes() == content


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    for changed in (b"another", b"shorter"[:2], b"something longer"):
        with pytest.raises(Flaw, match="changed"):
            _written(_manifest(_CONTENTS), _CONTENTS | {"catalog.sqlite3": changed})


@pytest.mark.parametrize("part", range(4))
def test_one_flipped_bit_anywhere_is_refused(good: bytes, part: int) -> None:
    chosen = random.Random(part).sample(range(len(good)), 100)
    always = [*range(40), *range(len(good) - 60, len(good))]  # zstd's header; the end, and the seal
    for at in chosen + always:
        flipped = bytearray(good)
        flipped[at] ^= 1 << random.Random(at).randrange(8)
        with pytest.raises(Flaw):
            _read(bytes(flipped))


def test_one_cut_off_or_continued_is_refused(good: bytes) -> None:
    for length in (0, 1, 39, 40, 41, len(good) // 2, len(good) - 40, len(good) - 1):
        with pytest.raises(Flaw):
            _read(good[:length])
    for more in (b"\0", good, b"x" * 40, good[-40:]):
        with pytest.raises(Flaw):
            _read(good + more)
        with pytest.raises(Flaw):
            _read(more + good)


# What is whole, but was made to do harm


def _sealed(plain: bytes) -> bytes:
    packed = ZstdCompressor(write_checksum=True).compress(plain)
    return packed + pack("<II", 0x184D2A50, 32) + sha256(packed).digest()


def _tar(*members: tuple[TarInfo, bytes]) -> bytes:
    pieces = []
    for info, data in members:
        pieces += [info.tobuf(GNU_FORMAT), data, -len(data) % BLOCKSIZE * b"\0"]
    return b"".join(pieces) + 2 * BLOCKSIZE * b"\0"


def _info(name: str, data: bytes, kind: bytes = b"0", link: str = "") -> TarInfo:
    info = TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info


def _usual() -> Iterator[tuple[TarInfo, bytes]]:
    data = _manifest(_CONTENTS).as_bytes()
    yield _info("manifest.json", data), data
    for name, content in _CONTENTS.items():
        assert isinstance(content, bytes)
        yield _info(name, content), content


def test_the_instrument_makes_good_ones() -> None:
    assert _read(_sealed(_tar(*_usual()))) == _manifest(_CONTENTS)


@pytest.mark.parametrize("place", [1, 3, 7])
@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("/etc/passwd", b"0", ""),
        ("../../evil", b"0", ""),
        ("books/../../evil", b"0", ""),
        ("catalog.sqlite3", b"0", ""),
        ("more.txt", b"0", ""),
        ("catalog.sqlite3", SYMTYPE, "/etc/passwd"),
        ("catalog.sqlite3", LNKTYPE, "settings/bookbrain.env"),
        ("catalog.sqlite3", BLKTYPE, ""),
        ("books", DIRTYPE, ""),
        ("x", XHDTYPE, ""),
        ("././@LongLink", b"L", ""),
    ],
)
def test_a_member_that_is_not_in_the_manifest_is_refused(
    place: int, name: str, kind: bytes, link: str
) -> None:
    members = list(_usual())
    members.insert(place, (_info(name, b"", kind, link), b""))
    with pytest.raises(Flaw):
        _read(_sealed(_tar(*members)))


def test_members_that_are_missing_or_in_another_order_are_refused() -> None:
    members = list(_usual())
    for other in (members[:-1], members[1:], [members[0], *reversed(members[1:])]):
        with pytest.raises(Flaw):
            _read(_sealed(_tar(*other)))


def test_another_size_or_checksum_than_the_manifest_says_is_refused() -> None:
    for change in ({"size": 7}, {"size": 10**15}, {"sha256": "0" * 64}):
        manifest = _manifest(_CONTENTS)
        members = list(manifest.members)
        members[1] = replace(members[1], **change)
        data = replace(manifest, members=tuple(members)).as_bytes()
        with pytest.raises(Flaw):
            _read(_sealed(_tar((_info("manifest.json", data), data), *list(_usual())[1:])))


@pytest.mark.slow
def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    zeros = bytes(1 << 20)
    packer = ZstdCompressor(write_checksum=True).compressobj()
    info = TarInfo("manifest.json")
    info.size = 1 << 40
    bomb = packer.compress(info.tobuf(GNU_FORMAT))
    bomb += b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()
    with pytest.raises(Flaw, match="not those of its manifest"):
        Archive(BytesIO(bomb))
    end = _sealed(_tar(*_usual()) + bytes(200 << 20))
    with pytest.raises(Flaw, match="after its end"):
        _read(end)


@pytest.mark.parametrize(
    "name",
    [
        "/catalog.sqlite3", "../catalog.sqlite3", "books/../catalog.sqlite3", "books/x.pdf", "",
        f"books/{_ID}.pdf/x", f"books/{_ID.upper()}.pdf", "books/", ".", "catalog.sqlite3\n",
        "catalog.sqlite3\0", "keywords/segments/../x.npz", "secrets/credentials/../../x",
        f"books/{'0' * 64}.pdf", "keywords/../x.json",
    ],
)  # fmt: skip
def test_a_manifest_names_only_what_belongs_into_an_archive(name: str) -> None:
    manifest = _manifest(_CONTENTS)
    evil = Member(name, 1, _ID)
    with pytest.raises(Flaw):
        parse_manifest(replace(manifest, members=(*manifest.members, evil)).as_bytes())


@pytest.mark.parametrize(
    "change",
    [
        {"format": 0}, {"format": True}, {"format": "1"}, {"made": "yesterday"}, {"made": 5},
        {"made": "2026-11-23T04:00:00"}, {"members": []}, {"members": {}}, {"members": [5]},
        {"books": [{"id": "x"}]}, {"books": None}, {"schemas": {"catalog.sqlite3": "1"}},
        {"schemas": []}, {"complete": 1}, {"embeddings": 1.5}, {"versions": {"a": 1}},
        {"spaces": "model/64"},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_that_is_not_right_in_every_detail_is_refused(change: dict[str, object]) -> None:
    given = json.loads(_manifest(_CONTENTS).as_bytes())
    assert parse_manifest(json.dumps(given).encode()) == _manifest(_CONTENTS)
    with pytest.raises(Flaw, match="damaged"):
        parse_manifest(json.dumps(given | change).encode())


def test_a_manifest_that_is_no_json_is_refused() -> None:
    for data in (b"", b"[]", b"5", b"null", b"{", b"\xff", b"[" * 100_000, b"{}"):
        with pytest.raises(Flaw):
            parse_manifest(data)


def test_a_member_named_twice_is_refused() -> None:
    manifest = _manifest(_CONTENTS)
    twice = replace(manifest, members=(*manifest.members, manifest.members[1]))
    with pytest.raises(Flaw):
        parse_manifest(twice.as_bytes())


def test_one_of_a_newer_bookbrain_is_refused_and_says_so() -> None:
    manifest = _manifest(_CONTENTS)
    with pytest.raises(Flaw, match="newer BookBrain"):
        parse_manifest(replace(manifest, format=2).as_bytes())
    with pytest.raises(InputError, match="newer BookBrain"):
        check_versions(replace(manifest, schemas={"catalog.sqlite3": 99}))
    check_versions(manifest)


# Names


def test_a_name_says_when_and_no_other_file_is_ours(tmp_path: Path, good: bytes) -> None:
    made = _manifest(_CONTENTS).time
    name = archive_name(made, ".age")
    assert name == "bookbrain-20261123T040000Z.tar.zst.age"
    assert time_of(name) == made
    assert archive_name(made, "", DAMAGED) == "bookbrain-20261123T040000Z.damaged.tar.zst"
    assert time_of(archive_name(made, ".gpg", NO_BOOKS)) == made
    ours = {"bookbrain-20261123T040000Z.tar.zst", "bookbrain-20261123T040001Z.tar.zst.gpg"}
    for other in (
        *ours, "bookbrain-20261123T040000Z.tar.zst.bak", "my-bookbrain-20261123T040000Z.tar.zst",
        "bookbrain-20261323T040000Z.tar.zst", "bookbrain.tar.zst", "notes.txt", "photos.tar.zst",
        "bookbrain-20261123T040000Z.other.tar.zst", "bookbrain-20261123T040000Z.tar.zst.part",
        ".bookbrain-20261123T040000Z.tar.zst.part", ".bookbrain-x.part",
    ):  # fmt: skip
        (tmp_path / other).write_bytes(good)
    (tmp_path / "bookbrain-20261123T040003Z.tar.zst").mkdir()
    (tmp_path / "bookbrain-20261123T040004Z.tar.zst").symlink_to(tmp_path / "notes.txt")
    (tmp_path / "bookbrain-20261123T040005Z.tar.zst").write_bytes(good[:-50])
    found = list_backups(tmp_path)
    assert {one.file for one in found} == ours | {"bookbrain-20261123T040005Z.tar.zst"}
    assert [path.name for path in left_over(tmp_path)] == [
        ".bookbrain-20261123T040000Z.tar.zst.part"
    ]
    assert [one.books for one in found] == [None, None, 1]
    assert [bool(one.flaw) for one in found] == [True, False, False]
    assert [one.encrypted for one in found] == [False, True, False]
    assert list_backups(tmp_path / "nowhere") == []


def test_a_name_says_what_is_in_it_where_nothing_else_can(tmp_path: Path, good: bytes) -> None:
    for mark in ("", ".damaged", ".no-books"):
        for suffix in ("", ".age"):
            (tmp_path / f"bookbrain-20261123T040000Z{mark}.tar.zst{suffix}").write_bytes(good)
    found = {one.file.partition("Z")[2]: one for one in list_backups(tmp_path)}
    assert {end for end, one in found.items() if not one.is_sound} == {
        ".damaged.tar.zst", ".damaged.tar.zst.age"
    }  # fmt: skip
    assert found[".no-books.tar.zst.age"].complete is False
    assert found[".tar.zst.age"].complete is None


# Which files an archive has


def test_a_manifest_has_the_files_of_its_books_and_of_no_others() -> None:
    whole = _manifest(_CONTENTS)
    assert whole.is_sound
    without = tuple(m for m in whole.members if not m.name.startswith("books/"))
    other = Member(f"books/{'c' * 64}.pdf", 1, "c" * 64)
    no_books = replace(whole, complete=False, members=without)
    assert parse_manifest(no_books.as_bytes()).is_sound
    for bad in (
        replace(whole, members=without),
        replace(whole, members=(*whole.members, other)),
        replace(no_books, members=(*without, other)),
        replace(whole, books=(*whole.books, *whole.books)),
        replace(whole, unsound=("it is damaged",)),
    ):
        with pytest.raises(Flaw, match="files are not those of its books"):
            parse_manifest(bad.as_bytes())


def test_a_manifest_of_a_damaged_library_says_so_whatever_is_in_it() -> None:
    whole = _manifest(_CONTENTS)
    rescue = replace(whole, complete=False, books=(), unsound=("catalog.sqlite3 is damaged: x",))
    assert parse_manifest(rescue.as_bytes()) == rescue
    assert not rescue.is_sound
    some = replace(whole, complete=False)  # as one was made of a library that lacked a file
    assert not parse_manifest(some.as_bytes()).is_sound
    given = json.loads(whole.as_bytes())
    del given["unsound"]
    assert parse_manifest(json.dumps(given).encode()) == whole, "as it was made before"
