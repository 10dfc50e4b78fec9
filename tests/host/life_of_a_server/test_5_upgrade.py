"""From one version to the next, and back when the next one does not work."""

import pytest
from host.lab import Lab
from host.releases import Edit, broken, crashing, release_of, working
from host.server import Server
from host.serving import served

pytestmark = pytest.mark.timeout(900)


def install_edited(server: Server, lab: Lab, edit: Edit) -> "tuple[int, str]":
    """Install a release of this checkout after `edit`; exit code and what was said."""
    with served(release_of(lab, edit), f"{server.host.network.subnet}.1") as url:
        done = Server(server.host, url, server.acme).try_install()
    return done.returncode, done.stdout


def test_edited_units_and_settings_stay(server: Server) -> None:
    unit = server.host.root / "etc/systemd/system/bookbrain-health.timer"
    unit.write_text(unit.read_text() + "# mine\n")
    settings = server.host.root / "etc/bookbrain/bookbrain.env"
    settings.write_text(settings.read_text() + "BOOKBRAIN_VECTOR_WEIGHT=0.3\n")


def test_upgrades(server: Server, lab: Lab) -> None:
    books = server.books()
    code, said = install_edited(server, lab, working)
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
    code, said = install_edited(server, lab, edit)
    assert code == 1, said
    assert "The version before serves again" in said
    assert "9.0.0" in server.run("bookbrain --version")
    server.wait("the site", server.is_up)
    assert server.books() == books
    releases = (server.host.root / "opt/bookbrain/releases").iterdir()
    units = server.host.root / "etc/systemd/system"
    assert not (units / "bookbrain-new.timer").exists()
    assert "# 9.0.0" in (units / "bookbrain.service").read_text()
    assert not [release for release in releases if release.name.startswith(("9.1", "9.2"))]
