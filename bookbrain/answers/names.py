"""Identifiers and code in a claim: what must be in its quotations exactly as it is spelled."""

import re
from collections.abc import Iterator

_CODE = re.compile(r"`+([^`]+)`+")
_IN_MARKS = re.compile(r"\"([^\"]+)\"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|「([^」]+)」|『([^』]+)』|"
                       r"《([^》]+)》|〈([^〉]+)〉|‹([^›]+)›|"
                       r"(?<!\w)['‘]([^'‘’]+ [^'‘’]+)['’](?!\w)")  # fmt: skip
_LETTERS = r"A-Za-z"
_NAME = re.compile(
    rf"""
    \w+://[^\s)\]>"']+                                    # an address
    | (?<![\w/.])(?:~|\.{{1,2}})?/[\w.~-][\w./~*-]*       # a path
    | (?<![\w-])--?[{_LETTERS}][\w-]*(?:=\S+)?            # an option
    | [\w.+-]+@[\w-]+\.[\w.]+ | @[{_LETTERS}]\w* | \$\{{?\w+\}}? | \\[{_LETTERS}]+
    | \b[{_LETTERS}_]\w*(?:(?:\.|::|->)[{_LETTERS}_]\w*)+(?:\(\))?   # os.path, std::vector
    | (?<!\w)\.[{_LETTERS}_]\w+                           # .PHONY, .bashrc
    | \b[{_LETTERS}_]\w*\(\)
    | (?<![{_LETTERS}0-9_])[{_LETTERS}0-9_]*[{_LETTERS}_][{_LETTERS}0-9_]*
      (?:[-/+.][{_LETTERS}0-9_]*\d[{_LETTERS}0-9_]*|[+#]+)?          # UTF-8, C++
    """,
    re.VERBOSE,
)
_MIXED = re.compile(
    rf"[a-z][A-Z]|[A-Z][a-z]+[A-Z]|[{_LETTERS}]\d|_|^[A-Z][A-Z]+(?:s|[-/.+]\w+)?$|[^\w\s'-]|^--?\w"
)
_USUAL = frozenset(("e.g", "i.e", "a.m", "p.m", "U.S", "OK", "NOT", "AND", "OR", "vs"))


def unsupported_names(claim: str, quotes: str) -> list[str]:
    """The identifiers and pieces of code in `claim` that `quotes` do not have, in this case."""
    known = " ".join(quotes.split())
    return [name for name in names_of(claim) if not _stands_in(name, known)]


def names_of(text: str) -> Iterator[str]:
    """What in a text is code, by its backquotes or by its shape."""
    for match in _CODE.finditer(text):
        yield " ".join(match[1].split())
    for match in _NAME.finditer(_CODE.sub(" ", text)):
        name = match.group().rstrip(".,;:!?")
        if _MIXED.search(name) and name not in _USUAL:
            yield name


def in_marks(text: str) -> Iterator[str]:
    """What a text has in quotation marks."""
    for match in _IN_MARKS.finditer(_CODE.sub(" ", text)):
        yield next(words for words in match.groups() if words)


def _stands_in(name: str, known: str) -> bool:
    """As a whole: `foo` is not in `foobar`. A call may be written without its brackets."""
    bare = name.removesuffix("()") or name
    plural = bare[:-1] if re.fullmatch("[A-Z]{2,}s", bare) else bare
    is_word = bare[0].isalnum() or bare[0] == "_"  # else an option, a path: a hyphen goes on
    start, end = ("A-Za-z0-9_", "A-Za-z0-9_") if is_word else ("A-Za-z0-9_/.-", "A-Za-z0-9_-")
    return any(
        re.search(rf"(?<![{start}]){re.escape(one)}(?![{end}])", known) for one in (bare, plural)
    )
