"""What systemd is told, and when it is not."""

import logging
import os
import socket
import sys
from collections.abc import Callable
from threading import Event, Thread
from types import ModuleType

import pytest

from bookbrain.server.probes import HttpAnswer, answer_of
from bookbrain.web.server import notifier, watch, watchdog_interval

OK, DEGRADED, DOWN = HttpAnswer(200, "ok"), HttpAnswer(200, "degraded"), HttpAnswer(503, "down")
NONE = HttpAnswer(0, "nobody answers")


def tell(answers: list[HttpAnswer], interval: float | None = 0.001) -> list[str]:
    """What is told while the app answers so; with the last answer the watch is stopped."""
    told: list[str] = []
    stop = Event()
    remaining = iter(answers)
    left = len(answers)

    def answer() -> HttpAnswer:
        nonlocal left
        left -= 1
        if left == 0:
            stop.set()
        return next(remaining)

    watch(answer, told.append, interval, lambda: told.append("on_ready"), stop)
    return told


@pytest.mark.slow
def test_ready_only_after_the_first_200() -> None:
    assert tell([NONE, DOWN, NONE, OK, OK]) == [
        "READY=1\nSTATUS=ok", "on_ready", "WATCHDOG=1\nSTATUS=ok",
    ]  # fmt: skip
    assert tell([DEGRADED, OK])[0] == "READY=1\nSTATUS=degraded"


def test_fed_by_any_answer_and_by_no_silence() -> None:
    assert tell([OK, NONE, DOWN, NONE, NONE, DEGRADED, NONE])[2:] == [
        "WATCHDOG=1\nSTATUS=down", "WATCHDOG=1\nSTATUS=degraded",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_stop_before_ready_tells_nothing() -> None:
    assert tell([NONE, DOWN, NONE]) == []
    assert tell([OK]) == []


def test_without_a_watchdog_the_watch_ends_when_the_app_is_ready() -> None:
    assert tell([NONE, OK, OK], interval=None) == ["READY=1\nSTATUS=ok", "on_ready"]


# Asking


def test_an_app_that_stands_still_gives_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        assert answer_of(f"http://127.0.0.1:{frozen.getsockname()[1]}", patience=0.1).status == 0


def test_what_is_no_http_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"hello\r\n\r\n")

        Thread(target=talk, daemon=True).start()
        assert answer_of(f"http://127.0.0.1:{server.getsockname()[1]}").status == 0


# systemd


def test_nobody_is_told_without_a_socket() -> None:
    assert notifier({})("READY=1") is None


def test_without_systemd_python_the_app_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "systemd", None)
    monkeypatch.setitem(sys.modules, "systemd.daemon", None)
    notify = notifier({"NOTIFY_SOCKET": "/run/systemd/notify"})
    assert notify("READY=1") is None
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "systemd-python is not installed" in caplog.text


@pytest.mark.parametrize("broken", [False, True])
def test_systemd_python_is_called(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: bool
) -> None:
    told: list[str] = []

    def notify(state: str) -> None:
        if broken:
            raise ConnectionRefusedError("nobody listens")
        told.append(state)

    monkeypatch.setitem(sys.modules, "systemd", _module())
    monkeypatch.setitem(sys.modules, "systemd.daemon", _module(notify=notify))
    notifier({"NOTIFY_SOCKET": "/run/systemd/notify"})("READY=1")
    assert told == ([] if broken else ["READY=1"])
    assert ("nobody listens" in caplog.text) is broken


def _module(**members: Callable[[str], None]) -> ModuleType:
    module = ModuleType("made")
    module.__dict__.update(members)
    return module


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_a_third_of_the_time_that_systemd_waits(
    environ: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_interval(environ) == seconds
