"""Fetching a model from the hub that its authors publish it on, or a mirror of that.

The hub's list says of each file how long it is, and what it must be: a SHA-256 for large ones, the
digest of git for small ones. What the table of models says goes first, and so does what came once.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha1
from ipaddress import ip_address
from json import loads
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from bookbrain.errors import BookBrainError, ConfigError, InputError, UnavailableError
from bookbrain.files import sync_file
from bookbrain.messages import fill
from bookbrain.models.open_models import InstalledModel, OpenModel
from bookbrain.remote import AnswerLimits, StreamedClient, read_bounded, run

_HUB = "https://huggingface.co"
_MOST = 8 << 30  # bytes of a file
_LIST = 8 << 20  # bytes of the list of them
_PATIENCE = 30.0  # seconds without a byte
_SLOWEST = 20_000  # bytes a second
_HOPS = 5
COMMIT, _SHA256, _SHA1 = (re.compile(f"[0-9a-f]{{{n}}}") for n in (40, 64, 40))
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_GO_ON = "Run this again: it goes on where this stopped."
_CHECK = (
    "Check BOOKBRAIN_HUB_URL; or put the model into a folder: `bookbrain embed --local --from …`"
)


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of the repository: its bytes, and its SHA-256, or the digest that git has of it."""

    path: str
    size: int
    sha256: str
    blob: str

    def is_right(self, path: Path, sha256: str) -> bool:
        """Whether the file at `path`, which has this SHA-256, is this one."""
        return sha256 == self.sha256 if self.sha256 else _blob(path) == self.blob


@dataclass(frozen=True, slots=True)
class HubModel:
    """What the hub has of a model: a commit of its repository, its files by their names here."""

    hub: str
    repository: str
    revision: str
    files: Mapping[str, HubFile]

    def url(self, file: HubFile) -> str:
        return f"{self.hub}/{self.repository}/resolve/{self.revision}/{file.path}"


def look_at_hub(hub: str | None, model: OpenModel, before: InstalledModel | None) -> HubModel:
    """What is to be fetched; where it was `before`, the same again.

    Raises UnavailableError when the hub does not answer, ConfigError when it has no such model,
    InputError when what it has is not what it must be.
    """
    base = (hub or os.environ.get("HF_ENDPOINT") or _HUB).rstrip("/")
    _check_address(base)
    revision = before.origin if before else model.revision
    path = f"/api/models/{model.repository}" + (f"/revision/{revision}" if revision else "")
    body = _read(f"{base}{path}?blobs=true", _LIST)
    try:
        said = loads(body)
        commit = str(said["sha"])
        found = {one["rfilename"]: one for one in said["siblings"]}
        if not COMMIT.fullmatch(commit) or (revision and commit != revision):
            raise ValueError("another commit")
        files = {name: _file(found, file.path) for name, file in model.files.items()}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UnavailableError(
            fill(
                "{where} does not say what it has of {model}.", where=base, model=model.repository
            ),
            _CHECK,
        ) from error
    pins = {name: file.sha256 for name, file in model.files.items()}
    if before:
        pins |= {name: digest.sha256 for name, digest in before.digests.items()}
    pinned = {name: _pinned(file, pins[name], base) for name, file in files.items()}
    return HubModel(base, model.repository, commit, pinned)


def _file(found: Mapping[str, Any], path: str) -> HubFile:
    said = found[path]
    digest = (said.get("lfs") or {}).get("sha256", "")
    file = HubFile(path, int(said["size"]), digest, str(said.get("blobId", "")))
    if not 0 < file.size <= _MOST or not (_SHA256 if digest else _SHA1).fullmatch(
        digest or file.blob
    ):
        raise ValueError("no size or digest")
    return file


def _pinned(file: HubFile, pin: str, where: str) -> HubFile:
    if pin and file.sha256 and file.sha256 != pin:
        raise InputError(
            fill("{where} has another {file} than the one that is known.",
                 where=where, file=file.path),
            _CHECK,
        )  # fmt: skip
    return HubFile(file.path, file.size, pin or file.sha256, file.blob)


