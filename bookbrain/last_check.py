"""What the last health check of a server saw, for the web app, which may not look itself."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from bookbrain.files import write_file
from bookbrain.messages import as_rows, of_row

_FILE = "last-check.json"  # in the library's folder


@dataclass(frozen=True, slots=True)
class SeenCheck:
    """How one thing is: `state` is "ok", "warn" or "FAIL"; `remedy` is what to do about it."""

    name: str
    state: str
    seen: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class LastCheck:
    """When all was looked at, in UTC, and what was seen."""

    at: datetime
    seen: tuple[SeenCheck, ...]


def keep_check(home: Path, seen: Iterable[SeenCheck], at: datetime) -> None:
    """Keep it in place of the one before; raises OSError."""
    value = {
        "at": at.isoformat(),
        "seen": [asdict(one, dict_factory=as_rows) for one in seen],
    }
    write_file(home / _FILE, json.dumps(value, ensure_ascii=False, indent=1).encode())


def last_check(home: Path) -> LastCheck | None:
    """What was kept; None where nothing was, or nothing that can be read."""
    try:
        value = json.loads((home / _FILE).read_bytes())
        found = [SeenCheck(**one) for one in value["seen"]]
        seen = tuple(
            replace(one, seen=of_row(one.seen), remedy=of_row(one.remedy)) for one in found
        )
        return LastCheck(datetime.fromisoformat(value["at"]), seen)
    except (OSError, ValueError, KeyError, TypeError):
        return None
