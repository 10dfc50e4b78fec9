"""On a server root's commands become the user of the service, who owns the library.

So no file of root's gets into the library, and no PDF is opened with root's rights.

`python -m bookbrain.privileges` is the one step of the inbox's unit that needs root: a file that
only its owner may read could not be taken otherwise. The group may change the inbox at any time, so
each thing is opened by its name in an open folder, never through a link, and never waited for.
"""

import os
import pwd
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from bookbrain.errors import ConfigError
from bookbrain.messages import fill
from bookbrain.paths import SERVICE_USER, Layout, with_server_defaults
from bookbrain.settings import Settings, load_settings, with_choice

THIS_MACHINE = Layout()
Account = pwd.struct_passwd  # a user of the machine
_UMASK = 0o027  # as the units have it
_OF_ROOT = ("TMPDIR", "TEMP", "TMP", "MAIL", "XDG_")  # name root's folders, or begin such a name


def works_for_service(env: Mapping[str, str], layout: Layout = THIS_MACHINE) -> bool:
    """Whether a command in this environment is root's, on a server, for the service's library."""
    return not env.get("BOOKBRAIN_HOME") and os.geteuid() == 0 and layout.settings.exists()


def become_service_user(layout: Layout = THIS_MACHINE, account: Account | None = None) -> None:
    """Give up root's rights for those of the service's user, for good.

    Files that are open stay so; what only root can read, secrets for instance, is to be read
    before. Changes the working directory: paths must be absolute by then. Raises ConfigError when
    there is no such user, or when root's rights could be had back.
    """
    who = account or service_account()
    try:
        os.initgroups(who.pw_name, who.pw_gid)
        os.setresgid(who.pw_gid, who.pw_gid, who.pw_gid)
        os.setresuid(who.pw_uid, who.pw_uid, who.pw_uid)
    except OSError as error:
        raise ConfigError(
            fill("Root cannot become the user {name} ({error}).", name=who.pw_name, error=error),
            "Run install.sh again.",
        ) from error
    if _is_root_within_reach(who):
        raise ConfigError("Root's rights could not be given up.", "Please report this.")
    os.umask(_UMASK)
    os.chdir("/")
    for name in [name for name in os.environ if name.startswith(_OF_ROOT)]:
        del os.environ[name]
    os.environ.update(HOME=str(layout.home), USER=who.pw_name, LOGNAME=who.pw_name)


def service_account() -> Account:
    """The service's user of this machine; ConfigError where there is none."""
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError as error:
        raise ConfigError(
            fill("This server has no user {name}.", name=SERVICE_USER), "Run install.sh again."
        ) from error


def _is_root_within_reach(who: Account) -> bool:
    uids, gids = set(os.getresuid()), set(os.getresgid())
    if uids != {who.pw_uid} or gids != {who.pw_gid} or 0 in os.getgroups():
        return True
    for regain in (os.setresuid, os.setresgid):
        try:
            regain(0, 0, 0)
        except PermissionError:
            continue
        return True
    return False


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
    if (seen.st_uid, seen.st_gid) != (account.pw_uid, account.pw_gid):
        os.fchown(found, account.pw_uid, account.pw_gid)
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


def become_service(layout: Layout = THIS_MACHINE) -> Settings:
    """The settings, secrets among them; from here on root on a server is the service's user.

    To be called once, after all that only root can read, and before the library is opened.
    """
    settings = load_settings(with_server_defaults(os.environ, layout))
    if works_for_service(os.environ, layout):
        become_service_user(layout)
    return with_choice(settings)
