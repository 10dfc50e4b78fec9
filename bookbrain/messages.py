"""What BookBrain says: messages that keep their data apart, and their translation.

A text is written where it arises, `fill("Removed {title}.", title=book.title)`. It is a str, for
logs, JSON and comparisons; its template and its values go with it to where it is translated. A
value that is a message itself is translated too; every other one is a datum.

The code is written in English; `i18n/ko.po` has the templates of its messages and click's, and what
they are in Korean. `packaging/catalogue.py` makes of it what gettext reads; where that is missing
all is in English.
"""

import gettext
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from string import Formatter
from typing import Any, Literal

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


Language = Literal["en", "ko"]
_DOMAIN = "bookbrain"
_FOLDER = Path(__file__).with_name("i18n")


def language(environ: Mapping[str, str]) -> Language:
    """The language of a POSIX environment; as in gettext(3), LANGUAGE counts outside of "C"."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environ[name] for name in names if environ.get(name)), "C")
    if locale.split(".")[0] in ("C", "POSIX"):
        return "en"
    for wanted in (environ.get("LANGUAGE") or locale).split(":"):
        code = re.split(r"[_.@-]", wanted)[0]
        if code in ("ko", "en"):
            return "ko" if code == "ko" else "en"
    return "en"


def translated(text: str, language: Language) -> str:
    """`text` in `language`; its own words unchanged where the catalogue does not have them.

    One that was not filled is a message without data.
    """
    if language == "en" or not text:
        return str(text)
    message = message_of(text)
    return message.korean or put(_korean().gettext(message.template), _values(message))


def set_language(environ: Mapping[str, str]) -> None:
    """Whatever asks gettext in this process, as click does, gets its words from our catalogue.

    gettext joins LANGUAGE to a path: one with a slash could lead root to somebody's own file.
    """
    ours = language(environ) == "ko" and "/" not in environ.get("LANGUAGE", "")
    gettext.bindtextdomain(_DOMAIN, str(_FOLDER))
    gettext.textdomain(_DOMAIN if ours else "messages")


def _values(message: Filled) -> dict[str, str]:
    return {
        name: translated(value, "ko") if isinstance(value, Filled) else value
        for name, value in message.values.items()
    }


@cache
def _korean() -> gettext.NullTranslations:
    return gettext.translation(_DOMAIN, _FOLDER, ["ko"], fallback=True)
