"""How old the newest backup is."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bookbrain.admin.check import Check, State
from bookbrain.durable import PART

_LONG = timedelta(days=8)  # a week, and a day for a timer that was late
_REMEDY = "systemctl status bookbrain-backup.timer; then: sudo bookbrain-admin backup"


@dataclass(frozen=True)
class Backup:
    """The newest one."""

    file: str
    made: datetime


def newest_backup(folder: Path) -> Backup | None:
    """Hidden files and those that are being written do not count; OSError if it cannot be read."""
    made = {
        path.name: path.stat().st_mtime
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.is_file()
        and not path.is_symlink()
        and ".tar.zst" in path.name
        and path.suffix != PART
        if not path.name.startswith(".")
    }
    if not made:
        return None
    name = max(made, key=lambda name: made[name])
    return Backup(name, datetime.fromtimestamp(made[name], UTC))


def check_backup(backup: Backup | None, begun: datetime | None, now: datetime) -> Check:
    """`begun` is when the library was; None where that is not known, or it is empty."""
    if backup is None:
        old = begun is not None and now - begun > _LONG
        return Check("backup", State.WARN if old else State.OK, "none yet", _REMEDY)
    age = max(now - backup.made, timedelta())
    state = State.WARN if age > _LONG else State.OK
    if age.days:
        return Check("backup", state, f"{backup.file}, {age.days} days old", _REMEDY)
    return Check("backup", state, f"{backup.file}, {age.seconds // 3600} hours old", _REMEDY)
