"""Files that browsers have sent, on the disk until they are added or their tab is gone."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import BinaryIO
from uuid import uuid4

from bookbrain.durable import is_disk_full, remove
from bookbrain.errors import InputError
from bookbrain.wording import fill

LARGEST = 300 << 20  # bytes of one file
MOST = 2 << 30  # bytes of all files that are here
_RESERVE = 256 << 20  # bytes of the disk that are left to the library
_FOLDER = ".uploads"  # in the library's folder
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
        self._folder = home / _FOLDER
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
            self.admit(upload, len(data))
            file.write(data)
            file.flush()
            upload.size += len(data)
        except InputError as error:
            self._refuse(upload, file, error)
        except OSError as error:
            if not is_disk_full(error):
                raise
            self._refuse(upload, file, _disk_full())

    def admit(self, upload: Upload, more: int) -> None:
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


_used: list[Uploads] = []


def use_uploads(uploads: Uploads) -> None:
    """Make them those of the pages."""
    _used[:] = [uploads]


def the_uploads() -> Uploads:
    """The uploads of the pages."""
    return _used[0]
