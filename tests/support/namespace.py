"""A mount or network namespace to run commands in. Needs root; tests skip without."""

import shutil
import subprocess
from typing import Literal, Self


class Namespace:
    """Lives until `close`; `inside` is what to put before a command."""

    def __init__(self, kind: Literal["mount", "net"]) -> None:
        import pytest

        if not shutil.which("unshare") or not shutil.which("nsenter"):
            pytest.skip("no unshare and nsenter here (util-linux)")
        self._keeper = subprocess.Popen(
            ["unshare", f"--{kind}", "sh", "-c", "echo ready; exec sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._keeper.stdout is not None
        if not self._keeper.stdout.readline():
            _, complaint = self._keeper.communicate()
            pytest.skip(f"no {kind} namespace can be made here: {complaint.strip()}")
        target = str(self._keeper.pid)
        self.inside = ("nsenter", f"--{kind}", "--target", target, "--")

    def run(self, *command: str) -> None:
        subprocess.run([*self.inside, *command], check=True, capture_output=True, timeout=60)

    def close(self) -> None:
        self._keeper.kill()
        self._keeper.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
