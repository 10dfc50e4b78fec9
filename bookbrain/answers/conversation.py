"""A conversation of a few turns: the question that follows on others, and what is kept of these.

`bookbrain ask` keeps the last one of each user, in a file of theirs, so that `--continue` can go on
with it. What was said before helps to understand a question; it is no source of an answer.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bookbrain.answers.gate import script_of
from bookbrain.files import open_file, write_file

MOST_TURNS = 4
_KEPT_SECONDS = 4 * 3600.0
_MOST_BYTES = 1 << 20  # of the file
_HANGUL = re.compile("[가-힣]")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question, and the statements that answered it: none where the books did not say."""

    question: str
    statements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question, and the turns before it, the last of them last."""

    question: str
    earlier: tuple[Exchange, ...] = ()

    @property
    def spoken(self) -> str:
        """The last question that tells the language: "Windows는?" has too little Korean."""
        questions = self.question, *(turn.question for turn in reversed(self.earlier))
        return next((text for text in questions if not _is_mixed(text)), self.question)


def _is_mixed(text: str) -> bool:
    return bool(_HANGUL.search(text)) and script_of(text) != "hangul"


def conversation_file(env: Mapping[str, str]) -> Path:
    """Where a user's last conversation is kept, in the state directory of the XDG specification.

    Who asks by sudo shares the service's user with others, but not the conversation.
    """
    state = env.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        state = str(Path(env.get("HOME") or Path.home()) / ".local" / "state")
    person = env.get("SUDO_UID", "")
    name = f"conversation-{person}.json" if person.isdecimal() else "conversation.json"
    return Path(state) / "bookbrain" / name


def kept_turns(path: Path, now: float | None = None) -> tuple[Exchange, ...]:
    """What is kept of the last conversation, none of it older than four hours; a file that is not
    ours counts as none."""
    now = time.time() if now is None else now
    return tuple(turn for _, turn in _kept(path, now))


def keep_turn(
    path: Path, earlier: Sequence[Exchange], turn: Exchange, now: float | None = None
) -> None:
    """Keep a turn behind those of `earlier` that are still kept, for nobody but this user.

    What is not among them goes. Raises OSError where it cannot be written.
    """
    now = time.time() if now is None else now
    before = [(then, known) for then, known in _kept(path, now) if known in earlier]
    turns = [*before, (now, turn)][-MOST_TURNS:]
    rows = [{"at": then, **asdict(said)} for then, said in turns]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(path, json.dumps({"turns": rows}, ensure_ascii=False).encode(errors="replace"))


def _kept(path: Path, now: float) -> list[tuple[float, Exchange]]:
    try:
        with open_file(path) as file:
            rows = json.loads(file.read(_MOST_BYTES))["turns"]
        turns = [
            (float(row["at"]), Exchange(str(row["question"]), tuple(map(str, row["statements"]))))
            for row in rows
        ]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
    return [(then, turn) for then, turn in turns if 0 <= now - then < _KEPT_SECONDS][-MOST_TURNS:]
