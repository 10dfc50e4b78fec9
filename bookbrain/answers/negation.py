"""A "not" turns what it belongs to: it may not be cut off a quotation, nor get lost in a claim."""

import re
from collections.abc import Iterable, Sequence

from bookbrain.answers.names import names_of
from bookbrain.index.analyzer import FUNCTION_WORDS, WHOLE, literal_terms, stem
from bookbrain.korean import HANGUL

_DO_NOT = "마세|마시|마십|마라|마(?![가-힣])|말 ?것|말고|말아|말라|말도록"
_KOREAN = (
    rf"않|없|못하|못한|못 |아니|아닌|금지|말아|마라|마십시오|(?<!까)지 ?(?:{_DO_NOT})|"
    "(?<![가-힣])안 ?(?:돼|된|됩|되)"
)
_NOT = re.compile(
    rf"\b(?:not(?! only)|never|no|none|nor|neither|cannot|nobody|nothing|without|\w+n['’]t)\b|"
    rf"{_KOREAN}",
    re.IGNORECASE,
)
# What may say the same without one, where the other text does not have it too.
_LIKE_NOT = re.compile(
    r"\b(?:un\w{3,}|non-?\w+|in\w{4,}|im\w{4,}|ir\w{4,}|dis\w{3,}|"
    r"\w+less|fail\w*|avoid\w*|refus\w*|forbid\w*|forbidden|prevent\w*|lack\w*|missing|absent|"
    r"instead|rather|only|except|exclud\w*|ignor\w*|skip\w*|too|at most|at least|deny|denie\w*|"
    r"drop\w*|remov\w*|false|wrong|off|stop\w*|least|rarely|hardly|free)\b|"
    r"\b[미불비무]|빼|제외|실패",
    re.IGNORECASE,
)
_TURNED_BEFORE = re.compile(rf"{_NOT.pattern}|\b(?:unless|avoid|false|wrong)\b", re.IGNORECASE)
_TURNED_BEHIND = re.compile(
    rf"\b(?:not|unless|except|no longer|is (?:false|wrong))\b|{_KOREAN}|^\W*(?:{_DO_NOT})",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.,;:!?。—–]\s|\s[—–-]\s|\n")
# Behind a reason or a contrast, which has a "not" of its own; a condition belongs to what follows.
_REASON = re.compile(r"(?<=므로|지만|니까|는데)\s|(?<=때문에)\s")
_WORD = re.compile(r"\w+")
_COPY = 0.7  # of the words of a claim are those of one clause: it says that, or turns it


def is_turned(before: str, behind: str) -> bool:
    """Whether what a sentence says before and behind a piece of it takes that piece back."""
    return bool(_TURNED_BEFORE.search(before) or _TURNED_BEHIND.search(behind))


def contradicts(claim: str, quotes: Iterable[str]) -> bool:
    """Whether a claim says in nearly the same words what a quotation denies, or the other way.

    Only clauses of the same script have words to compare.
    """
    clauses = [clause for quote in quotes for clause in _CLAUSE.split(quote)]
    parted = any(map(_REASON.search, clauses))
    return any(_is_denied(part, clauses) for part in (_REASON.split(claim) if parted else [claim]))


def _is_denied(part: str, clauses: Sequence[str]) -> bool:
    """Whether the clause that says nearly the same has its "not" where the words of `part` are."""
    words = _words(part)
    shares = [(_shared(words, clause), clause) for clause in clauses]
    best = max((shared for shared, _ in shares), default=0.0)
    if best < _COPY:
        return False
    return all(
        _differ(part, _nearest(words, clause)) for shared, clause in shares if shared == best
    )


def _nearest(words: set[str], clause: str) -> str:
    """The piece of a clause that has most of the words: of several the last."""
    return max(reversed(_REASON.split(clause)), key=lambda piece: _shared(words, piece))


def _differ(one: str, other: str) -> bool:
    """Whether one of both has a "not", and the other nothing that says so."""
    if _has(_NOT, one) == _has(_NOT, other):
        return False
    denying, other = (one, other) if _has(_NOT, one) else (other, one)
    return not _LIKE_NOT.search(_apart(other, denying))


def _apart(text: str, other: str) -> str:
    """The words of a text that the other does not have, whatever their endings; not of names."""
    text, other = _nameless(text), _nameless(other)
    known = {stem(word) for word in _WORD.findall(other)}
    return " ".join(
        word
        for word in _WORD.findall(text)
        if stem(word) not in known and not (HANGUL.match(word) and word[:2] in other)
    )


def _has(pattern: re.Pattern[str], text: str) -> bool:
    return bool(pattern.search(_nameless(text)))


def _nameless(text: str) -> str:
    for name in names_of(text):
        text = text.replace(name, " ")
    return text


def _shared(words: set[str], clause: str) -> float:
    return len(words & _words(clause)) / len(words) if words else 0.0


def _words(text: str) -> set[str]:
    terms = {term for term in literal_terms(_NOT.sub(" ", text)) if not term.startswith(WHOLE)}
    return terms - FUNCTION_WORDS
