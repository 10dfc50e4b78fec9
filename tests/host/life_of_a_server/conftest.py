"""The hosts of this folder: one for each release of Debian, through all its files in order.

The two are there side by side where there are two processes, or else one after the other. What
takes long and does not differ between them runs on one of them: mark `only_on`.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from host.authority import authority
from host.lab import Lab
from host.owner import Owner, owner_at
from host.server import WORD, Server, succeeded
from host.serving import served


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "only_on(suite): run on the host with this Debian alone")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drop each test from the host that its mark `only_on` does not name."""
    items[:] = [item for item in items if _is_for_its_host(item)]


def _is_for_its_host(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("only_on")
    if mark is None:
        return True
    assert isinstance(item, pytest.Function)
    return bool(item.callspec.params["server"] == mark.args[0])


@pytest.fixture(scope="session", params=["bookworm", "trixie"])
def server(request: pytest.FixtureRequest, lab: Lab, release: Path) -> Iterator[Server]:
    """A bare host that has curl; BookBrain comes with the first tests."""
    with ExitStack() as made:
        host = made.enter_context(lab.host(request.param, systemd=True))
        here = f"{host.network.subnet}.1"
        acme = made.enter_context(authority(host.root.with_suffix(".acme"), here, host.address))
        url = made.enter_context(served(release, here))
        succeeded(host.run("apt-get -qq update && apt-get -qq -y install curl iptables >&2"))
        (host.root / "root/password").write_text(WORD + "\n")
        (host.root / "srv/acme-root.pem").write_bytes(acme.root.read_bytes())
        yield Server(host, url, acme, request.param)


@pytest.fixture
def owner(server: Server) -> Iterator[Owner]:
    """The settings name this webhook until the test ends."""
    settings = server.host.root / "etc/bookbrain/bookbrain.env"
    before = settings.read_text()
    with owner_at(f"{server.host.network.subnet}.1") as made:
        settings.write_text(f"{before}BOOKBRAIN_NOTIFY={made.url}\n")
        yield made
        settings.write_text(before)
        server.run("systemctl reset-failed; systemctl restart bookbrain")
        server.wait("the site", server.is_up)
