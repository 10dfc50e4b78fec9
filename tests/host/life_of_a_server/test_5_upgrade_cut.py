"""The power goes in the middle of an upgrade, and comes back: nobody logs in, and no book is lost.

A point of one that passes, from this release, and of one that fails, from the release that servers
have had; a second run then passes. All points, twenty and twenty from the release that servers
have had and a quarter of these from this one, at some 40 s each:

    BOOKBRAIN_CUTS=all BOOKBRAIN_REQUIRE=host .venv/bin/pytest -n 0 \
        tests/host/life_of_a_server \
        -k "bookworm and (test_1 or test_2_installation or test_5_upgrade_cut)"
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from host.cutting import Cut, Layer, cut_upgrade, put
from host.lab import Lab
from host.releases import Edit, broken, migrated, old_release, release_of
from host.server import WORD, Server
from host.serving import served
from host.site import password
from support import pdfs
from support.prose import probe

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
    Cut("systemctl daemon-reload", nth=4),
    Cut("mv -T /opt/bookbrain/upgrading /opt/bookbrain/upgrading.done"),
    Cut("systemd-notify --ready", nth=2),
    Cut("systemctl restart bookbrain.service", nth=2),
    Cut(".*bookbrain.upgrade forget"),
)
_ALL = os.environ.get("BOOKBRAIN_CUTS") == "all"
_OLD, _NOW = "from what servers have had", "from this release"


@dataclass(frozen=True)
class Scene:
    """A host that is off, as it is before each upgrade, and the books that it has."""

    server: Server
    layer: Layer
    version: str
    books: list[str]


def points() -> list[tuple[str, Edit, Cut]]:
    """From which release, to which, and where: all, or one. The scene of an old release takes eight
    minutes to make."""
    if not _ALL:
        return [(_NOW, migrated, PASSING[5])]
    few = {_NOW: slice(None, None, 4), _OLD: slice(None)}
    return [
        (since, edit, cut)
        for since in (_NOW, _OLD)
        for edit, cuts in ((migrated, PASSING), (broken, FAILING))
        for cut in cuts[few[since]]
    ]


def name_of(what: object) -> str:
    return getattr(what, "__name__", str(what))


@pytest.fixture(scope="module")
def scene(
    server: Server,
    lab: Lab,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    if "trixie" in server.suite and not _ALL:
        pytest.skip("its systemd is tried by the other tests of upgrades")
    with ExitStack() as made:
        before = server
        if request.param == _OLD:
            before = made.enter_context(installed_anew(server, lab))
        book = pdfs.long_book(tmp_path_factory.mktemp("books") / "before.pdf", 4, seed=31)
        yield made.enter_context(standing(before, lab.folder / "cuts", book))


@contextmanager
def installed_anew(server: Server, lab: Lab) -> Iterator[Server]:
    """The host with the old release in place of ours; then as it was."""
    dist = old_release(lab)
    if not dist:
        pytest.skip("this checkout has no history")
    server.host.shut_down()
    layer = Layer(server.host, lab.folder / "old")
    try:
        server.host.boot()
        with served(dist, f"{server.host.network.subnet}.1") as url:
            old = Server(server.host, url, server.acme, server.suite)
            old.site = server.site
            exchange(old, dist.parent / "packaging/requirements-server.txt")
        yield old
    finally:
        layer.remove()
        server.host.boot()
        server.wait("the site", server.is_up)


def exchange(old: Server, lock: Path) -> None:
    """Uninstall, and install `old`. Its `lock` asks for the same libraries as ours, so they are
    not fetched again, and what was built for other cuts is not built again."""
    aside = old.host.root / "srv/aside"
    aside.mkdir()
    old.run(
        "cd /opt/bookbrain; mv libraries /srv/aside; for release in releases/*; do"
        ' [ "$PWD/$release" = "$(readlink current)" ] || mv "$release" /srv/aside; done'
    )
    old.run("bookbrain-admin uninstall --purge --yes")
    libraries = old.host.root / "opt/bookbrain/libraries"
    ours = (aside / "libraries/locked-from").read_text()
    if pins(ours) == pins(lock.read_text()):
        old.run("mkdir /opt/bookbrain; mv /srv/aside/libraries /opt/bookbrain")
        (libraries / "locked-from").write_text(lock.read_text())
    old.install()
    if pins(ours) == pins(lock.read_text()):
        (libraries / "locked-from").write_text(ours)
    old.run("mv /srv/aside/9.* /opt/bookbrain/releases/ || true")


def pins(lock: str) -> list[str]:
    """What is in a lock, without what is said of it."""
    return [line for line in lock.splitlines() if not line.strip().startswith("#")]


@contextmanager
def standing(server: Server, folder: Path, book: Path) -> Iterator[Scene]:
    """The host with one more book, and a layer for each cut; then as it was, but for that book."""
    put(server, book)
    server.wait("the site", server.is_up, 120)
    server.wait("the book", lambda: book.name in server.books(), 120)
    books, version = server.books(), server.run("bookbrain --version").strip()
    server.host.shut_down()
    layer = Layer(server.host, folder)
    try:
        yield Scene(server, layer, version, books)
    finally:
        layer.remove()
        server.host.boot()
        server.wait("the site", server.is_up)


@pytest.mark.parametrize(
    ("scene", "edit", "cut"), points(), ids=name_of, indirect=["scene"], scope="module"
)
def test_an_upgrade(scene: Scene, lab: Lab, tmp_path: Path, edit: Edit, cut: Cut) -> None:
    """One that passes, or one that fails; and then to a release that works."""
    here = f"{scene.server.host.network.subnet}.1"
    with served(release_of(lab, edit), here) as url:
        version = comes_back(scene, cut, url, tmp_path)
    assert edit is migrated or version == scene.version
    with served(release_of(lab, migrated), here) as url:
        again = Server(scene.server.host, url, scene.server.acme).install()
    now = scene.server.run("bookbrain --version")
    assert "9.3.0" in now
    assert edit is broken or ("Starting BookBrain" in again) == (version != now.strip())
    assert_all_books(scene)


def comes_back(scene: Scene, cut: Cut, url: str, folder: Path) -> str:
    """The version that serves after the cut, when all is as it should be."""
    server = scene.server
    scene.layer.renew()
    server.host.boot()
    server.wait("the site", server.is_up, 120)
    hardened = drop_ins(server)
    first = pdfs.long_book(folder / "first.pdf", 4, seed=41)
    last = pdfs.long_book(folder / "last.pdf", 4, seed=42)
    cut_upgrade(server, url, cut, first, last)
    scene.layer.keep_releases()
    server.host.boot()
    try:
        notes = server.host.root / "opt/bookbrain/upgrading"
        server.wait("the end of the upgrade", lambda: not notes.exists(), 180)
        server.wait("the site", server.is_up, 120)
        assert_all_books(scene)
        roots = server.run("find /var/lib/bookbrain -user root -ls")
        assert roots == "", roots
        assert server.run("find /etc/systemd/system -xtype l -name 'bookbrain*'") == ""
        unit = "systemctl is-active bookbrain-upgrade"
        server.wait("its unit", lambda: "inactive" in server.host.run(unit).stdout, 120)
    except AssertionError:
        print(server.host.run("journalctl --no-pager -b -o short -u 'bookbrain-upgrade'").stdout)
        raise
    version = server.run("bookbrain --version").strip()
    assert version != scene.version or drop_ins(server) == hardened
    return version


def drop_ins(server: Server) -> list[str]:
    """The folders of drop-ins that units have, but for that of the one which is watched."""
    folders = (server.host.root / "etc/systemd/system").glob("bookbrain*.service.d")
    return sorted(path.name for path in folders if "upgrade" not in path.name)


def assert_all_books(scene: Scene) -> None:
    """Each is on the shelf once, and is found."""
    wanted = sorted([*scene.books, "first.pdf", "last.pdf"])
    scene.server.wait("every book", lambda: sorted(scene.server.books()) == wanted, 180)
    for seed in (31, 41, 42):
        answer = scene.server.site.ask(
            f"/api/search?q={probe(seed, 2)}", Authorization=password("alice", WORD)
        )
        assert f"Book {seed}" in answer.body.decode(), answer
