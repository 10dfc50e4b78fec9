"""How old the newest backup is."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bookbrain.admin.check import Check, State
from bookbrain.backup.listing import Backup
from bookbrain.wording import fill

_LONG = timedelta(days=8)  # a week, and a day for a timer that was late
_REMEDY = "systemctl status bookbrain-backup.timer; then: sudo bookbrain-admin backup"


def check_backup(found: Sequence[Backup], begun: datetime | None, now: datetime) -> Check:
    """`found` is newest first; what is damaged, or made later than now, is no backup. `begun` is
    when the library was; None where that is not known, or it is empty."""
    made = [backup for backup in found if backup.made <= now]
    sound = next((backup for backup in made if backup.is_sound), None)
    damaged = next((backup for backup in made if backup.damaged), None)
    if damaged and (sound is None or damaged.made > sound.made):
        return Check(
            "backup",
            State.WARN,
            fill("The library was damaged at the last backup: {file}", file=damaged.file),
            "See what is damaged: sudo bookbrain-admin backup; then restore a sound backup.",
        )
    if sound is None:
        old = begun is not None and now - begun > _LONG
        return Check("backup", State.WARN if old else State.OK, "none yet", _REMEDY)
    age = now - sound.made
    state = State.WARN if age > _LONG else State.OK
    if age.days:
        return Check(
            "backup",
            state,
            fill("{file}, {days} days old", file=sound.file, days=age.days),
            _REMEDY,
        )
    return Check(
        "backup",
        state,
        fill("{file}, {hours} hours old", file=sound.file, hours=age.seconds // 3600),
        _REMEDY,
    )
