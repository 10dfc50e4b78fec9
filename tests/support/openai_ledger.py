"""The stand-in's memory: what was asked for, what was sold, and the faults that are in line."""

import threading
from collections import Counter
from dataclasses import asdict, dataclass, replace
from threading import get_ident
from typing import Any

from support.openai_api import Call, Fault, Kind


@dataclass(frozen=True, slots=True)
class Served:
    """One request: the status it got (0: no whole answer) and the faults that it met."""

    path: str
    status: int
    texts: int = 0
    tokens: int = 0
    faults: tuple[Kind, ...] = ()
    model: str = ""
    dimensions: int = 0
    encoding: str = ""


class Ledger:
    """What was asked for and what was sold, by text; safe from many threads.

    `requested`  in a well-formed request with the right key, whatever came of it
    `bought`     a sound answer was computed: what OpenAI bills, even when it is lost on the way
    `delivered`  that answer was written to the connection to its last byte
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._faults: list[Fault] = []
        self._open: set[int] = set()  # threads that have a request under way
        self._late: set[int] = set()  # of these, the ones whose request is forgotten already
        self.forget()

    def forget(self) -> None:
        """Count from zero again; what is under way ends unseen, it is an earlier test's."""
        with self._lock:
            self._late |= self._open
            self._requested: Counter[str] = Counter()
            self._bought: Counter[str] = Counter()
            self._delivered: Counter[str] = Counter()
            self._requests: list[Served] = []

    def fail(self, kind: Kind, **options: Any) -> None:
        """A request meets the first fault in line that concerns it; `slow` comes on top."""
        with self._lock:
            self._faults.append(Fault(kind, **options))

    def clear(self) -> None:
        """No more faults."""
        with self._lock:
            self._faults.clear()

    @property
    def requested(self) -> Counter[str]:
        with self._lock:
            return Counter(self._requested)

    @property
    def bought(self) -> Counter[str]:
        with self._lock:
            return Counter(self._bought)

    @property
    def delivered(self) -> Counter[str]:
        with self._lock:
            return Counter(self._delivered)

    @property
    def requests(self) -> list[Served]:
        with self._lock:
            return list(self._requests)

    def as_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "requested": self._requested,
                "bought": self._bought,
                "delivered": self._delivered,
                "requests": [asdict(served) for served in self._requests],
            }

    def ask(self, call: Call) -> list[Fault]:
        """Write the request down and take its faults out of the line."""
        with self._lock:
            self._open.add(get_ident())
            self._late.discard(get_ident())
            self._requested.update(call.texts)
            concerning = [fault for fault in self._faults if fault.concerns(call.texts)]
            slow = [fault for fault in concerning if fault.kind == "slow"]
            other = [fault for fault in concerning if fault.kind != "slow"]
            met = slow[:1] + other[:1]
            for fault in met:
                self._use_up(fault)
            return met

    def _use_up(self, fault: Fault) -> None:
        if fault.times is None:
            return
        place = next(i for i, f in enumerate(self._faults) if f is fault)
        left = fault.times - 1
        self._faults[place : place + 1] = [replace(fault, times=left)] if left else []

    def sell(self, call: Call) -> None:
        with self._lock:
            if get_ident() not in self._late:
                self._bought.update(call.texts)

    def deliver(self, call: Call, sign: int = 1) -> None:
        with self._lock:
            for text in call.texts if get_ident() not in self._late else ():
                self._delivered[text] += sign

    def note(self, served: Served) -> None:
        with self._lock:
            if get_ident() not in self._late:
                self._requests.append(served)
            self._open.discard(get_ident())
            self._late.discard(get_ident())
