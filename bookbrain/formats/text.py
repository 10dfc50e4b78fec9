"""The text of a book: lines joined, chapters, and passages of some 800 tokens.

Fitted to OpenAI's cl100k_base on real manuals: within 10 % for English and Korean books, high by up
to a third for other scripts. What is paid is what the server reports.
"""

import re
import unicodedata
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

from bookbrain import korean
from bookbrain.formats.page_text import clean, is_garbled
from bookbrain.formats.titles import is_title, tidy
from bookbrain.listed import is_listed
from bookbrain.model import BookText, Heading, Page, Passage, Span
from bookbrain.ocr.choice import WITHOUT_TEXT, PageContent, choose_pages

_CODE_START = re.compile(
    r"""\s*(?:[$\#%>]\s|>>>|\.\.\.\s|//|/\*|\\[a-z]+[\[{]|@\w+|<[/\w][^>]*>\s*$
      | (?:import|from|def|class|return|public|private|static|SELECT|INSERT|sudo|apt)\s\S)""",
    re.VERBOSE,
)
_CODE = re.compile(
    r"""[{};]\s*$            # ends as code does
      | \w\(.*\)\s*[;{:]?$ | [=!<>]=|=>|->|&&|\|\||::|:=|\+\+ | \w=\S""",
    re.VERBOSE,
)
_CODE_SIGN = re.compile("[{};(=>&|:+]")  # without one `_CODE` finds nothing, and takes longer
_ITEM = re.compile(r"^\s*(?:[•◦▪‣∙·*–—-]\s|\(?\d{1,2}[.)]\s|\d+(?:\.\d+)+\.?\s|제\s*\d+\s*[장절])")
_SENTENCE_END = re.compile(r"[.!?。:;]['\"”’)\]]*$")
_WIDE = re.compile("[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff01-\uff60]")
_HANGUL_END = re.compile(r"(?:\S+ )?\S*[가-힣]$")
_HANGUL_START = re.compile(r"[가-힣]\S*(?: \S+)?")
_ENOUGH = 80  # characters at the end of a line: its last two words


def join_lines(pages: Sequence[str]) -> list[str]:
    """Undo the line breaks inside paragraphs; a Korean word cut in two becomes one again."""
    split = [page.split("\n") for page in pages]
    wrapped = [_wrapped(lines) for lines in split]
    breaks = [
        (number, index, before.group(), after.group())
        for number, lines in enumerate(split)
        for index in sorted(wrapped[number])
        if korean.HANGUL.match(lines[index][-1:])  # which most lines are past by
        and (before := _HANGUL_END.search(lines[index][-_ENOUGH:]))
        and (after := _HANGUL_START.match(lines[index + 1]))
    ]
    together = _are_one_word([(before, after) for _, _, before, after in breaks], split)
    glued = {place[:2] for place, joined in zip(breaks, together, strict=True) if joined}
    return [_joined(n, lines, wrapped[n], glued) for n, lines in enumerate(split)]


def _joined(
    number: int, lines: Sequence[str], wrapped: Container[int], glued: Container[tuple[int, int]]
) -> str:
    parts = [lines[0]]
    for index, line in enumerate(lines[1:]):
        parts.append("" if (number, index) in glued else " " if index in wrapped else "\n")
        parts.append(line)
    return "".join(parts)


def is_code(line: str) -> bool:
    """Whether a line looks like code or a command, rather than prose."""
    return bool(_CODE_START.match(line) or (_CODE_SIGN.search(line) and _CODE.search(line)))


def _wrapped(lines: Sequence[str]) -> set[int]:
    """The lines whose break is only the page's margin."""
    widths = [
        len(line) if line.isascii() else len(line) + len(_WIDE.findall(line)) for line in lines
    ]
    used = [width for width in widths if width]
    full = quantiles(used, n=10)[-2] if len(used) > 1 else float("inf")
    stiff = [
        not line or line[1:4:2] == "  " or is_listed(line) or is_code(line)  # S P E L L E D, too
        for line in lines
    ]
    return {
        index
        for index, (line, following) in enumerate(pairwise(lines))
        if not (stiff[index] or stiff[index + 1] or _ITEM.match(following))
        and _reaches_margin(line, widths[index], full)
    }


def _reaches_margin(line: str, width: int, full: float) -> bool:
    return width >= 0.85 * full or (width >= 0.6 * full and not _SENTENCE_END.search(line))


def _are_one_word(pairs: Sequence[tuple[str, str]], pages: Sequence[Sequence[str]]) -> list[bool]:
    """Whether the words at each break are one: by the book's own words if they tell, else Kiwi."""
    if not pairs:
        return []
    inner = (word for lines in pages for line in lines for word in line.split()[1:-1])
    words = {word for word in inner if korean.HANGUL.search(word)}
    answers: dict[tuple[str, str], bool] = {}
    for before, after in pairs:
        first, second = before.split()[-1], after.split()[0]
        joined, apart = first + second in words, first in words and second in words
        if joined != apart:
            answers[before, after] = joined
    unsure = [pair for pair in dict.fromkeys(pairs) if pair not in answers]
    answers.update(zip(unsure, korean.belong_together(unsure), strict=True))
    return [answers[pair] for pair in pairs]


