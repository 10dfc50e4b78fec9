"""What the disk refuses, as a person should hear it."""

import errno
import sqlite3

from bookbrain.errors import BookBrainError
from bookbrain.index.database import MEND, is_damage, lacks_room
from bookbrain.wording import fill

GO_ON = "Make room and run `bookbrain add` again: nothing is lost."
AGAIN = "Make room and run this again."
DELETE_OTHERS = "Make room by deleting other files on this disk, and run this again."

_ONLY_READ = (errno.EROFS, errno.EACCES, errno.EPERM)
_ONLY_READ_CODES = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


def storage_error(error: OSError | sqlite3.Error, hint: str = AGAIN) -> BookBrainError:
    """What a person should hear when the library's own files cannot be had as they are needed.

    `hint` says what to do when the disk is full.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary one
    number = getattr(error, "errno", None)
    if lacks_room(error):
        return BookBrainError("The disk is full.", hint)
    if number in _ONLY_READ or code in _ONLY_READ_CODES:
        return BookBrainError(
            fill("The library cannot be written here: {error}.", error=error),
            "Its disk must be mounted for writing, and its folder and files be this user's. "
            "What is in it can be searched meanwhile.",
        )
    if number == errno.EIO or code == sqlite3.SQLITE_IOERR:
        return BookBrainError(
            fill("The disk fails, or a quota is used up: {error}.", error=error),
            "See which: `sudo dmesg`, `quota`. Take no risk: copy what you can first.",
        )
    if is_damage(error):
        return BookBrainError(fill("The library is damaged: {error}.", error=error), MEND)
    return BookBrainError(
        fill("The library cannot be written: {error}.", error=error), "Check its folder and mode."
    )
