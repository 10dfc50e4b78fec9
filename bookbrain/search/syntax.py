"""What in a query is a command, and what is text that only looks like one.

Commands are `-word`, `"some words"`, and, whatever the books say, `-"some words"` and
`+"some words"`. People paste command lines and messages, whose minus signs and quotation marks are
text: what cannot be told by the query alone is `certain` of nothing, and the books decide.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from bookbrain.errors import InputError
from bookbrain.index.analyzer import FUNCTION_WORDS, fold, literal_terms

MAX_QUERY = 20_000  # characters, some 200 lines; the rest of a longer one is not looked at
_MOST_COMMANDED = 200  # characters; who gives commands writes less, and who pastes writes none
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_QUOTES = str.maketrans("“”„‟«»", '""""""')
_TITLE = re.compile("[「」『』]")
# A mark that touches anything else is text, but for a particle and the end of a sentence.
_QUOTED = re.compile(r'(?<!\S)(?P<sign>[-+]?)"(?P<words>[^"]+)"(?=\s|[?!.]*$|[가-힣])')
_WITHOUT = re.compile(r"(?<!\S)-(?P<words>[^\W\d_][\w.+#-]*[\w+#])(?=\s|[,;?!.]+\s|[,;?!.]*$)")
_HANGUL = re.compile("[가-힣]")
_OPTION_BEFORE = re.compile(r"(?<!\S)(?:-[A-Za-z]|--[\w-]+)[ =]$")
_LETTERS = re.compile("[b-df-hj-np-tv-xz]{2,6}")  # small, without a vowel
Meaning = Literal["without", "exactly"]


@dataclass(frozen=True, slots=True)
class Instruction:
    """What `line[start:end]` of a query asks for: pages `without` the words, or with `exactly`
    these. It is `certain` where it is no text, whatever the books say."""

    kind: Meaning
    words: str
    start: int
    end: int
    certain: bool

    @property
    def insisted(self) -> str:
        """What asks for the same in every library."""
        return f'{"-" if self.kind == "without" else "+"}"{self.words}"'


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """What was typed, on one line with straight quotation marks, and what may be commands in it.

    A pasted text has none; it is there in its own lines too.
    """

    line: str
    instructions: tuple[Instruction, ...] = ()
    pasted: tuple[str, ...] = ()

    @property
    def rest(self) -> str:
        """The line with white space where something may be a command: places stay the same."""
        return _with(self.line, ((one, " " * (one.end - one.start)) for one in self.instructions))

    def text(self, obeyed: Iterable[Instruction]) -> str:
        """What is asked, without the commands that are obeyed; words that must stand there stay."""
        left = _with(self.line, ((o, o.words if o.kind == "exactly" else " ") for o in obeyed))
        return " ".join(left.split())

    def beside(self, one: Instruction) -> str:
        """The nearest word of meaning before an instruction, else behind it; "" for none."""
        before, behind = self.rest[: one.start], self.rest[one.end :]
        words = (*reversed(before.split()), *behind.split())
        return next((w for w in words if set(literal_terms(w)) - FUNCTION_WORDS), "")

    def otherwise(self, one: Instruction, obeyed: bool) -> str:
        """The query that is read the other way at this place."""
        return " ".join(_with(self.line, [(one, one.words if obeyed else one.insisted)]).split())


def _with(line: str, words: Iterable[tuple[Instruction, str]]) -> str:
    """`line` with other words where these instructions stand."""
    parts, position = [], 0
    for one, instead in words:
        parts += [line[position : one.start], instead]
        position = one.end
    return "".join([*parts, line[position:]])


def parse_query(typed: str) -> ParsedQuery:
    """Read a query; raises InputError when there is nothing in it."""
    text = _TITLE.sub(" ", typed[:MAX_QUERY].translate(_QUOTES))
    line = " ".join(_CONTROL.sub(" ", text).split())
    if not line.replace('"', "").strip():
        raise InputError("The query is empty.", "Give at least one word to look for.")
    quoted = list(_quoted(line))
    pasted = "\n" in text.strip() or len(line) > _MOST_COMMANDED
    if pasted and not (len(quoted) == 1 and quoted[0].end - quoted[0].start == len(line)):
        return ParsedQuery(line, pasted=tuple(text.splitlines()))
    unquoted = ParsedQuery(line, tuple(quoted)).rest
    found = sorted([*quoted, *_without(unquoted)], key=lambda one: one.start)
    return ParsedQuery(line, tuple(found))


def _quoted(line: str) -> Iterator[Instruction]:
    """The quotations; none where a mark is left over, for then all belong to a text."""
    found = list(_QUOTED.finditer(line))
    if line.count('"') != 2 * len(found):
        return
    alone = not _WITHOUT.sub("", _QUOTED.sub("", line)).strip()  # nothing else is asked for
    for match in found:
        words = match["words"].strip()
        several = len(words.split()) > 1 and not _OPTION_BEFORE.search(line[: match.start()])
        kind: Meaning = "without" if match["sign"] == "-" else "exactly"
        if words:
            certain = bool(match["sign"]) or several or alone
            yield Instruction(kind, words, *match.span(), certain)


def _without(line: str) -> Iterator[Instruction]:
    """The words after a minus. A Korean word is no option."""
    for match in _WITHOUT.finditer(line):
        words = match["words"]
        yield Instruction("without", words, *match.span(), bool(_HANGUL.search(words)))


_LATIN = re.compile("[A-Za-z0-9_]")
_LINE_NUMBER = re.compile(r"\d{1,4}")
_TWO_HYPHENS = re.compile(r"(?<!\\-)\\-\\-(?!\\-)")  # escaped


def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """What finds `phrase` in folded text: any case, any white space between words.

    Between Hangul syllables white space may be missing or added: line breaks cut words. Beside a
    sign it may be missing. A line may begin with its number, as in listings; two hyphens may have
    become a dash. A Latin word stands for itself or its plural, and is no part of another one; a
    Korean particle may follow it.
    """
    words = fold(phrase).split()
    all_hangul = all("가" <= c <= "힣" for word in words for c in word)
    parts = [_word_pattern(words[0])] if words else []
    for before, word in pairwise(words):
        loose = all_hangul or not (before[-1].isalnum() and word[0].isalnum())
        space = r"\s*" if loose else r"\s+"
        if not _LINE_NUMBER.fullmatch(word):  # or it could be either: a search without end
            space = rf"(?:{space}|\s*\n\s*\d{{1,4}}\s+)"
        parts += [space, _word_pattern(word)]
    if words and _LATIN.match(words[0]):
        parts.insert(0, rf"(?<!{_LATIN.pattern})")
    if words and _LATIN.match(words[-1][-1]):
        parts.append(rf"(?:'?e?s)?(?!{_LATIN.pattern})")
    return re.compile("".join(parts), re.IGNORECASE)


def _word_pattern(word: str) -> str:
    escaped = re.sub(r"(?<=[가-힣])(?=[가-힣])", r"\\s?", re.escape(word))
    return _TWO_HYPHENS.sub(r"\-{1,2}+", escaped)  # possessive: of many nobody tries all shares


def option_pattern(word: str, command: str = "") -> re.Pattern[str]:
    """What finds `-word` in folded text as it is typed: an option has its own case, and its minus
    begins it. Letters that can be no word may lack it right behind their command: `tar xvzf`."""
    typed = re.escape(fold(word))
    patterns = [rf"(?<![^\s(\[{{'\"`|=])-{typed}"]
    if command and _LETTERS.fullmatch(word):
        patterns.append(rf"(?<!\w){re.escape(fold(command))}\s+{typed}")
    return re.compile(rf"(?:{'|'.join(patterns)})(?![\w-])")
