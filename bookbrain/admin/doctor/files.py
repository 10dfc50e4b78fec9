"""Whether settings, credentials, library and Caddyfile are as the services need them."""

import grp
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bookbrain.admin.check import Check, State
from bookbrain.server import SERVICE_USER
from bookbrain.wording import fill

_MOST_NAMED = 3


@dataclass(frozen=True)
class Seen:
    """A file or a folder; `mode` holds the permissions only."""

    path: Path
    owner: str
    group: str
    mode: int


def look_at(path: Path) -> Seen | None:
    """None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Seen(path, _user(found.st_uid), _group(found.st_gid), stat.S_IMODE(found.st_mode))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def check_settings(path: Path, seen: Seen | None, complaint: str, hint: str) -> Check:
    """`complaint` and `hint` are those of the error that reading it raised, "" without one."""
    if complaint:
        return Check("settings", State.FAIL, complaint, hint)
    if seen is None:
        return Check(
            "settings", State.FAIL, fill("{path} is not there.", path=path), "Run install.sh again."
        )
    if not _may_read(seen):
        return Check(
            "settings",
            State.FAIL,
            fill("The services cannot read {path}.", path=path),
            fill(
                "sudo chown root:{group} {path} && sudo chmod 640 {file}",
                group=SERVICE_USER,
                path=path,
                file=path,
            ),
        )
    return Check("settings", State.OK, fill("{path} is valid", path=path))


def _may_read(seen: Seen) -> bool:
    if seen.owner == SERVICE_USER:
        return bool(seen.mode & stat.S_IRUSR)
    return bool(seen.mode & (stat.S_IRGRP if seen.group == SERVICE_USER else stat.S_IROTH))


def check_credentials(key: Path, files: Iterable[Seen]) -> list[Check]:
    """`files` are all in the folder; the services do not start without that of the key."""
    files = list(files)
    checks = [
        Check(
            "credentials",
            State.FAIL,
            fill("{path} can be read by others than root.", path=file.path),
            fill(
                "sudo chown root:root {path} && sudo chmod 600 {file}",
                path=file.path,
                file=file.path,
            ),
        )
        for file in files
        if file.mode & 0o077
    ]
    if key not in {file.path for file in files}:
        checks.append(
            Check(
                "credentials",
                State.FAIL,
                fill("{path} is not there: the services do not start.", path=key),
                fill("sudo install -m 600 /dev/null {path}", path=key),
            )
        )
    return checks or [Check("credentials", State.OK, "for root alone")]


def check_library(home: Path, seen: Seen | None, inside: Iterable[Seen]) -> Check:
    """`inside` is what lies in it."""
    if seen is None:
        return Check(
            "library", State.FAIL, fill("{path} is not there.", path=home), "Run install.sh again."
        )
    strange = [one.path.name for one in (seen, *inside) if one.owner != SERVICE_USER]
    if strange:
        names = ", ".join(strange[:_MOST_NAMED])
        return Check(
            "library",
            State.FAIL,
            fill("Not the service's own in {home}: {names}.", home=home, names=names),
            fill(
                "sudo chown -R {user}:{group} {path}",
                user=SERVICE_USER,
                group=SERVICE_USER,
                path=home,
            ),
        )
    if seen.mode & 0o007:
        return Check(
            "library",
            State.WARN,
            fill("Every user of this machine can look into {path}.", path=home),
            fill("sudo chmod o-rwx {path}", path=home),
        )
    return Check(
        "library", State.OK, fill("{path} belongs to {user}", path=home, user=SERVICE_USER)
    )


def check_caddyfile(path: Path, text: str, ours: Path) -> Check:
    """`text` is the Caddyfile of the machine, which is to import `ours`."""
    if ["import", str(ours)] not in (line.split() for line in text.splitlines()):
        return Check(
            "Caddyfile",
            State.FAIL,
            fill("{path} does not import BookBrain's Caddyfile.", path=path),
            fill("Add this line at its end: import {path}", path=ours),
        )
    if not ours.exists():
        return Check(
            "Caddyfile",
            State.FAIL,
            fill("{path} is not there.", path=ours),
            "Run install.sh again.",
        )
    return Check("Caddyfile", State.OK, fill("{path} imports BookBrain's", path=path))