OutlineEntry = tuple[int, str, int]  # level from 0, title, page index from 0
_SPACE = re.compile(r"\s+")
_MOST_TITLES = 200  # that lead to one page: more are no chapters
_SEARCHED = 20_000  # characters of a page, two or three times an honest one


def titles_by_page(outline: Sequence[OutlineEntry]) -> dict[int, list[str]]:
    """The outline's titles under the index of the page that they lead to, in order."""
    titles: dict[int, list[str]] = {}
    for _, title, index in outline:
        here = titles.get(index, [])
        if len(here) < _MOST_TITLES and (name := _SPACE.sub(" ", clean(title)).strip()):
            titles[index] = [*here, name]
    return titles


def headings_in(titles: Sequence[str], text: str) -> tuple[Heading, ...]:
    """Where on the page each title stands; one that is not found: where the one before it does.

    Only the beginning of a page that is far too long is searched.
    """
    found, position = [], 0
    for title in titles:
        words = r"\s+".join(map(re.escape, title.split()))
        at_line_start = re.compile(rf"^[^\n]{{0,20}}?{words}[ \t]*$", re.MULTILINE | re.IGNORECASE)
        anywhere = re.compile(words)
        match = at_line_start.search(text, position, _SEARCHED) or anywhere.search(
            text, position, _SEARCHED
        )
        if match:
            position = match.start()
        found.append(Heading(position, title))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class RawPage:
    """The clean lines of a page, None where it cannot be loaded, and what else is on it."""

    lines: str | None
    content: PageContent


@dataclass(frozen=True, slots=True)
class RawBook:
    """What a reader found in the PDF at `path`; there is a label for each page, or for none.

    `elsewhere` is ATTACHED or FORM where the pages are only a cover, else "".
    """

    path: Path
    title: str
    pages: Sequence[RawPage]
    outline: Sequence[OutlineEntry]
    labels: Sequence[str]
    elsewhere: str = ""


def assemble(raw: RawBook) -> BookText:
    """The book, with labels, chapters and problems."""
    titles = titles_by_page(raw.outline)
    labels = _labels(raw)
    problems = choose_pages([(page.lines, page.content) for page in raw.pages])
    if raw.elsewhere:
        problems[0] = raw.elsewhere
    joined = join_lines(
        [
            "" if problem in WITHOUT_TEXT else page.lines or ""
            for page, problem in zip(raw.pages, problems, strict=True)
        ]
    )
    pages, chapter = [], ""
    for index, (problem, text) in enumerate(zip(problems, joined, strict=True)):
        headings = headings_in(titles.get(index, []), text)
        pages.append(Page(index + 1, labels[index], chapter, text, headings, problem))
        chapter = headings[-1].title if headings else chapter
    return BookText(_title(raw.title, raw.path), tuple(pages))


def _labels(raw: RawBook) -> list[str]:
    """What is printed on each page; its number where nothing is, unless another page has that."""
    printed = [clean(label)[:40].strip() for label in raw.labels] or [""] * len(raw.pages)
    taken = set(printed)
    numbers = map(str, range(1, len(raw.pages) + 1))
    return [
        label or ("" if number in taken else number)
        for label, number in zip(printed, numbers, strict=True)
    ]


def _title(title: str, path: Path) -> str:
    """The document's own title where it is one, else "" (the caller knows the file's name)."""
    name = tidy(title)
    file_name = unicodedata.normalize("NFC", path.stem)
    return "" if not is_title(name) or is_garbled(title) or name == file_name else name[:300]


_LATIN_WORD = re.compile("[A-Za-z]+")
_HANGUL_WORD = re.compile("[가-힣]+")
_DIGITS = re.compile("[0-9]{1,3}")


_LETTERS = bytes(c if chr(c).isalpha() else 32 for c in range(128)) + bytes(128)
_NUMERALS = bytes(c if chr(c).isdecimal() else 32 for c in range(128)) + bytes(128)
_BLANKS = bytes(c for c in range(128) if chr(c).isspace())


