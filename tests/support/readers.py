"""The processes that read PDFs for this one."""

from contextlib import suppress
from pathlib import Path

_MODULE = b"bookbrain.ingest.reader"


def readers() -> set[str]:
    """The process ids of those that this process has started, in any of its threads."""
    lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    return {child for line in lists for child in line.split() if _reads(child)}


def _reads(child: str) -> bool:
    with suppress(OSError):  # it has just ended
        return _MODULE in Path(f"/proc/{child}/cmdline").read_bytes()
    return False
