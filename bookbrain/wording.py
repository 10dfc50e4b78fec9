"""Messages that keep their data apart: a title, a path or a query is never read as our own words.

A text is written where it arises, `fill("Removed {title}.", title=book.title)`. It is a str, for
logs, JSON and comparisons; its template and its values go with it to where it is translated. A
value that is a message itself is translated too; every other one is a datum.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from string import Formatter
from typing import Any

_ROW = '["'  # how a message that is kept begins


class Filled(str):
    """The English text of `template`, where each name in braces stands for one of `values`;
    `korean` is what it is in Korean, where that is known with it."""

    __slots__ = ("korean", "template", "values")

    template: str
    values: Mapping[str, str]
    korean: str

    def __new__(cls, template: str, values: Mapping[str, str], korean: str = "") -> "Filled":
        made = super().__new__(cls, put(template, values))
        made.template, made.values, made.korean = template, values, korean
        return made

    def __deepcopy__(self, _: dict[int, Any]) -> "Filled":
        return self


def fill(template: str, /, **values: object) -> Filled:
    """The message of a template, its values formatted as `str.format` does it."""
    plain, fields = _parsed(template)
    return Filled(plain, {name: _text(values[name], *how) for name, *how in fields})


def put(template: str, values: Mapping[str, str]) -> str:
    """`template` with `values` as they are for its names; KeyError for a name without one."""
    return "".join(
        own if name is None else own + values[name]
        for own, name, _, _ in Formatter().parse(template)
    )


def message_of(text: str) -> Filled:
    """A text of ours that has no data, as a message that can be a value of another."""
    return text if isinstance(text, Filled) else Filled(_literal(text), {})


def joined(texts: Iterable[str]) -> Filled:
    """Messages and data, one after the other with semicolons between them."""
    values = {str(number): text for number, text in enumerate(texts)}
    return Filled("; ".join(f"{{{name}}}" for name in values), values)


def bilingual(english: str, korean: str) -> Filled:
    """A text that is there in both languages."""
    return Filled(_literal(english), {}, korean)


def changed(text: str, change: Callable[[str], str]) -> str:
    """`text` with `change` made in its data; in all of it where that is not the same."""
    whole = change(text)
    if not isinstance(text, Filled):
        return whole
    values = {name: changed(value, change) for name, value in text.values.items()}
    made = Filled(text.template, values, text.korean)
    return made if made == whole else whole


def packed(text: str) -> Any:
    """For JSON on its way to another process of ours: what `unpacked` makes the text of again."""
    if not isinstance(text, Filled):
        return text
    return [text.template, {name: packed(value) for name, value in text.values.items()}]


def unpacked(value: Any) -> str:
    if isinstance(value, str):
        return value
    template, values = value
    return Filled(template, {name: unpacked(one) for name, one in values.items()})


def as_row(text: str) -> str:
    """To be kept, in a database or in JSON: what `of_row` makes the text of again."""
    if not isinstance(text, Filled) and text.startswith(_ROW):
        text = fill("{text}", text=text)
    return json.dumps(packed(text)) if isinstance(text, Filled) else text


def as_rows(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The `dict_factory` for `asdict` of what is kept and has messages."""
    return {name: as_row(value) if isinstance(value, Filled) else value for name, value in fields}


def of_row(kept: str) -> str:
    """What is no message, or none that this release can read, is itself."""
    if not kept.startswith(_ROW):
        return kept
    try:
        return unpacked(json.loads(kept))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return kept


@lru_cache(2048)
def _parsed(template: str) -> tuple[str, tuple[tuple[str, str, str], ...]]:
    """The template with bare names; each of them with its conversion and its format."""
    plain, fields = "", []
    for own, name, form, conversion in Formatter().parse(template):
        plain += _literal(own)
        if name is not None:
            plain += f"{{{name}}}"
            fields.append((name, conversion or "", form or ""))
    return plain, tuple(fields)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _text(value: object, conversion: str, form: str) -> str:
    if isinstance(value, Filled) and not (conversion or form):
        return value
    return format(repr(value) if conversion == "r" else value, form)
