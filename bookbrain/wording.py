"""Messages that keep their data apart: a title, a path or a query is never read as our own words.

A text is written where it arises, `fill("Removed {title}.", title=book.title)`. It is a str, for
logs, JSON and comparisons; its template and its values go with it to where it is translated. A
value that was filled itself is a message in the message; every other one is a datum.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from string import Formatter
from typing import Any

PLACE = "\0"  # where a value stands in a pattern


class Filled(str):
    """The English text. `pieces` are the words of its template, one more than there are `values`;
    `korean` is what it is in Korean, where that is known with it."""

    __slots__ = ("korean", "pieces", "values")

    pieces: tuple[str, ...]
    values: tuple[str, ...]
    korean: str

    def __new__(cls, pieces: Iterable[str], values: Iterable[str], korean: str = "") -> "Filled":
        words, data = tuple(pieces), tuple(values)
        text = words[0] + "".join(v + w for v, w in zip(data, words[1:], strict=True))
        made = super().__new__(cls, text)
        made.pieces, made.values, made.korean = words, data, korean
        return made

    def __deepcopy__(self, _: dict[int, Any]) -> "Filled":
        return self

    @property
    def pattern(self) -> str:
        """The template with PLACE for each value."""
        return PLACE.join(piece.replace(PLACE, "") for piece in self.pieces)


def fill(template: str, /, **values: object) -> Filled:
    """The message of a template, filled in as `str.format` does it."""
    words, fields = _parsed(template)
    return Filled(words, (_text(values[f.name], f.conversion, f.spec) for f in fields))


def message_of(text: str) -> Filled:
    """A text of ours that has no data, as a message that can be a value of another."""
    return text if isinstance(text, Filled) else Filled((text,), ())


def bilingual(english: str, korean: str) -> Filled:
    """A text that is there in both languages."""
    return Filled((english,), (), korean)


def changed(text: str, change: Callable[[str], str]) -> str:
    """`text` with `change` made in its data; in all of it where that is not the same."""
    whole = change(text)
    if not isinstance(text, Filled):
        return whole
    made = Filled(text.pieces, (changed(value, change) for value in text.values), text.korean)
    return made if made == whole else whole


def packed(text: str) -> Any:
    """For JSON on its way to another process of ours: what `unpacked` makes the text of again."""
    if not isinstance(text, Filled):
        return text
    return [text.pieces, [packed(value) for value in text.values], text.korean]


def unpacked(value: Any) -> str:
    if isinstance(value, str):
        return value
    pieces, values, korean = value
    return Filled(pieces, map(unpacked, values), korean)


def as_row(text: str) -> str:
    """For a column of a database: what `of_row` makes the text of again."""
    return json.dumps(packed(text)) if isinstance(text, Filled) and text.values else str(text)


def of_row(kept: str) -> str:
    if not kept.startswith("[["):
        return kept
    try:
        return unpacked(json.loads(kept))
    except (ValueError, TypeError, RecursionError):
        return kept


def wordings(texts: Iterable[str]) -> dict[str, Any]:
    """To be kept as JSON beside texts that are kept: what `reworded` needs."""
    return {str(text): packed(text) for text in texts if isinstance(text, Filled)}


def reworded(text: str, kept: Mapping[str, Any]) -> str:
    """A text that was kept, with its data apart; as it is where nothing was kept with it."""
    found = unpacked(kept[text]) if text in kept else text
    return found if found == text else text


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    conversion: str
    spec: str


@lru_cache(2048)
def _parsed(template: str) -> tuple[tuple[str, ...], tuple[_Field, ...]]:
    words, fields = [""], []
    for own, name, spec, conversion in Formatter().parse(template):
        words[-1] += own
        if name is not None:
            fields.append(_Field(name, conversion or "", spec or ""))
            words.append("")
    return tuple(words), tuple(fields)


def _text(value: object, conversion: str, spec: str) -> str:
    if isinstance(value, Filled) and not (conversion or spec):
        return value
    shown = repr(value) if conversion == "r" else value
    return format(shown, spec)
