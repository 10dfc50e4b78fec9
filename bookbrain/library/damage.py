"""What a check of the library found, kept in its folder: how far it is, and what it came to."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bookbrain.durable import write_file
from bookbrain.last_check import Seen
from bookbrain.wording import Filled, as_rows, fill, joined, message_of, of_row

FILE = "check.json"  # in the library's folder
_MOST_NAMED = 3
_LONG = timedelta(weeks=3)
_CHECK = "Run `bookbrain-admin check`; on a server with sudo."
_BRING_BACK = (
    "Bring the catalog back from a backup: `bookbrain-admin restore FILE`; or make it again from "
    "the files and what is known of them: `bookbrain recover`. On a server both with sudo."
)
_REPAIR = "Mend it: `bookbrain-admin check --repair`; on a server with sudo."


@dataclass(frozen=True, slots=True)
class Damage:
    """`file` is in the library's folder, `what` the end of a sentence; `book` is the id of the book
    that it is of, "" where it is of none or of many, and `title` what that is called. `lost` is a
    catalog that is not the library's, which no repair mends."""

    file: str
    what: str
    book: str = ""
    title: str = ""
    lost: bool = False

    @property
    def sentence(self) -> Filled:
        what = message_of(self.what)
        if not self.book:
            return fill("{file}: {what}", file=self.file, what=what)
        book = self.title or self.book[:12]
        return fill("{file} ({book}): {what}", file=self.file, book=book, what=what)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check came to: when it ended, in UTC, how many files it read, and all damage."""

    at: datetime
    files: int
    damage: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckState:
    """`last` is the outcome of the last check that came to its end. One that is under way has
    checked the units up to `done`, in their order, and found `damage` in so many `files`."""

    last: Outcome | None = None
    done: str = ""
    files: int = 0
    damage: tuple[Damage, ...] = ()

    @property
    def known(self) -> tuple[Damage, ...]:
        """All damage that is known of, by the last check and the one under way."""
        return tuple(dict.fromkeys([*(self.last.damage if self.last else ()), *self.damage]))

    def ended(self, now: datetime) -> "CheckState":
        return CheckState(Outcome(now, self.files, self.damage))

    def found(self, done: str, damage: list[Damage]) -> "CheckState":
        """With one more unit checked."""
        return replace(self, done=done, files=self.files + 1, damage=(*self.damage, *damage))


def look_at_damage(home: Path, now: datetime) -> Seen:
    """What is known of damage in the library in `home`, as a line of its condition.

    It is no FAIL: an upgrade that went back would not mend it.
    """
    state = read_state(home)
    if state.known:
        shown = [damage.sentence for damage in state.known[:_MOST_NAMED]]
        more = ["…"] if state.known[_MOST_NAMED:] else []
        names = joined([*shown, *more])
        seen = fill("Damaged: {count} ({names}).", count=len(state.known), names=names)
        lost = any(damage.lost for damage in state.known)
        return Seen("check", "warn", seen, _BRING_BACK if lost else _REPAIR)
    if state.last is None:
        return Seen("check", "ok", "not checked for damage yet")
    if now - state.last.at > _LONG:
        seen = fill(
            "The last check for damage was at {time:%Y-%m-%d %H:%M} UTC.", time=state.last.at
        )
        return Seen("check", "warn", seen, _CHECK)
    return Seen("check", "ok", fill("no damage at {time:%Y-%m-%d %H:%M} UTC", time=state.last.at))


def read_state(home: Path) -> CheckState:
    """What is kept; nothing where it cannot be read: then a check begins anew."""
    try:
        kept = json.loads((home / FILE).read_bytes())
        last = kept["last"]
        return CheckState(
            Outcome(
                datetime.fromisoformat(last["at"]).astimezone(UTC),
                int(last["files"]),
                _all(last["damage"]),
            )
            if last
            else None,
            str(kept["done"]),
            int(kept["files"]),
            _all(kept["damage"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return CheckState()


def keep_state(home: Path, state: CheckState) -> None:
    """Keep it in place of the one before, whole; raises OSError."""
    value = asdict(state, dict_factory=as_rows)
    text = json.dumps(value, default=datetime.isoformat, ensure_ascii=False, indent=1)
    write_file(home / FILE, text.encode())


def _all(kept: list[dict[str, Any]]) -> tuple[Damage, ...]:
    return tuple(Damage(**{**one, "what": of_row(one["what"])}) for one in kept)
