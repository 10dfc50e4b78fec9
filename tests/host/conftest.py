"""Test hosts for every test in this folder: one lab a session, its hosts one after another."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from host.lab import Lab, LabError
from host.machine import copy_clean
from host.network import do


def pytest_configure(config: pytest.Config) -> None:
    """Know the mark of pytest-xdist even in a run without it."""
    config.addinivalue_line("markers", "xdist_group(name): run in one process with its like")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of this folder, and keep them in one process: they share the lab."""
    for mark in (pytest.mark.host, pytest.mark.slow, pytest.mark.xdist_group("host")):
        item.add_marker(mark)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab, or a skip that says why there can be none; a failure where hosts are required."""
    try:
        with Lab() as opened:
            with opened.host("bookworm", systemd=True):
                pass  # whether a host boots here is known only when one has
            yield opened
    except LabError as error:
        if "host" in os.environ.get("BOOKBRAIN_REQUIRE", "").split(","):
            pytest.fail(f"no test host here, and BOOKBRAIN_REQUIRE asks for one: {error}")
        pytest.skip(f"no test host here: {error}")


@pytest.fixture(scope="session")
def release(lab: Lab) -> Path:
    """The folder of a release, made from this checkout."""
    tree = copy_clean(lab.folder / "release")
    do(str(tree / "packaging/release"))
    return tree / "dist"
