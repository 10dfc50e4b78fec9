"""What lands in a server's inbox becomes the service's: root gives it to that user.

`python -m bookbrain.ownership` is the one step of the inbox's unit that needs root: a file that its
owner alone may read could not be taken otherwise. The group may change the inbox at any time, so
each thing is opened by its name in an open folder, never through a link, and never waited for.
"""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bookbrain.server import Layout
from bookbrain.service_user import Account, service_account

_DEEPEST = 64  # folders in folders, each of which is open meanwhile
_OPENING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def give_inbox(layout: Layout, account: Account) -> None:
    """Give `account` the inbox and the plain files and folders in it, as deep as 64 folders.

    Left alone are links, files that have another name somewhere, what is neither file nor folder,
    and other file systems.
    """
    with (
        suppress(OSError),
        _opened(str(layout.home.parent)) as top,
        _opened(layout.home.name, top) as home,
        _opened(layout.inbox.name, home) as inbox,
    ):
        if stat.S_ISDIR(os.fstat(inbox).st_mode):
            _give_folder(inbox, account, _DEEPEST)


def _give_folder(folder: int, account: Account, depth: int) -> None:
    device = os.fstat(folder).st_dev
    for name in _names(folder):
        with suppress(OSError), _opened(name, folder) as found:
            seen = os.fstat(found)
            if stat.S_ISDIR(seen.st_mode):
                # Of a file it would say too much: an overlay has them from several devices.
                if depth and seen.st_dev == device:
                    _give_folder(found, account, depth - 1)
            elif stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1:
                _give(found, seen, account)
    _give(folder, os.fstat(folder), account)


def _give(found: int, seen: os.stat_result, account: Account) -> None:
    if (seen.st_uid, seen.st_gid) != (account.uid, account.gid):
        os.fchown(found, account.uid, account.gid)
        if stat.S_ISDIR(seen.st_mode):
            os.fchmod(found, stat.S_IMODE(seen.st_mode))  # a change of owner takes setgid away


def _names(folder: int) -> Iterator[str]:
    """Of what may be opened: a device or a pipe is not even tried."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False):
                yield entry.name


@contextmanager
def _opened(name: str, folder: int | None = None) -> Iterator[int]:
    descriptor = os.open(name, _OPENING, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    give_inbox(Layout(), service_account())
    sys.exit()
