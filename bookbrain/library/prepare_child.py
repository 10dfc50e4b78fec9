"""The process that makes books ready, requests on stdin.

Several of them work side by side, which threads could not: most of it is Python. A request is a
JSON line, the arguments of `_prepare`. The answer is JSON lines: `step` for each step on the way,
at last `book`, or `error` and `hint` and whether its reader was `killed`, or `errno` when its
postings cannot be written. Whatever else
goes wrong ends the process; on stderr it says where, without a word of the book.
"""

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from bookbrain.errors import InputError
from bookbrain.formats.format import FORMAT, Reader
from bookbrain.formats.pdf import KilledError
from bookbrain.formats.text import assemble, make_passages
from bookbrain.index.segment import count_pages, write_segment
from bookbrain.log import trace_of
from bookbrain.messages import packed
from bookbrain.model import TextId
from bookbrain.processes import die_with_parent
from bookbrain.store.rows import page_row, revision_of, spans_json


def main() -> None:
    """Prepare what is asked for, one book at a time, until nobody can ask any more."""
    die_with_parent()
    sys.excepthook = _say_where
    timeout, memory_mb = json.loads(sys.stdin.readline())
    with FORMAT.reader(timeout=timeout, memory_mb=memory_mb) as reader:
        for request in sys.stdin:
            _print(_prepare(reader, *json.loads(request)))


def _prepare(reader: Reader, path: str, book_id: str, segments: str) -> dict[str, Any]:
    """Read a book and write its segment into the folder `segments`."""
    try:
        raw = reader.read(Path(path), lambda *at: _print({"step": ["reading", *at]}))
    except InputError as error:
        killed = isinstance(error, KilledError)
        return {"error": packed(error.message), "hint": packed(error.hint), "killed": killed}
    _print({"step": ["analysing", 0, len(raw.pages)]})
    text = assemble(raw)
    passages = make_passages(text.pages)
    counted = count_pages(text.pages)
    try:
        write_segment(Path(segments), TextId(book_id, revision_of(text.pages)), counted)
    except OSError as error:
        return {"errno": error.errno}
    pages = [page_row(book_id, page) for page in text.pages]
    return {"book": [text.title, pages, [spans_json(passage.spans) for passage in passages]]}


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _say_where(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    sys.stderr.write(trace_of(error))


if __name__ == "__main__":
    main()
