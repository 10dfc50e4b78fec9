"""Somebody who searches ten times a second until stdin ends, and then prints what came of it.

A program, so that it can be put into a host's network: `python -m support.visitor URL QUERY…`.
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from threading import Event, Thread
from urllib.parse import quote
from urllib.request import urlopen

_EVERY = 0.1  # seconds


def ask(url: str, query: str) -> tuple[str, float]:
    """What was wrong with the answer, "" for nothing; and the ms that it took."""
    started = time.perf_counter()
    try:
        with urlopen(f"{url}/api/search?q={quote(query)}", timeout=60) as reply:
            answer = json.load(reply)
            wrong = answer["degraded"] or ("" if answer["hits"] else f"no hits for {query}")
    except (OSError, ValueError) as error:
        wrong = str(error)
    return wrong, (time.perf_counter() - started) * 1000


def visit(url: str, queries: Sequence[str], end: Event) -> dict[str, object]:
    """Search until `end`: how many answers, which were wrong, the ms of each."""
    due = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        asked = []
        for query in cycle(queries):
            asked.append(pool.submit(ask, url, query))
            due += _EVERY
            if end.wait(max(0.0, due - time.monotonic())):
                break
        answers = [one.result() for one in asked]
    return {
        "answers": len(answers),
        "wrong": [wrong for wrong, _ in answers if wrong],
        "ms": sorted(ms for _, ms in answers),
    }


def main() -> None:
    end = Event()
    Thread(target=lambda: (sys.stdin.read(), end.set()), daemon=True).start()
    print(json.dumps(visit(sys.argv[1], sys.argv[2:], end)))


if __name__ == "__main__":
    main()
