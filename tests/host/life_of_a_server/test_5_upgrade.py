"""From one version to the next, and back when the next one does not work."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from host.lab import Lab
from host.network import do
from host.server import Server
from host.serving import served

pytestmark = pytest.mark.timeout(900)

Edit = Callable[[Path], None]


def install_edited(server: Server, lab: Lab, edit: Edit, name: str) -> "tuple[int, str]":
    """Install a release of this checkout after `edit`; exit code and what was said."""
    tree = lab.folder / f"release-{name}"
    if not tree.exists():
        ignored = shutil.ignore_patterns("dist", ".cache")
        shutil.copytree(lab.folder / "release", tree, ignore=ignored)
        edit(tree)
        do(str(tree / "packaging/release"))
    with served(tree / "dist", f"{server.host.network.subnet}.1") as url:
        done = Server(server.host, url, server.acme).try_install()
    return done.returncode, done.stdout


def _set_version(tree: Path, version: str) -> None:
    file = tree / "bookbrain/__init__.py"
    text = file.read_text()
    before = text.split('__version__ = "')[1].split('"')[0]
    file.write_text(text.replace(before, version))


def working(tree: Path) -> None:
    _set_version(tree, "9.0.0")


def broken(tree: Path) -> None:
    _set_version(tree, "9.1.0")
    health = tree / "bookbrain/admin/health.py"
    health.write_text(health.read_text() + "\n\nraise SystemExit('this version is ill')\n")


def crashing(tree: Path) -> None:
    _set_version(tree, "9.2.0")
    app = tree / "bookbrain/web/__init__.py"
    app.write_text(app.read_text() + "\nraise SystemExit('this version does not start')\n")


def test_edited_units_and_settings_stay(server: Server) -> None:
    unit = server.host.root / "etc/systemd/system/bookbrain-health.timer"
    unit.write_text(unit.read_text() + "# mine\n")
    settings = server.host.root / "etc/bookbrain/bookbrain.env"
    settings.write_text(settings.read_text() + "BOOKBRAIN_VECTOR_WEIGHT=0.3\n")


def test_upgrades(server: Server, lab: Lab) -> None:
    books = server.books()
    code, said = install_edited(server, lab, working, "working")
    assert code == 0, said
    assert "9.0.0" in server.run("bookbrain --version")
    assert server.is_up()
    assert server.books() == books
    unit = server.host.root / "etc/systemd/system/bookbrain-health.timer"
    assert unit.read_text().endswith("# mine\n")
    settings = server.host.root / "etc/bookbrain/bookbrain.env"
    assert settings.read_text().endswith("BOOKBRAIN_VECTOR_WEIGHT=0.3\n")


@pytest.mark.parametrize("edit", [broken, crashing])
def test_goes_back_when_the_new_one_does_not_work(server: Server, lab: Lab, edit: Edit) -> None:
    books = server.books()
    code, said = install_edited(server, lab, edit, edit.__name__)
    assert code == 1, said
    assert "The version before serves again" in said
    assert "9.0.0" in server.run("bookbrain --version")
    server.wait("the site", server.is_up)
    assert server.books() == books
    releases = (server.host.root / "opt/bookbrain/releases").iterdir()
    assert not [release for release in releases if release.name.startswith(("9.1", "9.2"))]


def test_the_power_is_cut_in_an_upgrade(server: Server, lab: Lab) -> None:
    books = server.books()
    tree = lab.folder / "release-crashing"
    current = server.host.root / "opt/bookbrain/current"
    with served(tree / "dist", f"{server.host.network.subnet}.1") as url:
        running = server.host.start(f"curl -fsSL {url}/install.sh | bash -s -- --source {url}")
        server.wait("the new version", lambda: "9.2.0" in str(current.readlink()), 180)
        server.host.cut_power()
        running.communicate()
    server.host.boot()
    server.install()
    server.wait("the site", server.is_up)
    assert "9.2.0" not in server.run("bookbrain --version")
    assert server.books() == books
    assert not (server.host.root / "opt/bookbrain/before-upgrade").exists()
