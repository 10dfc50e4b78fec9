"""What the owner is told, in their language, and what came of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bookbrain.admin.check import Check, State, worst_of
from bookbrain.citation import printable
from bookbrain.translation import Language, translated
from bookbrain.wording import fill, message_of

_MOST_OF_A_LINE = 300
_MOST = 1900  # Discord takes 2,000 characters, the title among them


@dataclass(frozen=True)
class Message:
    """`text` is whole without the title; `level` is the worst of what it is about."""

    title: str
    text: str
    level: State
    host: str
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """What came of telling somebody: `where` has no secret, `seen` is what was answered."""

    where: str
    ok: bool
    seen: str


def about_changes(news: Sequence[Check], host: str, language: Language) -> Message:
    """One message for all checks that changed."""
    level = worst_of(check.state for check in news)
    if level is State.OK:
        title = translated(fill("BookBrain on {host} is well again", host=host), language)
    elif level is State.WARN:
        title = translated(fill("BookBrain on {host}: something to look at", host=host), language)
    else:
        title = translated(fill("BookBrain on {host} has a fault", host=host), language)
    order = sorted(news, key=lambda check: list(State).index(check.state), reverse=True)
    lines = [line for check in order for line in _lines(check, language)]
    return Message(title, _cut(lines), level, host, tuple(order))


def about_failure(check: Check, journal: str, host: str, language: Language) -> Message:
    """A unit has failed; `journal` has what it last said."""
    title = translated(fill("{unit} on {host} has failed", unit=check.subject, host=host), language)
    said = [printable(line.strip()) for line in journal.splitlines() if line.strip()]
    lines = [*_lines(check, language), *(f"> {line}" for line in said)]
    return Message(title, _cut(lines), check.state, host, (check,))


def about_nothing(host: str, language: Language) -> Message:
    """To see whether a message arrives."""
    title = translated(fill("BookBrain on {host}: a test", host=host), language)
    return Message(title, translated("If you read this, trouble will reach you.", language),
                   State.OK, host)  # fmt: skip


def summary_of(checks: Iterable[Check], language: Language) -> str:
    """A line for each check that is not well; one when all are."""
    lines = [
        line for check in checks if check.state is not State.OK for line in _lines(check, language)
    ]
    return _cut(lines) if lines else translated("All is well.", language)


def _lines(check: Check, language: Language) -> list[str]:
    state = translated("ok  " if check.state is State.OK else check.state.value, language)
    name = translated(check.name, language)
    lines = [printable(f"{state.strip()}  {name}: {translated(check.seen, language)}")]
    if check.remedy and check.state is not State.OK:
        lines.append(
            printable(translated(fill("Next:  {hint}", hint=message_of(check.remedy)), language))
        )
    return lines


def _cut(lines: Iterable[str]) -> str:
    return "\n".join(line[:_MOST_OF_A_LINE] for line in lines)[:_MOST]
