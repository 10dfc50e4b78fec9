"""A mount or network namespace to run commands in. Needs root; tests skip without."""

import shutil
import subprocess
from typing import Literal, Self

# What a container may refuse although it lets the namespace be made.
_PROBES = {
    "mount": ("sh", "-c", "mount -t tmpfs tmpfs /mnt && umount /mnt"),
    "net": ("ip", "link", "set", "lo", "up"),
}
_NEEDED = {"mount": "CAP_SYS_ADMIN", "net": "CAP_SYS_ADMIN and CAP_NET_ADMIN"}
_TOOLS = {"unshare": "util-linux", "nsenter": "util-linux", "mount": "mount", "ip": "iproute2"}


class Namespace:
    """Lives until `close`; `inside` is what to put before a command. In a network there is `lo`."""

    def __init__(self, kind: Literal["mount", "net"]) -> None:
        import pytest

        for tool in ("unshare", "nsenter", "mount" if kind == "mount" else "ip"):
            if not shutil.which(tool):
                pytest.skip(f"no {tool} here: apt-get install {_TOOLS[tool]}")
        self._keeper = subprocess.Popen(
            ["unshare", f"--{kind}", "sh", "-c", "echo ready; exec sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        target = str(self._keeper.pid)
        self.inside = ("nsenter", f"--{kind}", "--target", target, "--")
        if complaint := self._try(kind):
            self.close()
            needed = f"run as root, in a container with {_NEEDED[kind]}"
            pytest.skip(f"no {kind} namespace can be used here ({complaint}): {needed}")

    def _try(self, kind: Literal["mount", "net"]) -> str:
        """What stands in the way, or nothing."""
        assert self._keeper.stdout is not None
        if not self._keeper.stdout.readline():
            _, complaint = self._keeper.communicate()
            return complaint.strip()
        command = [*self.inside, *_PROBES[kind]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stderr.strip() if done.returncode else ""

    def run(self, *command: str) -> None:
        subprocess.run([*self.inside, *command], check=True, capture_output=True, timeout=60)

    def close(self) -> None:
        self._keeper.kill()
        self._keeper.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
