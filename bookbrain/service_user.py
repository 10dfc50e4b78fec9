"""On a server root's commands work as the user of the service, who owns the library.

So no file of root's gets into the library, and no PDF is opened with root's rights.
"""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass

from bookbrain.errors import ConfigError
from bookbrain.server import SERVICE_USER, Layout
from bookbrain.wording import fill

THIS_MACHINE = Layout()
_UMASK = 0o027  # as the units have it
_OF_ROOT = ("TMPDIR", "TEMP", "TMP", "MAIL", "XDG_")  # name root's folders, or begin such a name


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine, with the group of the same name."""

    name: str
    uid: int
    gid: int


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
        os.initgroups(who.name, who.gid)
        os.setresgid(who.gid, who.gid, who.gid)
        os.setresuid(who.uid, who.uid, who.uid)
    except OSError as error:
        raise ConfigError(
            fill("Root cannot become the user {name} ({error}).", name=who.name, error=error),
            "Run install.sh again.",
        ) from error
    if _is_root_within_reach(who):
        raise ConfigError("Root's rights could not be given up.", "Please report this.")
    os.umask(_UMASK)
    os.chdir("/")
    for name in [name for name in os.environ if name.startswith(_OF_ROOT)]:
        del os.environ[name]
    os.environ.update(HOME=str(layout.home), USER=who.name, LOGNAME=who.name)


def service_account() -> Account:
    """The service's user of this machine; ConfigError where there is none."""
    try:
        entry = pwd.getpwnam(SERVICE_USER)
    except KeyError as error:
        raise ConfigError(
            fill("This server has no user {name}.", name=SERVICE_USER), "Run install.sh again."
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _is_root_within_reach(who: Account) -> bool:
    if set(os.getresuid()) != {who.uid} or set(os.getresgid()) != {who.gid} or 0 in os.getgroups():
        return True
    for regain in (os.setresuid, os.setresgid):
        try:
            regain(0, 0, 0)
        except PermissionError:
            continue
        return True
    return False