def _blob(path: Path) -> str:
    """The digest that git has of a file, which is a small one."""
    data = path.read_bytes()
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def fetch(model: HubModel, file: HubFile, part: Path, on_bytes: Callable[[int], None]) -> None:
    """Have the whole file at `part`, of which there may be a beginning. Whether it is right is for
    the caller to see. `on_bytes` hears how many bytes there are. Raises as `look_at_hub`."""
    have = part.stat().st_size if part.exists() else 0
    if have > file.size:
        part.unlink()
        have = 0
    if have < file.size:
        limits = AnswerLimits(file.size, _PATIENCE + file.size / _SLOWEST)
        _ask(model.url(file), limits, lambda answer: _append(answer, file, part, on_bytes), have)
    sync_file(part)
    on_bytes(file.size)


async def _append(
    answer: httpx2.Response, file: HubFile, part: Path, on_bytes: Callable[[int], None]
) -> None:
    said = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    have = int(said[1]) if answer.status_code == 206 and said else 0
    with part.open("r+b" if part.exists() else "w+b") as opened:
        opened.truncate(min(have, os.fstat(opened.fileno()).st_size))
        done = opened.seek(0, os.SEEK_END)
        if done != have:
            raise ConnectionError("another part")
        async for piece in answer.aiter_raw():
            done += len(piece)
            if done > file.size:
                raise ValueError("it is too long")
            opened.write(piece)
            on_bytes(done)
    if done < file.size:
        raise ConnectionError("it broke off")


def _read(url: str, most: int) -> bytes:
    found = []

    async def keep(answer: httpx2.Response) -> None:
        found.append(await read_bounded(answer.aiter_raw(), most))

    _ask(url, AnswerLimits(most, 2 * _PATIENCE), keep, 0)
    return found[0]


def _ask(url: str, limits: AnswerLimits, take: Callable[[httpx2.Response], Any], have: int) -> None:
    """Hand `take` the answer of `url`, of which the first `have` bytes are there."""
    where = urlsplit(url).netloc

    async def ask() -> None:
        limits.hold()
        async with StreamedClient(timeout=_PATIENCE) as client:
            await _follow(client, url, take, have)

    try:
        run(ask, limits.seconds)
    except TimeoutError as error:
        seconds = limits.seconds
        raise UnavailableError(
            fill("{where} did not answer in {seconds:g} s.", where=where, seconds=seconds), _GO_ON
        ) from error
    except (httpx2.HTTPError, ConnectionError, httpx2.InvalidURL) as error:
        raise UnavailableError(
            fill("{where} cannot be reached.", where=where), f"{_CHECK}"
        ) from error
    except ValueError as error:
        raise UnavailableError(
            fill("{where} answers with what is no file of the model.", where=where), _CHECK
        ) from error


async def _follow(
    client: StreamedClient, url: str, take: Callable[[httpx2.Response], Any], have: int
) -> None:
    headers = {"Range": f"bytes={have}-"} if have else {}
    for _ in range(_HOPS):
        async with client.stream("GET", url, headers=headers) as answer:
            if answer.status_code in (200, 206):
                await take(answer)
                return
            if answer.status_code == 416:
                headers = {}
                continue
            if not 300 <= answer.status_code < 400:
                raise _refusal(url, answer.status_code)
            target = urljoin(url, answer.headers.get("location", ""))
            _check_address(target, url)
            url = target
    raise ConnectionError("it leads on and on")


def _refusal(url: str, status: int) -> BookBrainError:
    where = urlsplit(url).netloc
    if status in (401, 403, 404):
        return ConfigError(fill("{where} has no such model.", where=where), _CHECK)
    return UnavailableError(
        fill("{where} answers with status {status}.", where=where, status=status), _GO_ON
    )


def _check_address(url: str, from_url: str = "") -> None:
    """Raise ConfigError for one that is not asked by https, but for this machine, by itself."""
    if urlsplit(url).scheme == "https":
        return
    if not all(_is_here(one) for one in filter(None, (url, from_url))):
        raise ConfigError(
            fill("{where} is not asked by https.", where=urlsplit(url).netloc or url), _CHECK
        )


def _is_here(url: str) -> bool:
    parts = urlsplit(url)
    try:
        return parts.scheme == "http" and ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
