"""The processes that read PDFs for this one."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_READER, _PREPARER = b"bookbrain.formats.pdf_child", b"bookbrain.library.prepare_child"


def readers() -> set[str]:
    """The process ids of those that this process has started, by itself or by its preparers."""
    ours = {*_children("self")}
    theirs = (child for preparer in preparers() for child in _children(preparer))
    return {child for child in (*ours, *theirs) if is_reader(child)}


def preparers() -> set[str]:
    """The process ids of those that make books ready for this process."""
    return {child for child in _children("self") if _runs(child, _PREPARER)}


def is_reader(process: str) -> bool:
    """Whether the process with this id is one that reads, and has not ended."""
    return _runs(process, _READER)


def _children(process: str) -> Iterator[str]:
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            yield from path.read_text().split()


def _runs(process: str, module: bytes) -> bool:
    with suppress(OSError):  # it has just ended
        return module in Path(f"/proc/{process}/cmdline").read_bytes()
    return False
