"""What BookBrain says, in the language of the person who reads it.

The code is written in English; `i18n/ko.po` has the templates of its messages (`bookbrain.wording`)
and click's, and what they are in Korean. `packaging/catalogue.py` makes of it what gettext reads;
where that is missing all is in English.
"""

import gettext
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from bookbrain.wording import Filled, message_of, put

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
