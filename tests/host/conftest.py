"""Test hosts for every test in this folder, from one lab, in two chains that run side by side."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from host.lab import Lab, LabError
from host.machine import copy_clean
from host.network import do

_REQUIRED = "host" in os.environ.get("BOOKBRAIN_REQUIRE", "").split(",")


def pytest_configure(config: pytest.Config) -> None:
    """Know the mark of pytest-xdist even in a run without it."""
    config.addinivalue_line("markers", "xdist_group(name): run in one process with its like")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of this folder: those of a host stay in one process, for they share it.

    One that fails is tried again at once: later, alone, it would have no host in its state.
    """
    chain, again = pytest.mark.xdist_group(_chain_of(item)), pytest.mark.flaky(reruns=1)
    for mark in (pytest.mark.host, pytest.mark.slow, chain, again):
        item.add_marker(mark)


def _chain_of(item: pytest.Item) -> str:
    """The life of the server with bookworm is the longer one, so the other has the rest too."""
    assert isinstance(item, pytest.Function)
    suite = item.callspec.params.get("server") if hasattr(item, "callspec") else None
    return "bookworm" if suite == "bookworm" else "trixie"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab, or a skip that says why there can be none; a failure where hosts are required."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:7]
    process = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    try:
        with Lab(run, process) as opened:
            opened.made_once("tried", lambda tried: _try(opened, tried))
            yield opened
    except LabError as error:
        if _REQUIRED:
            pytest.fail(f"no test host here, and BOOKBRAIN_REQUIRE asks for one: {error}")
        pytest.skip(f"no test host here: {error}")


def _try(lab: Lab, tried: Path) -> None:
    """Whether a host boots here is known only when one has."""
    with lab.host("bookworm", systemd=True):
        tried.touch()


@pytest.fixture(scope="session")
def release(lab: Lab) -> Path:
    """The folder of a release, made from this checkout."""
    return lab.made_once("release", _make_release) / "dist"


def _make_release(tree: Path) -> None:
    copy_clean(tree)
    do(str(tree / "packaging/release"))
