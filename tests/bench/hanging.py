"""Searches while the embedding endpoint hangs, drips or lies: 50 + 50 of them at once.

    PYTHONPATH=tests python tests/bench/hanging.py [--books 5] [--at-once 50] [--faults hang bomb …]

For each fault a serving process of its own. Quiet is the p95 of 50 keyword searches at once, five
times over. Then, with the fault, 50 keyword and 50 hybrid searches begin at the same instant: first
when nothing is known of the endpoint, then when it is left alone. "keyword" is the slowest one and
its ratio to quiet, "hybrid" the slowest one; each must have hits, and say why meaning is out.
"""

import argparse
import http.client
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import numpy as np
from support import pdfs
from support.app import App, serving
from support.chroma_server import ChromaServer
from support.openai_process import OpenAIProcess
from support.openai_server import OpenAIServer
from support.shelf import Shelf

PAGES = 120
QUIET = 5
FAULTS: dict[str, dict[str, Any]] = {
    "hang": {"seconds": 3600},
    "drip_head": {"seconds": 0.5},
    "drip_body": {"seconds": 0.5},
    "endless": {},
    "bomb": {},
    "redirect": {},
    "escape": {},
    "nested": {},
    "infinite_index": {},
    "two_dimensional": {},
    "huge": {},
    "tiny": {},
    "nan": {"every": True},
    "infinity": {},
}
_turn = count()


@dataclass(frozen=True, slots=True)
class Answered:
    """A search: the seconds from the start of all to its last byte, and what it said."""

    mode: str
    seconds: float
    status: int
    body: bytes

    def problem(self) -> str:
        if self.status != 200:
            return f"status {self.status}"
        answer = json.loads(self.body, parse_constant=sys.exit)
        if not answer["hits"]:
            return "no hits"
        if self.mode == "hybrid" and not answer["degraded"]:
            return "no reason"
        return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--books", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        (folder / "chroma").mkdir()
        chroma = stack.enter_context(ChromaServer(folder / "chroma"))
        openai = stack.enter_context(OpenAIProcess())
        other = stack.enter_context(OpenAIServer(openai.key))
        shelf = stack.enter_context(Shelf(folder / "library", openai, CHROMA_URL=chroma.url))
        for seed in range(options.books):
            name = folder / f"book{seed}.pdf"
            shelf.add(pdfs.long_book(name, PAGES, seed=seed, language="en"))
        print(f"{'':<18}{'quiet p95':>10}{'keyword':>16}{'hybrid':>9}   healthz, memory")
        for kind in options.faults:
            openai.clear()
            with serving(shelf) as app:
                measure(app, openai, kind, other, options.at_once)
        if other.requests:
            sys.exit("The host that nobody configured was asked.")
    return 0


def measure(app: App, openai: OpenAIProcess, kind: Any, other: OpenAIServer, at_once: int) -> None:
    burst(app, ["keyword"] * at_once)  # what loads once
    answered = burst(app, ["hybrid"] * 2)
    if any(json.loads(a.body)["degraded"] for a in answered):
        sys.exit("It does not search by meaning.")
    quiet = [a.seconds for _ in range(QUIET) for a in burst(app, ["keyword"] * at_once)]
    p95 = float(np.percentile(quiet, 95))
    more = {"to": f"{other.url}/embeddings"} if kind == "redirect" else {}
    openai.fail(kind, times=None, **FAULTS[kind], **more)
    for turn in ("asked", "left alone"):
        answered = burst(app, ["keyword", "hybrid"] * at_once)
        worst = {m: max(a.seconds for a in answered if a.mode == m) for m in ("keyword", "hybrid")}
        problems = {problem for a in answered if (problem := a.problem())}
        reasons = {json.loads(a.body)["degraded"] for a in answered if a.mode == "hybrid"}
        time.sleep(1.1)  # health is a second old at most
        print(
            f"{kind:<18}{p95 * 1000:>7.0f} ms{worst['keyword'] * 1000:>8.0f} ms"
            f"{worst['keyword'] / p95:>5.2f}{worst['hybrid']:>7.2f} s   "
            f"{turn}: {app.health()}, {memory(app)} MB {problems or ''}",
            *sorted(map(str, reasons)), sep="\n    ", flush=True,
        )  # fmt: skip


def burst(app: App, modes: Sequence[str]) -> list[Answered]:
    """One search of each mode, all begun at the same instant."""
    start = Barrier(len(modes))

    def ask(mode: str) -> Answered:
        query = make_query(next(_turn))
        connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=120)
        connection.connect()
        start.wait()
        begun = time.perf_counter()
        connection.request("GET", f"/api/search?{urlencode({'q': query, 'mode': mode})}")
        response = connection.getresponse()
        body = response.read()
        seconds = time.perf_counter() - begun
        connection.close()
        return Answered(mode, seconds, response.status, body)

    with ThreadPoolExecutor(len(modes)) as pool:
        return list(pool.map(ask, modes))


def make_query(turn: int) -> str:
    """Four words of a page, and a number: no two are the same."""
    rng = Random(turn)
    return f"{pdfs.probe(rng.randrange(5), rng.randrange(PAGES))} {rng.choice(WORDS)} {turn}"


WORDS = ("the function returns", "lock", "value of the", "memory", "a process", "file system")


def memory(app: App) -> int:
    lines = Path(f"/proc/{app.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1000 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(main())