def count_tokens(text: str) -> int:
    """Estimated tokens of `text`."""
    if text.isascii():  # the same, in half the time
        plain = text.encode()
        runs, numerals = plain.translate(_LETTERS).split(), plain.translate(_NUMERALS).split()
        letters, figures = len(b"".join(runs)), len(b"".join(numerals))
        groups = sum((len(numeral) + 2) // 3 for numeral in numerals)
        others = len(plain.translate(None, _BLANKS)) - letters - figures
        return 1 + int(0.9 * len(runs) + 0.035 * letters + 1.5 * groups + others)
    words, digits = _LATIN_WORD.findall(text), _DIGITS.findall(text)
    letters = len("".join(words))
    syllables = 0 if text.isascii() else len("".join(_HANGUL_WORD.findall(text)))
    others = len("".join(text.split())) - letters - syllables - len("".join(digits))
    return 1 + int(
        0.9 * len(words) + 0.035 * letters + 1.15 * syllables + 1.5 * len(digits) + others
    )


PASSAGE_TOKENS = 800
OVERLAP_TOKENS = 200
_BLOCK_TOKENS = 200  # a block is what is never cut: a paragraph up to this, or a listing
_CUT_CHARACTERS = 150  # of any text at most a block's tokens
_SENTENCE = re.compile(r".*?(?:[.!?。]['\"”’)\]]*\s+|\n|\Z)", re.DOTALL)


def make_passages(pages: Sequence[Page]) -> tuple[Passage, ...]:
    """Cut the readable pages of a book into overlapping passages, in order.

    Every passage knows its characters on each page (`spans`); its text is those characters, with a
    newline where the page turns. The same pages always give the same passages.
    """
    texts = {page.number: page.text for page in pages}
    blocks = [block for page in pages for block in _blocks(page)]
    passages: list[Passage] = []
    start = 0
    while start < len(blocks):
        end = _fill(blocks, start)
        spans = _merged([span for span, _ in blocks[start:end]])
        passages.append(Passage(len(passages), spans, text_of(texts, spans)))
        if end == len(blocks):
            break
        start = _step_back(blocks, start, end)
    return tuple(passages)


def text_of(texts: Mapping[int, str], spans: Sequence[Span]) -> str:
    """The text of a passage, of the `texts` of its pages."""
    return "\n".join(texts[span.page][span.start : span.end] for span in spans)


def _fill(blocks: Sequence[tuple[Span, int]], start: int) -> int:
    """The end of a passage that starts at block `start`: at least one block, at most the limit."""
    tokens, end = blocks[start][1], start + 1
    while end < len(blocks) and tokens + blocks[end][1] <= PASSAGE_TOKENS:
        tokens += blocks[end][1]
        end += 1
    return end


def _step_back(blocks: Sequence[tuple[Span, int]], start: int, end: int) -> int:
    """Where the next passage starts: as many whole blocks before `end` as the overlap holds.

    Fewer where block `end`, which it must bring, would find no room after them.
    """
    room = min(OVERLAP_TOKENS, PASSAGE_TOKENS - blocks[end][1])
    while end - 1 > start and blocks[end - 1][1] <= room:
        end -= 1
        room -= blocks[end][1]
    return end


def _merged(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Neighbouring spans of one page become one."""
    merged = [spans[0]]
    for span in spans[1:]:
        last = merged[-1]
        if span.page == last.page:
            merged[-1] = Span(last.page, last.start, span.end)
        else:
            merged.append(span)
    return tuple(merged)


def _blocks(page: Page) -> Iterator[tuple[Span, int]]:
    """A page's paragraphs and listings, one that is too long in pieces; each with its tokens."""
    for start, end in _paragraphs(page.text):
        paragraph = page.text[start:end]
        if not paragraph.strip():
            continue
        tokens = count_tokens(paragraph)
        if tokens <= _BLOCK_TOKENS or tokens <= _limit(paragraph):
            yield Span(page.number, start, end), tokens
        else:
            for a, b in _pieces(page.text, start, end):
                yield Span(page.number, a, b), count_tokens(page.text[a:b])


def _limit(block: str) -> int:
    line = block.partition("\n")[0]
    return PASSAGE_TOKENS if is_listed(line) or is_code(line) else _BLOCK_TOKENS


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Each line on its own, lines of code that follow one another together."""
    start, position, in_code = 0, 0, False
    for line in text.splitlines(keepends=True):
        code = is_listed(line.rstrip("\n")) or is_code(line)
        if position > start and not (code and in_code):
            yield start, position
            start = position
        position += len(line)
        in_code = code
    if position > start:
        yield start, position


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Groups of sentences, or of lines of code, each of at most a block's tokens."""
    piece = last = start
    for cut in _cuts(text, start, end):
        if last > piece and cut - piece > _CUT_CHARACTERS and _exceeds_block(text[piece:cut]):
            yield piece, last
            piece = last
        last = cut
    if piece < end:
        yield piece, end


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    """Where a paragraph may be cut: after sentences and lines, and inside those too long."""
    for sentence in _SENTENCE.finditer(text, start, end):
        begin = sentence.start()
        while _is_long(text, begin, sentence.end()):
            limit = begin + _CUT_CHARACTERS
            space = text.rfind(" ", begin + _CUT_CHARACTERS // 2, limit)
            begin = space + 1 if space > 0 else limit
            yield begin
        yield sentence.end()


def _is_long(text: str, start: int, end: int) -> bool:
    length = end - start
    if not _CUT_CHARACTERS < length < 10 * _CUT_CHARACTERS:
        return length > _CUT_CHARACTERS
    return _exceeds_block(text[start:end])


def _exceeds_block(text: str) -> bool:
    return count_tokens(text) > _BLOCK_TOKENS
