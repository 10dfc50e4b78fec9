"""What a person typed: "exact phrase", -without, and the rest."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from bookbrain.errors import InputError
from bookbrain.index.analyzer import fold

MAX_QUERY = 2_000  # characters; the rest of a longer one is not looked at

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_QUOTES = str.maketrans("“”„‟«»「」『』", '""""""""""')
# Minus and a letter: -1 and --option are words, not exclusions.
_CLAUSE = re.compile(r'(?<!\S)(?P<minus>-)?"(?P<phrase>[^"]+)"|(?<!\S)-(?P<word>[^\W\d_][^\s"]+)')


@dataclass(frozen=True, slots=True)
class Query:
    """`text` is what is asked, for both legs, phrases included but not exclusions."""

    text: str
    phrases: tuple[str, ...] = ()
    excluded_words: tuple[str, ...] = ()
    excluded_phrases: tuple[str, ...] = ()


def parse_query(typed: str) -> Query:
    """Read a query; raises InputError when there is nothing in it to look for."""
    line = " ".join(_CONTROL.sub(" ", typed[:MAX_QUERY]).translate(_QUOTES).split())
    phrases, without_words, without_phrases = [], [], []

    def take(match: re.Match[str]) -> str:
        if match["word"]:
            without_words.append(match["word"])
        elif match["minus"]:
            without_phrases.append(match["phrase"].strip())
        else:
            phrases.append(match["phrase"].strip())
            return f" {match['phrase']} "
        return " "

    text = " ".join(_CLAUSE.sub(take, line).replace('"', " ").split())
    if not text:
        excluded = bool(without_words or without_phrases)
        raise InputError(
            "The query only says what to leave out." if excluded else "The query is empty.",
            "Give at least one word to look for.",
        )
    return Query(
        text,
        tuple(filter(None, phrases)),
        tuple(without_words),
        tuple(filter(None, without_phrases)),
    )


def phrase_finder(phrase: str) -> Callable[[str], bool]:
    """A test whether a page has `phrase`: any case, any white space between words.

    Between Hangul syllables white space may be missing or added: line breaks cut words.
    """
    pattern = phrase_pattern(phrase)
    return lambda text: bool(pattern.search(fold(text)))


def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """The regular expression behind `phrase_finder`, for text that was folded."""
    folded = fold(phrase)
    words = [
        re.sub(r"(?<=[가-힣])(?=[가-힣])", r"\\s?", re.escape(word)) for word in folded.split()
    ]
    return re.compile(
        r"\s*".join(words) if _all_hangul(folded) else r"\s+".join(words), re.IGNORECASE
    )


def _all_hangul(phrase: str) -> bool:
    return all(c.isspace() or "가" <= c <= "힣" for c in phrase)
