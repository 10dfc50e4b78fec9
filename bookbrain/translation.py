"""What BookBrain says, in the language of the person who reads it.

The code is written in English; `messages.ko.toml` has the templates of its texts. A message is
looked up by the template that it was filled from (`bookbrain.wording`); its data stay as they are.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from string import Formatter
from typing import Literal

from bookbrain.wording import PLACE, Filled

Language = Literal["en", "ko"]

_SENTENCE_END = re.compile(r"(?<=[.?!]) ")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


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

    One that was not filled is a message without data: numbers may stand in it.
    """
    return str(text) if language == "en" else _korean(text)


@dataclass(frozen=True, slots=True)
class _Entry:
    """`words` are those of the Korean; behind each but the last stands the value with the index in
    `order`. Those in `messages` are messages also where they were not filled."""

    words: tuple[str, ...]
    order: tuple[int, ...]
    messages: frozenset[int]


def _korean(text: str) -> str:
    if PLACE in text and not isinstance(text, Filled):
        return text
    if not isinstance(text, Filled):
        return _said(text, ()) or _said(*_numbers_apart(text)) or text
    if text.korean:
        return text.korean
    for pattern, values in ways_of(text):
        if (korean := _said(pattern, values)) is not None:
            return korean
    return str(Filled(text.pieces, (_value(value) for value in text.values)))


def _numbers_apart(text: str) -> tuple[str, tuple[str, ...]]:
    return _NUMBER.sub(PLACE, text), tuple(_NUMBER.findall(text))


def ways_of(text: Filled) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The patterns that it has, with their values: messages in it are values, or words of it."""
    choices = [
        [(PLACE, (value,)), *(ways_of(value) if isinstance(value, Filled) else ())]
        for value in text.values
    ]
    words = Filled(text.pieces, ("",) * len(text.values)).pattern.split(PLACE)
    for chosen in product(*choices):
        pattern = words[0] + "".join(p + w for (p, _), w in zip(chosen, words[1:], strict=True))
        yield pattern, tuple(value for _, values in chosen for value in values)


def _said(pattern: str, values: tuple[str, ...]) -> str | None:
    """By one entry, else sentence by sentence, where each has one."""
    if entry := _entries().get(pattern):
        return _filled(entry, values)
    sentences, said = _SENTENCE_END.split(pattern), []
    while sentences:
        for count in range(min(len(sentences), _most_sentences()), 0, -1):
            head = " ".join(sentences[:count])
            if head == PLACE or head in _entries():
                break
        else:
            return None
        here, values = values[: head.count(PLACE)], values[head.count(PLACE) :]
        said.append(_value(here[0]) if head == PLACE else _filled(_entries()[head], here))
        del sentences[:count]
    return " ".join(said)


def _filled(entry: _Entry, values: tuple[str, ...]) -> str:
    shown = [
        _korean(value) if index in entry.messages else _value(value)
        for index, value in enumerate(values)
    ]
    places = zip(entry.order, entry.words[1:], strict=True)
    return entry.words[0] + "".join(shown[index] + word for index, word in places)


def _value(value: str) -> str:
    return _korean(value) if isinstance(value, Filled) else value


@cache
def _entries() -> dict[str, _Entry]:
    """By the pattern of the English."""
    text = (files("bookbrain") / "messages.ko.toml").read_text(encoding="utf-8")
    made = {}
    for english, korean in tomllib.loads(text).items():
        words, fields = _parts(english)
        names = [name for name, _ in fields]
        told = frozenset(index for index, (_, kind) in enumerate(fields) if kind == "t")
        korean_words, places = _parts(korean)
        order = tuple(names.index(name) for name, _ in places)
        made[PLACE.join(words)] = _Entry(korean_words, order, told)
    return made


@cache
def _most_sentences() -> int:
    return max(len(_SENTENCE_END.split(pattern)) for pattern in _entries())


def _parts(template: str) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Its words, and between them the name and the kind of each value."""
    words, fields = [""], []
    for own, name, kind, _ in Formatter().parse(template):
        words[-1] += own
        if name is not None:
            fields.append((name, kind or ""))
            words.append("")
    return tuple(words), fields
