"""Uploads: taken to the disk in front of Streamlit, kept until they are added.

What Streamlit gets in the place of a file is a token of `uploads.Uploads`, and it gets that first:
so it is Streamlit that says who may send what, before a byte of the file is taken.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import BinaryIO
from uuid import uuid4

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bookbrain.errors import InputError
from bookbrain.files import is_disk_full, remove
from bookbrain.messages import fill
from bookbrain.paths import PDF, LibraryPaths
from bookbrain.remote import in_thread

LARGEST = 300 << 20  # bytes of one file
MOST = 2 << 30  # bytes of all files that are here
_RESERVE = 256 << 20  # bytes of the disk that are left to the library
_AWAY = 60.0  # seconds after which a tab that is gone does not come back
_LONGEST = 6 * 3600.0  # seconds that a file is kept for a tab that does nothing with it


@dataclass(slots=True)
class Upload:
    """A file of a browser's session, whole or on its way; `refused` says why there is none."""

    token: str
    session: str
    file_id: str
    path: Path
    name: str = ""
    size: int = 0
    refused: InputError | None = None
    begun: float = field(default_factory=monotonic)


class Uploads:
    """The uploads of an app, in the folder of the library. For several threads.

    What another app of this library, which was killed, had there is removed.
    """

    def __init__(self, home: Path, most: int = MOST, away: float = _AWAY) -> None:
        self._folder = LibraryPaths(home).uploads
        self._most = most
        self._patience = away
        self._lock = Lock()
        self._uploads: dict[str, Upload] = {}
        self._away: dict[str, float] = {}  # since when a session is not there

    def sweep(self) -> None:
        """Remove what was left, where it can be. Only for the one app of a library."""
        with suppress(OSError):
            remove(self._folder)

    def begin(self, session: str, file_id: str) -> Upload:
        """An upload of nothing yet; its token stands for it."""
        token = uuid4().hex
        upload = Upload(token, session, file_id, self._folder / token)
        with self._lock:
            self._uploads[token] = upload
        return upload

    def open(self, upload: Upload) -> BinaryIO:
        """Its file, to write to."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return upload.path.open("xb")

    def write(self, upload: Upload, file: BinaryIO, data: bytes) -> None:
        """Write what came to its file; from the moment that there is no room on, it is refused."""
        if upload.refused:
            return
        try:
            self._admit(len(data))
            file.write(data)
            file.flush()
            upload.size += len(data)
        except InputError as error:
            self._refuse(upload, file, error)
        except OSError as error:
            if not is_disk_full(error):
                raise
            self._refuse(upload, file, _disk_full())

    def _admit(self, more: int) -> None:
        """Raise InputError where there is no room for so many bytes more."""
        with self._lock:
            here = sum(other.size for other in self._uploads.values())
        if here + more > self._most:
            raise InputError(
                fill(
                    "there is no room for it: what is uploaded at one time may have "
                    "{size} MB in all",
                    size=self._most >> 20,
                ),
                "Add or take away what was uploaded, then choose it again.",
            )
        if shutil.disk_usage(self._folder.parent).free - more < _RESERVE:
            raise _disk_full()

    def _refuse(self, upload: Upload, file: BinaryIO, why: InputError) -> None:
        os.ftruncate(file.fileno(), 0)
        upload.refused, upload.size = why, 0

    def find(self, token: bytes) -> Upload | None:
        """The upload that a token stands for; None when it is there no more."""
        with self._lock:
            return self._uploads.get(token.decode(errors="replace"))

    def drop(self, *tokens: str) -> None:
        """Remove these uploads; those that are gone are fine."""
        with self._lock:
            dropped = [upload for t in tokens if (upload := self._uploads.pop(t, None))]
        for upload in dropped:
            with suppress(FileNotFoundError):
                upload.path.unlink()

    def take_away(self, session: str, file_id: str, but: str = "") -> None:
        """Remove what a browser sent as this file of its session, but for one with this token."""
        where = (session, file_id)
        self.drop(*self._tokens(lambda u: (u.session, u.file_id) == where and u.token != but))

    def forget_absent(self, is_there: Callable[[str], bool]) -> None:
        """Remove the files of sessions that have been away for a while, and those kept too long."""
        now = monotonic()
        with self._lock:
            sessions = {upload.session for upload in self._uploads.values()}
        away = {session for session in sessions if not is_there(session)}
        self._away = {session: self._away.get(session, now) for session in away}
        gone = {session for session, since in self._away.items() if now - since >= self._patience}
        self.drop(*self._tokens(lambda u: u.session in gone or now - u.begun >= _LONGEST))

    def _tokens(self, which: Callable[[Upload], bool]) -> list[str]:
        with self._lock:
            return [upload.token for upload in self._uploads.values() if which(upload)]


def _disk_full() -> InputError:
    return InputError("there is no room for it on the disk", "Make room, then choose it again.")


_PATH = "/_stcore/upload_file/"  # and the session, and the id of the file
_AROUND = 1 << 20  # bytes that a request may have beside the file
_PIECE = 1 << 20  # bytes that are written at once
_BOUNDARY = "bookbrain-upload"


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """A file may have `largest` bytes. `least` bytes must come within `within` seconds, and all of
    it within `longest`."""

    largest: int = LARGEST
    least: int = 1 << 16
    within: float = 60.0
    longest: float = 3 * 3600.0


_LIMITS = UploadLimits()


class ToDisk:
    """The middleware. One that drips is ended; one that finds no room is taken to its end, for
    nothing, so that the page can say why."""

    def __init__(self, app: ASGIApp, uploads: Uploads, limits: UploadLimits = _LIMITS) -> None:
        self._app = app
        self._uploads = uploads
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session, slash, file_id = str(scope.get("path", "")).removeprefix(_PATH).partition("/")
        is_upload = slash and scope["type"] == "http" and scope["path"].startswith(_PATH)
        if is_upload and scope["method"] == "PUT":
            await self._put(self._uploads.begin(session, file_id), scope, receive, send)
        elif is_upload and scope["method"] == "DELETE":
            answer = await self._answer(scope, receive)
            if _is_good(answer):
                self._uploads.take_away(session, file_id)
            await _say(answer, send)
        else:
            await self._app(scope, receive, send)

    async def _put(self, upload: Upload, scope: Scope, receive: Receive, send: Send) -> None:
        fault: PlainTextResponse | None = None
        answer: list[Message] = []
        try:
            declared = Headers(scope=scope).get("content-length", "0")
            if not declared.isdecimal() or int(declared) > self._limits.largest + _AROUND:
                fault = PlainTextResponse("File too large", 413)
                return
            answer = await self._answer(*_with_token(scope, upload.token))
            if _is_good(answer):
                self._uploads.take_away(upload.session, upload.file_id, but=upload.token)
                await self._take(upload, scope, receive)
        except TimeoutError:
            fault = PlainTextResponse("Too slow", 408, {"Connection": "close"})
        except OverflowError:
            fault = PlainTextResponse("File too large", 413, {"Connection": "close"})
        except (FormParserError, _NoFileError):
            fault = PlainTextResponse("Expected 1 file", 400, {"Connection": "close"})
        finally:
            if fault or not upload.name:  # also when the browser has gone, or the server ends
                await in_thread(lambda: self._uploads.drop(upload.token))
            if fault:
                await fault(scope, receive, send)
        if not fault:
            await _say(answer, send)

    async def _answer(self, scope: Scope, receive: Receive) -> list[Message]:
        """What Streamlit says."""
        said: list[Message] = []

        async def note(message: Message) -> None:
            said.append(message)

        await self._app(scope, receive, note)
        return said

    async def _take(self, upload: Upload, scope: Scope, receive: Receive) -> None:
        """Write the file that comes; its upload has a name once it is whole."""
        parts = _Parts(Headers(scope=scope).get("content-type", ""))
        with await in_thread(lambda: self._uploads.open(upload)) as file:
            async for chunk in _chunks(receive, self._limits):
                parts.parser.write(chunk)
                if len(parts.data) >= _PIECE:
                    await self._write(upload, file, parts)
            parts.end()
            await self._write(upload, file, parts)
        upload.name = parts.name

    async def _write(self, upload: Upload, file: BinaryIO, parts: "_Parts") -> None:
        data = bytes(parts.data)
        parts.data.clear()
        if upload.size + len(data) > self._limits.largest:
            raise OverflowError
        await in_thread(lambda: self._uploads.write(upload, file, data))


async def _chunks(receive: Receive, limits: UploadLimits) -> AsyncIterator[bytes]:
    """What comes; TimeoutError when it comes too slowly, _NoFileError when the browser goes."""
    begun = monotonic()
    received, mark, by = 0, limits.least, begun + limits.within
    while True:
        left = min(by, begun + limits.longest) - monotonic()
        message = await asyncio.wait_for(receive(), max(left, 0))
        if message["type"] == "http.disconnect":
            raise _NoFileError
        chunk = message.get("body", b"")
        received += len(chunk)
        if received >= mark:
            mark, by = received + limits.least, monotonic() + limits.within
        yield chunk
        if not message.get("more_body"):
            return


class _NoFileError(Exception):
    """The request has not exactly one file."""


class _Parts:
    """The one file in a form (RFC 7578), as it comes."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise _NoFileError
        self.data = bytearray()  # of the file, not taken yet
        self.name = ""
        self._files = 0
        self._in_file = False
        self._whole = False
        self._field, self._value = bytearray(), bytearray()
        self.parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin,
                "on_part_data": self._take,
                "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_end": self._end_form,
            },
        )

    def end(self) -> None:
        """Raise _NoFileError where there was no file, several, or one that is cut off."""
        if self._files != 1 or not self._whole:
            raise _NoFileError

    def _begin(self) -> None:
        self._in_file = False

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.data += data[start:end]

    def _end_header(self) -> None:
        field, value = bytes(self._field).lower(), bytes(self._value)
        self._field.clear()
        self._value.clear()
        if field != b"content-disposition":
            return
        _, options = parse_options_header(value)
        if b"filename" in options:
            self.name = options[b"filename"].decode(errors="replace") or f"upload{PDF}"
            self._in_file = True
            self._files += 1

    def _end_form(self) -> None:
        self._whole = True


def _with_token(scope: Scope, token: str) -> tuple[Scope, Receive]:
    """The request with a token in the place of the file."""
    body = (
        f"--{_BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="upload{PDF}"\r\n'
        f"Content-Type: application/pdf\r\n\r\n{token}\r\n--{_BOUNDARY}--\r\n"
    ).encode()
    own = (b"content-length", b"content-type", b"transfer-encoding")
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in own]
    headers += [
        (b"content-length", str(len(body)).encode()),
        (b"content-type", f"multipart/form-data; boundary={_BOUNDARY}".encode()),
    ]
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return {**scope, "headers": headers}, receive


def _is_good(answer: list[Message]) -> bool:
    return bool(answer) and 200 <= answer[0].get("status", 500) < 300


async def _say(answer: list[Message], send: Send) -> None:
    for message in answer:
        await send(message)
