"""The stand-in for OpenAI as a process of its own, with the controls of `OpenAIServer`.

`inside` is put before its command: what enters a network namespace, for instance, from where alone
it and its controls can be reached then.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from support.openai_api import Kind
from support.openai_ledger import Served


class OpenAIProcess:
    """Serves from construction until `close`. Faults go by wire: `refuse_text` by substring."""

    def __init__(self, key: str = "sk-test", port: int = 0, inside: Sequence[str] = ()) -> None:
        self.key = key
        self._child = subprocess.Popen(
            [
                *inside,
                sys.executable,
                "-m",
                "support.openai_server",
                "--port",
                str(port),
                "--key",
                key,
            ],
            cwd=Path(__file__).parents[1],
            env={"PATH": f"{os.defpath}:/usr/sbin:/sbin", "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdout is not None
        self.url = self._child.stdout.readline().strip()
        self.root = self.url.removesuffix("/v1")
        if not self.url:
            raise RuntimeError(f"the stand-in ended with {self._child.wait()}")

    def fail(self, kind: Kind, **options: Any) -> None:
        self._order({"fail": {"kind": kind, **options}})

    def clear(self) -> None:
        self._order({"clear": True})

    def forget(self) -> None:
        self._order({"forget": True})

    @property
    def requested(self) -> Counter[str]:
        return Counter(self._seen()["requested"])

    @property
    def bought(self) -> Counter[str]:
        return Counter(self._seen()["bought"])

    @property
    def delivered(self) -> Counter[str]:
        return Counter(self._seen()["delivered"])

    @property
    def requests(self) -> list[Served]:
        rows = self._seen()["requests"]
        return [Served(**{**row, "faults": tuple(row["faults"])}) for row in rows]

    def close(self) -> None:
        self._child.terminate()
        self._child.communicate(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _order(self, order: dict[str, Any]) -> None:
        with urlopen(Request(f"{self.root}/_control", json.dumps(order).encode()), timeout=10):
            pass

    def _seen(self) -> dict[str, Any]:
        with urlopen(f"{self.root}/_seen", timeout=10) as reply:
            seen: dict[str, Any] = json.load(reply)
            return seen
