"""The power goes in the middle of an upgrade, and comes back: nobody logs in, and no book is lost.

A few points for each kind of upgrade. All of them, twenty and twenty, in some 40 minutes:

    BOOKBRAIN_CUTS=all BOOKBRAIN_REQUIRE=host .venv/bin/pytest -n 0 \
        tests/host/life_of_a_server \
        -k "bookworm and (test_1 or test_2_installation or test_5_upgrade_cut)"
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from host.cutting import Cut, State, cut_upgrade, put
from host.lab import Lab
from host.releases import broken, migrated, release_of
from host.server import Server
from host.serving import served
from support import pdfs

pytestmark = pytest.mark.timeout(900)

_PLACING = (
    Cut("systemctl daemon-reload"),
    Cut("mv -T /opt/bookbrain/upgrading.part"),
    Cut("place packaging/sysusers.conf"),
    Cut(r"place systemd/bookbrain-backup\.timer"),
    Cut(r"place systemd/bookbrain-ingest\.service"),
    Cut(r"place systemd/bookbrain\.service"),
    Cut("note placed"),
    Cut("systemctl start bookbrain-upgrade.service"),
)
_SWITCHING = (
    Cut("systemctl --quiet stop bookbrain.service"),
    Cut(".*bookbrain.upgrade keep"),
    Cut(".*bookbrain.upgrade keep", later=0.4),
    Cut("note kept"),
    Cut("mv -T /opt/bookbrain/current.new"),
    Cut("systemctl --quiet enable bookbrain.service"),
    Cut("systemd-notify --ready"),
    Cut("systemctl restart bookbrain.service"),
)
PASSING = (
    *_PLACING,
    *_SWITCHING,
    Cut("systemctl restart bookbrain.service", later=2.0),
    Cut("systemctl start bookbrain-health.service", nth=2, later=0.5),
    Cut("mv -T /opt/bookbrain/upgrading /opt/bookbrain/upgrading.done"),
    Cut("systemctl --quiet restart bookbrain-health.timer"),
)
FAILING = (
    *_PLACING[1::3],
    *_SWITCHING[1::3],
    Cut("systemctl start bookbrain-health.service", nth=2, later=0.5),
    Cut("systemctl start bookbrain-health.service", nth=4),
    Cut("note back"),
    Cut("systemctl --quiet stop bookbrain.service", nth=2),
    Cut(".*bookbrain.upgrade put-back"),
    Cut(".*bookbrain.upgrade put-back", later=0.2),
    Cut(".*bookbrain.upgrade put-back", later=0.4),
    Cut("restore_files"),
    Cut("mv -T /etc/.*before"),
    Cut("mv -T /opt/bookbrain/current.new", nth=2),
    Cut("systemctl daemon-reload", nth=3),
    Cut("mv -T /opt/bookbrain/upgrading /opt/bookbrain/upgrading.done"),
    Cut("systemd-notify --ready", nth=2),
    Cut("systemctl restart bookbrain.service", nth=2),
    Cut(".*bookbrain.upgrade forget"),
)
_ALL = os.environ.get("BOOKBRAIN_CUTS") == "all"


@dataclass(frozen=True)
class Scene:
    """A host that is off, as it is before each upgrade, and the books that it has."""

    server: Server
    state: State
    version: str
    books: list[str]


@pytest.fixture(scope="module")
def scene(server: Server, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    if "trixie" in server.suite and not _ALL:
        pytest.skip("its systemd is tried by the other tests of upgrades")
    put(server, pdfs.long_book(tmp_path_factory.mktemp("books") / "before.pdf", 4, seed=31))
    server.wait("the book", lambda: "before.pdf" in server.books())
    books, version = server.books(), server.run("bookbrain --version").strip()
    server.host.shut_down()
    state = State(server, lab.folder / "before-the-cuts")
    yield Scene(server, state, version, books)
    server.host.cut_power()
    state.bring_back()
    server.host.boot()
    server.wait("the site", server.is_up)


@pytest.mark.parametrize("cut", PASSING if _ALL else (PASSING[5], PASSING[17]), ids=str)
def test_of_one_that_passes(scene: Scene, lab: Lab, tmp_path: Path, cut: Cut) -> None:
    dist = release_of(lab, migrated)
    with served(dist, f"{scene.server.host.network.subnet}.1") as url:
        version = comes_back(scene, cut, url, tmp_path)
        again = Server(scene.server.host, url, scene.server.acme).install()
    now = scene.server.run("bookbrain --version")
    assert "9.3.0" in now
    assert ("Starting BookBrain" in again) == (version != now.strip())
    assert_all_books(scene)


@pytest.mark.parametrize(
    "cut", FAILING if _ALL else (FAILING[6], FAILING[10], FAILING[14]), ids=str
)
def test_of_one_that_fails(scene: Scene, lab: Lab, tmp_path: Path, cut: Cut) -> None:
    dist = release_of(lab, broken)
    with served(dist, f"{scene.server.host.network.subnet}.1") as url:
        assert comes_back(scene, cut, url, tmp_path) == scene.version


def comes_back(scene: Scene, cut: Cut, url: str, folder: Path) -> str:
    """The version that serves after the cut, when all is as it should be."""
    server = scene.server
    server.host.cut_power()
    scene.state.bring_back()
    server.host.boot()
    server.wait("the site", server.is_up, 120)
    try:
        first = pdfs.long_book(folder / "first.pdf", 4, seed=41)
        last = pdfs.long_book(folder / "last.pdf", 4, seed=42)
        cut_upgrade(server, url, cut, first, last)
        for release in (server.host.root / "opt/bookbrain/releases").iterdir():
            scene.state.keep_release(release.name)
        server.host.boot()
        notes = server.host.root / "opt/bookbrain/upgrading"
        server.wait("the end of the upgrade", lambda: not notes.exists(), 180)
        server.wait("the site", server.is_up, 120)
        assert_all_books(scene)
        assert server.run("find /var/lib/bookbrain -user root") == ""
        unit = "systemctl is-active bookbrain-upgrade"
        server.wait("its unit", lambda: "inactive" in server.host.run(unit).stdout, 120)
        return server.run("bookbrain --version").strip()
    except AssertionError:
        print(server.host.run("journalctl --no-pager -b -o short -u 'bookbrain-upgrade'").stdout)
        raise


def assert_all_books(scene: Scene) -> None:
    wanted = sorted([*scene.books, "first.pdf", "last.pdf"])
    scene.server.wait("every book", lambda: sorted(scene.server.books()) == wanted, 180)
