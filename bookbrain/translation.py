"""What BookBrain says, in the language of the person who reads it.

The code is written in English, its values filled in; `messages.ko.toml` has the templates of its
texts. Here the template of a text is found again, and its values go into the Korean one.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from string import Formatter
from typing import Literal

Language = Literal["en", "ko"]

_KINDS = {"d": r"[\d, -]+", "k": "[A-Z_]+"}  # of values; others may be anything
_SENTENCE_END = re.compile(r"(?<=[.?!]) ")
_MOST_SENTENCES = 8  # more is no message of ours, and their number of splits doubles with each


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
    """`text` in `language`; unchanged where no template fits all of it."""
    return text if language == "en" else _korean(text) or text


@dataclass(frozen=True, slots=True)
class _Template:
    """`patterns` find the English text, with its values as short and as long as they can be."""

    korean: str
    patterns: tuple[re.Pattern[str], ...]
    messages: tuple[str, ...]  # the values that are messages themselves


@lru_cache(4096)  # finds the same values in many ways
def _korean(text: str) -> str | None:
    """Sentence by sentence where each has a template, else by one template for all."""
    ends = list(_SENTENCE_END.finditer(text))
    for end in ends if len(ends) < _MOST_SENTENCES else ():
        head = _filled(text[: end.start()], complete=True)
        if head and (tail := _korean(text[end.end() :])):
            return f"{head} {tail}"
    return _filled(text)


def _filled(text: str, complete: bool = False) -> str | None:
    """By one template, where it can be so that its messages are translated; `complete`: only so."""
    for template in _templates():
        fillings = []
        for match in filter(None, (p.fullmatch(text) for p in template.patterns)):
            known = {n: korean for n in template.messages if (korean := _korean(match[n]))}
            if len(known) == len(template.messages) or not complete:
                fillings.append((len(known), template.korean.format(**match.groupdict() | known)))
        if fillings:
            return max(fillings, key=lambda filling: filling[0])[1]
    return None


@cache
def _templates() -> list[_Template]:
    """Longest first; last those that begin with a value, which could take in another's words."""
    text = (files("bookbrain") / "messages.ko.toml").read_text(encoding="utf-8")
    made = []
    for english, korean in tomllib.loads(text).items():
        parts = [(own, name, kind or "") for own, name, kind, _ in Formatter().parse(english)]
        patterns = tuple(re.compile(_regex(parts, any_), re.DOTALL) for any_ in (".*?", ".*"))
        messages = tuple(name for _, name, kind in parts if name and kind == "t")
        order = (not parts[0][0], -sum(len(own) for own, *_ in parts))
        made.append((order, _Template(korean, patterns, messages)))
    return [template for _, template in sorted(made, key=lambda pair: pair[0])]


def _regex(parts: list[tuple[str, str | None, str]], anything: str) -> str:
    values = (f"(?P<{n}>{_KINDS.get(k, anything)})" if n else "" for _, n, k in parts)
    return "".join(re.escape(own) + value for (own, *_), value in zip(parts, values, strict=True))
