"""A Chroma server of the test's own, for CHROMA_URL."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from support.stand_in import free_ports


class ChromaServer:
    """Runs from construction; after `kill`, `start` runs it again at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (self.port,) = free_ports()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._child.pid

    def start(self) -> None:
        with (self._folder / "log").open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "bookbrain.store.chroma_server", "run", "--path",
                 self._folder / "data", "--host", "127.0.0.1", "--port", str(self.port)],
                env={"PATH": os.defpath, "HOME": str(self._folder)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        while not self._answers():
            if self._child.poll() is not None:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL."""
        self._child.kill()
        self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/heartbeat", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False
