"""Pages become passages: about 800 tokens each, 200 of them shared with the one before."""

import re
from collections.abc import Iterator, Mapping, Sequence

from bookbrain.ingest.joining import is_code
from bookbrain.ingest.tokens import count_tokens
from bookbrain.model import Page, Passage, Span

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
    if page.problem:
        return
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
    return PASSAGE_TOKENS if is_code(block.partition("\n")[0]) else _BLOCK_TOKENS


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Each line on its own, lines of code that follow one another together."""
    start, position, in_code = 0, 0, False
    for line in text.splitlines(keepends=True):
        code = is_code(line)
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
