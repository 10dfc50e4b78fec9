"""What an address asks for: `q`, `k`, `mode`, `weight`, each `book`, or `similar`."""

from collections.abc import Callable
from typing import TypeVar, get_args

from starlette.datastructures import QueryParams

from bookbrain.errors import InputError
from bookbrain.model import Mode
from bookbrain.web.finding import Question
from bookbrain.wording import fill

LONGEST_QUERY = 10_000  # characters
MOST_HITS = 100

T = TypeVar("T", int, float)


def question_of(params: QueryParams) -> Question:
    """Raises InputError for what cannot be meant; what is left out is as `Question` has it."""
    if similar := params.get("similar"):
        return Question(k=_count(params), similar=page_of(similar))
    query = params.get("q", "")
    check_length(query)
    return Question(
        query, _count(params), _mode(params), tuple(params.getlist("book")), _weight(params)
    )


def check_length(query: str) -> None:
    """Raise InputError for a query that is too long."""
    if len(query) > LONGEST_QUERY:
        raise InputError(
            fill("The query is longer than {most:,} characters.", most=LONGEST_QUERY), "Shorten it."
        )


def page_of(reference: str) -> tuple[str, int]:
    """The book and the page that `<book_id>:<page>` means."""
    book, _, page = reference.rpartition(":")
    number = _number(page, int)
    if not book or number is None:
        raise InputError("There is no such page.", "Search for it again.")
    return book, number


def _count(params: QueryParams) -> int:
    count = _number(params.get("k", "10"), int)
    if count is None or not 1 <= count <= MOST_HITS:
        raise InputError(
            fill("`k` is no whole number from 1 to {most}.", most=MOST_HITS), "Set it to one."
        )
    return count


def _mode(params: QueryParams) -> Mode:
    typed = params.get("mode", "hybrid")
    for mode in get_args(Mode):
        if typed == mode:
            return mode  # type: ignore[no-any-return]
    raise InputError("There is no such `mode`.", "Set it to `hybrid`, `keyword` or `vector`.")


def _weight(params: QueryParams) -> float | None:
    if "weight" not in params:
        return None
    weight = _number(params["weight"], float)
    if weight is None or weight > 1:
        raise InputError("`weight` is no number from 0 to 1.", "Set it to one.")
    return weight


def _number(typed: str, kind: Callable[[str], T]) -> T | None:
    """A number of a few plain digits, with a point where `kind` takes one."""
    plain = typed.replace(".", "", 1) if kind is float else typed
    short = plain.isascii() and plain.isdecimal() and len(plain) < 6
    return kind(typed) if short else None
