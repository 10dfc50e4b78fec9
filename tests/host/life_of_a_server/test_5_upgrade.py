"""From one version to the next, and back when the next one does not work."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from host.lab import Lab
from host.planting import HOME, plant, state, uproot
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
    assert "changed on disk" not in said
    log = (server.host.root / "opt/bookbrain/install.log").read_text()
    assert "Copying the libraries" in said
    assert "Collecting" not in log and "/opt/bookbrain/libraries" not in log
    unit = server.host.root / "etc/systemd/system/bookbrain-health.timer"
    assert unit.read_text().endswith("# mine\n")
    settings = server.host.root / "etc/bookbrain/bookbrain.env"
    assert settings.read_text().endswith("BOOKBRAIN_VECTOR_WEIGHT=0.3\n")


@pytest.mark.only_on("trixie")
def test_a_pipe_in_place_of_the_lock_stops_no_installer(server: Server, lab: Lab) -> None:
    """It has the library that is damaged installed anew."""
    lock = f"{HOME}/library.lock"
    server.run(f"runuser -u bookbrain -- sh -c 'rm -f {lock}; mkfifo {lock}'")
    with harmed(server):
        code, said = install_edited(server, lab, crashing)
    assert code == 1 and "nothing was upgraded" in said, said
    assert "kubernetes/utils/quantity.py is not as it was installed" in said
    assert "Installing BookBrain: about a minute" in said
    server.run(f"rm {lock}")
    assert "9.0.0" in server.run("bookbrain --version")
    server.wait("the site", server.is_up)


@contextmanager
def harmed(server: Server) -> Iterator[None]:
    """A byte of a library that nobody asks for is another; it stays so."""
    releases = server.host.root / "opt/bookbrain/releases"
    name = "9.0.0-*/venvs/bookbrain/lib/*/site-packages/kubernetes/utils/quantity.py"
    (file,) = releases.glob(name)
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"import", b"impart", 1))
    yield
    assert file.read_bytes() != whole
    file.write_bytes(whole)


def test_goes_back_when_the_new_one_does_not_start(server: Server, lab: Lab) -> None:
    goes_back(server, lab, crashing)


def goes_back(server: Server, lab: Lab, edit: Edit) -> None:
    """An upgrade to a release that does not work leaves everything as it is."""
    books = server.books()
    code, said = install_edited(server, lab, edit)
    assert code == 1, said
    assert "The version before serves again" in said
    assert "9.0.0" in server.run("bookbrain --version")
    server.wait("the site", server.is_up)
    assert server.books() == books
    releases = (server.host.root / "opt/bookbrain/releases").iterdir()
    assert not [release for release in releases if release.name.startswith(("9.1", "9.2"))]
    units = server.host.root / "etc/systemd/system"
    assert not (units / "bookbrain-new.timer").exists()
    assert "# 9.0.0" in (units / "bookbrain.service").read_text()
    assert not list((server.host.root / "var/lib/bookbrain").glob(".before-upgrade*"))


@pytest.mark.only_on("bookworm")
def test_root_follows_no_link_and_waits_for_no_pipe(server: Server, lab: Lab) -> None:
    """An upgrade that goes back, and every command of root's that looks at the library."""
    before = plant(server)
    try:
        goes_back(server, lab, broken)
        for command in (
            "status",
            "doctor",
            "health",
            "backups",
            "backup",
            "report --month 2025-01",
            "report --month 2025-02",
            "verify /var/backups/bookbrain/bookbrain-20260101T000000Z.tar.zst",
            "verify /var/backups/bookbrain/bookbrain-20260102T000000Z.tar.zst",
            "restore --yes /var/backups/bookbrain/bookbrain-20260101T000000Z.tar.zst",
            "restore --yes /var/backups/bookbrain/bookbrain-20260102T000000Z.tar.zst",
            f"logs --export {HOME}/inbox/export.jsonl",
        ):
            done = server.host.run(f"timeout -k 1 120 bookbrain-admin {command}")
            assert done.returncode not in (124, 137), (command, done.stdout)
            assert "root's own" not in done.stdout, command
            assert "Traceback" not in done.stdout, (command, done.stdout)
        server.run("systemctl restart bookbrain-ingest; systemd-tmpfiles --create || true")
        assert state(server) == before
        assert server.run(f"find {HOME} -user root") == ""
    finally:
        uproot(server)
