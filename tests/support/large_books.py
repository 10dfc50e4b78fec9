"""Books that are large, and the memory that a process takes with them."""

import os
import re
from pathlib import Path
from threading import Event, Thread

from support.raw_pdf import CATALOG, ONE_PAGE, document, page, stream


def make_books(folder: Path, count: int, megabytes: int) -> list[Path]:
    """PDFs of a page each, most of which is noise."""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    paths = []
    for number in range(1, count + 1):
        text = stream(b"BT /F 12 Tf 60 700 Td (The walrus of volume %d waits.) Tj ET" % number)
        noise = stream(os.urandom(megabytes * 1_000_000 - 2_000))
        one = page(b"4 0 R", b"/Font << /F 5 0 R >>")
        paths.append(folder / f"volume {number}.pdf")
        paths[-1].write_bytes(document([CATALOG, ONE_PAGE, one, text, font, noise]))
    return paths


class Memory:
    """The most that a process has had, in MB, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.most = 0.0
        self._end = Event()
        Thread(target=self._run, daemon=True).start()

    def now(self) -> float:
        status = Path(f"/proc/{self._pid}/status").read_text(encoding="utf-8")
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    def begin(self) -> float:
        """From here on `most` counts; what there is now."""
        self.most = self.now()
        return self.most

    def _run(self) -> None:
        while not self._end.wait(0.1):
            try:
                self.most = max(self.most, self.now())
            except (OSError, IndexError):
                return
