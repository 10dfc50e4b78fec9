"""What stops an installation before it begins: a clear line each, and nothing changed."""

import re
from pathlib import Path

import pytest
from host.server import Server, succeeded
from host.serving import served

pytestmark = pytest.mark.timeout(1200)


def test_not_root(server: Server) -> None:
    server.host.add_user("reader")
    command = f"curl -fsSL {server.url}/install.sh | bash -s -- --source {server.url} --no-acme"
    asked = server.host.run(f"{command} --user x --password-file /dev/null", user="reader")
    assert asked.returncode == 1
    assert "sudo" in asked.stdout


def test_other_system(server: Server) -> None:
    release = server.host.root / "etc/os-release"
    before = release.read_text() if not release.is_symlink() else None
    target = release.readlink() if release.is_symlink() else None
    release.unlink()
    release.write_text('ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora 43"\n')
    try:
        done = server.try_install()
    finally:
        release.unlink()
        if target:
            release.symlink_to(target)
        else:
            release.write_text(before or "")
    assert done.returncode == 69
    assert "Fedora 43" in done.stdout


def test_port_taken(server: Server) -> None:
    succeeded(server.host.run("apt-get -qq -y install nginx-light >&2; systemctl start nginx"))
    done = server.try_install()
    server.run("systemctl stop nginx; apt-get -qq -y purge 'nginx*' >&2")
    assert done.returncode == 69
    assert re.search(r"Port 80 is taken by nginx \(pid \d+\)", done.stdout), done.stdout


def test_wrong_checksum(server: Server, release: Path, tmp_path: Path) -> None:
    for file in release.iterdir():
        data = file.read_bytes()
        name = file.name
        (tmp_path / name).write_bytes(data + b" " if name.endswith(".tar.gz") else data)
    with served(tmp_path, f"{server.host.network.subnet}.1") as url:
        done = Server(server.host, url, server.acme).try_install()
    assert done.returncode == 1
    assert "SHA256SUMS" in done.stdout


def test_what_is_missing_is_named(server: Server) -> None:
    done = server.host.run(
        f"curl -fsSL {server.url}/install.sh | bash -s -- --source {server.url} --domain x.org"
    )
    assert done.returncode == 2
    assert "--email" in done.stdout


def test_dry_run_ends_well(server: Server) -> None:
    before = server.files()
    server.planned = server.install("--dry-run")
    assert server.files() == before


def test_nothing_was_changed(server: Server) -> None:
    for path in ("opt/bookbrain", "etc/bookbrain", "usr/bin/caddy", "var/lib/bookbrain"):
        assert not (server.host.root / path).exists(), path
