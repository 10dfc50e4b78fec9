"""What the last health check of a server saw, for the web app, which may not look itself."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bookbrain.durable import write_file
from bookbrain.wording import reworded, wordings

_FILE = "last-check.json"  # in the library's folder


@dataclass(frozen=True, slots=True)
class Seen:
    """How one thing is: `state` is "ok", "warn" or "FAIL"; `remedy` is what to do about it."""

    name: str
    state: str
    seen: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class LastCheck:
    """When all was looked at, in UTC, and what was seen."""

    at: datetime
    seen: tuple[Seen, ...]


def keep_check(home: Path, seen: Iterable[Seen], at: datetime) -> None:
    """Keep it in place of the one before; raises OSError."""
    kept = list(seen)
    texts = [text for one in kept for text in (one.seen, one.remedy)]
    value = {
        "at": at.isoformat(),
        "seen": [asdict(one) for one in kept],
        "wordings": wordings(texts),
    }
    write_file(home / _FILE, json.dumps(value, ensure_ascii=False, indent=1).encode())


def last_check(home: Path) -> LastCheck | None:
    """What was kept; None where nothing was, or nothing that can be read."""
    try:
        value = json.loads((home / _FILE).read_bytes())
        found = [Seen(**one) for one in value["seen"]]
        said = value.get("wordings", {})
        seen = tuple(_reworded(one, said) for one in found)
        return LastCheck(datetime.fromisoformat(value["at"]), seen)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _reworded(one: Seen, said: dict[str, Any]) -> Seen:
    return replace(one, seen=reworded(one.seen, said), remedy=reworded(one.remedy, said))
