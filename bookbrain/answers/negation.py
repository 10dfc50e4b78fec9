"""A "not" turns what it belongs to: it may not be cut off a quotation, nor get lost in a claim."""

import re
from collections.abc import Iterable

from bookbrain.answers.names import names_of
from bookbrain.index.analyzer import FUNCTION_WORDS, WHOLE, literal_terms

_KOREAN = "않|없|못하|못한|못 |아니|아닌|금지|말아|마라|마십시오|안 된|안 됩|안 되"
_NOT = re.compile(
    rf"\b(?:not(?! only)|never|no|none|nor|neither|cannot|nobody|nothing|without|\w+n['’]t)\b|"
    rf"{_KOREAN}",
    re.IGNORECASE,
)
# What may say the same without one.
_LIKE_NOT = re.compile(
    rf"{_NOT.pattern}|\b(?:un\w{{3,}}|non-?\w+|in\w{{4,}}|im\w{{4,}}|ir\w{{4,}}|dis\w{{3,}}|"
    r"\w+less|fail\w*|avoid\w*|refus\w*|forbid\w*|forbidden|prevent\w*|lack\w*|missing|absent|"
    r"instead|rather|only|except|exclud\w*|ignor\w*|skip\w*|too|at most|at least|deny|denie\w*|"
    r"drop\w*|remov\w*|false|wrong|off|stop\w*|least|rarely|hardly|free)\b|미|불|비|무|빼|제외|실패",
    re.IGNORECASE,
)
_TURNED_BEFORE = re.compile(rf"{_NOT.pattern}|\b(?:unless|avoid|false|wrong)\b", re.IGNORECASE)
_TURNED_BEHIND = re.compile(
    rf"\b(?:not|unless|except|no longer|is (?:false|wrong))\b|{_KOREAN}", re.IGNORECASE
)
_CLAUSE = re.compile(r"[.,;:!?。—–]\s|\s[—–-]\s|\n")
_COPY = 0.7  # of the words of a claim are those of one clause: it says that, or turns it


def is_turned(before: str, behind: str) -> bool:
    """Whether what a sentence says before and behind a piece of it takes that piece back."""
    return bool(_TURNED_BEFORE.search(before) or _TURNED_BEHIND.search(behind))


def contradicts(claim: str, quotes: Iterable[str]) -> bool:
    """Whether a claim says in nearly the same words what a quotation denies, or the other way.

    Only clauses of the same script have words to compare.
    """
    words = _words(claim)
    clauses = [(_shared(words, part), part) for quote in quotes for part in _CLAUSE.split(quote)]
    best = max((shared for shared, _ in clauses), default=0.0)
    if best < _COPY:
        return False
    return all(_differ(claim, part) for shared, part in clauses if shared == best)


def _differ(one: str, other: str) -> bool:
    return (_has(_NOT, one) and not _has(_LIKE_NOT, other)) or (
        _has(_NOT, other) and not _has(_LIKE_NOT, one)
    )


def _has(pattern: re.Pattern[str], text: str) -> bool:
    for name in names_of(text):
        text = text.replace(name, " ")
    return bool(pattern.search(text))


def _shared(words: set[str], clause: str) -> float:
    return len(words & _words(clause)) / len(words) if words else 0.0


def _words(text: str) -> set[str]:
    terms = {term for term in literal_terms(_NOT.sub(" ", text)) if not term.startswith(WHOLE)}
    return terms - FUNCTION_WORDS
