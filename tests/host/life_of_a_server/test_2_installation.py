"""From `curl | bash` to a page that logs in over HTTPS."""

import re
import time
from pathlib import Path

import pytest
from host.server import DOMAIN, WORD, Server
from host.site import Site, password
from support.exposure import MOST, read_exposure

pytestmark = pytest.mark.timeout(1200)


def test_disk_full(server: Server) -> None:
    server.run("mkdir -p /opt && mount -t tmpfs -o size=100M none /opt")
    done = server.try_install()
    server.run("umount /opt")
    assert done.returncode == 69
    assert re.search(r"/opt has \d+ MB left", done.stdout), done.stdout


@pytest.mark.only_on("trixie")
def test_network_gone_in_the_middle(server: Server) -> None:
    given = f"--source {server.url} --domain {DOMAIN} --email owner@{DOMAIN} --user alice"
    command = f"curl -fsSL {server.url}/install.sh | bash -s -- {given}"
    log = server.host.root / "opt/bookbrain/install.log"
    impatient = {"PIP_RETRIES": "1", "PIP_DEFAULT_TIMEOUT": "5", "PIP_NO_CACHE_DIR": "1"}
    running = server.host.start(f"{command} --password-file /root/password", env=impatient)
    try:
        for _ in range(2400):
            if log.exists() and "Collecting chromadb" in log.read_text():
                break
            assert running.poll() is None, running.communicate()[0]
            time.sleep(0.1)
        server.host.network.cut()
        output, _ = running.communicate(timeout=180)
    finally:
        running.kill()
        server.host.network.mend()
    assert running.returncode == 1, output
    assert "network" in output.rsplit("install.sh:", 1)[1]
    assert not (server.host.root / "opt/bookbrain/current").is_symlink()


def test_does_what_the_dry_run_named(server: Server) -> None:
    before = server.files()
    server.run("mountpoint -q /tmp || mount --bind /tmp /tmp; mount -o remount,bind,noexec /tmp")
    done = server.install()
    assert f"https://{DOMAIN}" in done
    # Every file of ours outside our own folders was named, or a folder above it.
    changed = {path for path, state in server.files().items() if before.get(path) != state}
    named = [path for path in changed if not re.match("(opt|var/lib)/bookbrain/", path)]
    for path in (path for path in named if "bookbrain" in path and "/caddy/" not in path):
        folders = [f"/{path}", *(f"/{folder}" for folder in Path(path).parents)][:-1]
        assert any(folder in server.planned for folder in folders), path
    for line in ("systemctl restart bookbrain.service", "apt-get", "bookbrain-admin site"):
        assert line in server.planned


def test_logs_in_over_https_with_a_certificate_by_acme(server: Server) -> None:
    server.site = Site(server.host.address, DOMAIN, server.acme.issuer())
    server.wait("the certificate", server.is_up)
    assert server.site.ask("/").status == 401
    page = server.site.ask("/", Authorization=password("alice", WORD))
    assert page.status == 200
    assert b"<title>" in page.body


def test_second_run_changes_and_restarts_nothing(server: Server) -> None:
    files, running = server.files(), server.invocations()
    output = server.install()
    assert server.invocations() == running
    assert {p for p, s in server.files().items() if files.get(p) != s} == set(), output


def test_units_are_tight_and_well_formed(server: Server) -> None:
    listed = server.run("systemctl list-unit-files --no-legend 'bookbrain*.service'")
    assert {line.split()[0] for line in listed.splitlines()} == MOST.keys()
    for unit, most in MOST.items():
        name = unit.replace("@.", "@any.")
        said = server.run(f"systemd-analyze --no-pager security {name}")
        assert read_exposure(said) <= most, said
    files = server.run("ls -d /etc/systemd/system/bookbrain*.*").split()
    units = [name for name in files if name.endswith((".service", ".path", ".timer"))]
    assert server.run(f"systemd-analyze verify {' '.join(units)}") == ""
    assert server.run("systemctl --failed --no-legend") == ""


def test_a_unit_without_its_hardening_is_named_and_gets_it_back(server: Server) -> None:
    drop_in = "/etc/systemd/system/bookbrain-logs.service.d/00-hardening.conf"
    server.run(f"rm {drop_in} && systemctl daemon-reload")
    said = server.host.run("bookbrain-admin doctor").stdout
    assert "bookbrain-logs.service runs without its hardening." in said, said
    assert "bookbrain-backup.service runs without" not in said, said
    server.install()
    assert "without its hardening" not in server.host.run("bookbrain-admin doctor").stdout
