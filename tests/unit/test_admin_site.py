"""The address of a server, its piece of the Caddyfile, its key; without a Caddy."""

import os
import pty
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bookbrain.admin import main
from bookbrain.errors import ConfigError, InputError
from bookbrain.paths import Layout
from bookbrain.server.access import Address, User, read_site, with_address, write_site
from bookbrain.server.caddy import Caddy, Machine
from bookbrain.server.caddyfile import site_piece

NEW = Address("books.example.org", "owner@example.org")
SOCKET = Layout().sign_in_socket
SITE = with_address(None, NEW)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A server without programs."""
    (tmp_path / "etc/bookbrain").mkdir(parents=True)
    return Machine(Layout(tmp_path), Caddy(str(tmp_path / "caddy")), "systemctl-of-none")


def _run(machine: Machine, *arguments: str, given: str = "", code: int = 0) -> Result:
    done = CliRunner().invoke(main, arguments, obj=machine, input=given)
    assert done.exit_code == code, done.output
    return done


# Addresses


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ("books.example.org", "books.example.org"),
        ("Books.Example.ORG", "books.example.org"),
        ("책.example.org", "xn--pu6b.example.org"),
        ("a-b.c1.co", "a-b.c1.co"),
    ],
)
def test_domains(given: str, domain: str) -> None:
    assert with_address(None, Address(given, "owner@example.org")).domain == domain


@pytest.mark.parametrize(
    "text",
    [
        "", "example", "-a.example.org", "a-.example.org", "a..org", "a.org.", "*.example.org",
        "a b.org", "a.org:443", "https://a.org", "a.org/x", "a.org {", "a_b.org", "1.2.3",
        f"{'x' * 64}.org", ".".join(["x" * 60] * 5), "[::1]", "a.org\nimport x", "{$HOME}.org",
    ],
)  # fmt: skip
@pytest.mark.parametrize("acme", [True, False])
def test_what_is_no_domain(text: str, acme: bool) -> None:
    with pytest.raises(InputError, match="is not a domain"):
        with_address(None, Address(text, "owner@example.org", acme))


@pytest.mark.parametrize("text", ["localhost", "192.0.2.7"])
def test_addresses_without_public_certificates(text: str) -> None:
    with pytest.raises(InputError, match="no public certificates") as raised:
        with_address(None, Address(text, "owner@example.org"))
    assert "--no-acme" in raised.value.hint
    assert with_address(None, Address(text, acme=False)).domain == text


@pytest.mark.parametrize(
    "text", ["owner", "owner@", "@example.org", "a b@example.org", "a@b", "a@b.org}", "a{$X}@b.org"]
)
def test_what_is_no_email_address(text: str) -> None:
    with pytest.raises(InputError, match=r"not an e-mail|e-mail address is needed"):
        with_address(None, Address("books.example.org", text))


def test_acme_needs_an_email_address() -> None:
    with pytest.raises(InputError, match="e-mail address is needed"):
        with_address(None, Address("books.example.org"))
    with pytest.raises(InputError, match="domain is needed"):
        with_address(None, Address(email="owner@example.org"))
    assert not with_address(None, Address("books.example.org", acme=False)).email


def test_another_authority(tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    for url in ("http://ca.example.org/dir", "ca.example.org", "https://ca/d ir", "https://c/{x}"):
        with pytest.raises(InputError, match="ACME directory"):
            with_address(SITE, Address(acme_directory=url))
    for path in (root, Path("root.pem"), tmp_path):
        with pytest.raises(InputError, match="not a certificate file"):
            with_address(SITE, Address(acme_root=str(path)))
    root.touch()
    site = with_address(SITE, Address(acme_directory="https://ca:14000/dir", acme_root=str(root)))
    assert f"ca https://ca:14000/dir\n\t\tca_root {root}\n" in site_piece(site, (2, 6), SOCKET)
    back = with_address(site, Address(acme_directory="", acme_root=""))
    assert site_piece(back, (2, 6), SOCKET) == site_piece(SITE, (2, 6), SOCKET)


def test_what_is_not_named_stays() -> None:
    changed = with_address(SITE, Address(domain="b.example.org"))
    assert changed == replace(SITE, domain="b.example.org")
    assert with_address(SITE, Address()) == SITE


# What is kept


def test_a_site_is_read_as_it_was_written(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.etc.mkdir(parents=True)
    assert read_site(layout) is None
    site = replace(SITE, users=(User("ann", "$2b$10$abc"),), acme=False)
    write_site(layout, site)
    assert read_site(layout) == site
    assert stat.S_IMODE(layout.site.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"users": [], "x": 1}', '{"users": [{}]}'])
def test_a_file_that_is_not_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "etc/bookbrain").mkdir(parents=True)
    (tmp_path / "etc/bookbrain/site.json").write_text(text)
    with pytest.raises(ConfigError, match=r"site\.json cannot be read"):
        read_site(Layout(tmp_path))


# The piece of the Caddyfile


def test_the_piece_suits_the_version() -> None:
    old, later, new = (site_piece(SITE, version, SOCKET) for version in ((2, 6), (2, 7), (2, 8)))
    assert "stream_close_delay" not in old
    assert "stream_close_delay" in later
    assert "\tbasicauth bcrypt" in later
    assert "\tbasic_auth bcrypt" in new


def test_the_piece_holds_the_site_and_nothing_else_of_ours() -> None:
    site = replace(SITE, users=(User("ann", "$2b$10$abc"),))
    piece = site_piece(site, (2, 6), SOCKET)
    assert "\nbooks.example.org {\n\ttls owner@example.org\n\timport bookbrain\n}\n" in piece
    assert "\n\t\tann $2b$10$abc\n" in piece
    assert piece.count(site.users[0].session) == 2
    assert "tls internal" in site_piece(replace(site, acme=False), (2, 6), SOCKET)


# The commands


def test_somewhere_else_than_on_a_server(tmp_path: Path) -> None:
    machine = Machine(Layout(tmp_path))
    for command in (["site"], ["users", "list"], ["users", "add", "ann"], ["key"]):
        done = _run(machine, *command, given="sk-test\n", code=78)
        assert "install.sh --domain" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]


def test_before_there_is_an_address(machine: Machine) -> None:
    for command in ("site", "users list", "users add ann", "users passwd ann", "users remove ann"):
        assert "site --domain" in _run(machine, *command.split(), code=78).stderr


def test_without_caddy(machine: Machine) -> None:
    arguments = ("site", "--domain", "localhost", "--no-acme")
    assert "apt-get install caddy" in _run(machine, *arguments, code=69).stderr
    assert not machine.layout.site.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="run it as another user: root may do everything")
def test_an_ordinary_user_is_told_to_use_sudo(machine: Machine) -> None:
    machine.layout.etc.chmod(0o555)
    assert "sudo" in _run(machine, "site", code=1).stderr


@pytest.mark.parametrize("option", [[], ["--password-file", "-"]])
def test_no_password_comes_by_itself(machine: Machine, option: list[str]) -> None:
    write_site(machine.layout, SITE)
    done = _run(machine, "users", "add", "ann", *option, code=65)
    assert "--password-file" in done.stderr if not option else "too short" in done.stderr


def test_a_key_is_kept_for_root_alone(machine: Machine) -> None:
    done = _run(machine, "key", given="  sk-very-secret \r\nmore\n")
    file = machine.layout.credentials / "openai-api-key"
    assert file.read_text() == "sk-very-secret\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "very-secret" not in done.output
    assert "systemctl restart bookbrain" in done.output
    _run(machine, "key", "--remove")
    assert file.read_text() == ""


def test_the_service_is_restarted_with_a_new_key(machine: Machine, tmp_path: Path) -> None:
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    program.chmod(0o755)
    done = _run(replace(machine, systemctl=str(program)), "key", given="sk-1\n")
    assert (tmp_path / "asked").read_text() == "try-restart bookbrain\n"
    assert "systemctl" not in done.output


@pytest.mark.parametrize("text", ["", "\n", "sk a\n", "sk-열쇠\n", "sk\x07\n"])
def test_what_is_no_key(machine: Machine, text: str) -> None:
    _run(machine, "key", given="sk-old\n")
    done = _run(machine, "key", given=text, code=65)
    assert (machine.layout.credentials / "openai-api-key").read_text() == "sk-old\n"
    assert text.strip() not in done.output or not text.strip()


# At a terminal

_AT_A_TERMINAL = """
import sys
from pathlib import Path
from bookbrain.admin import main
from bookbrain.server.caddy import Machine
from bookbrain.paths import Layout
main(sys.argv[2:], obj=Machine(Layout(Path(sys.argv[1])), systemctl="true"))
"""


def _at_a_terminal(machine: Machine, *arguments: str, typed: list[str]) -> tuple[int, str]:
    """Exit code and screen of a command; one line is typed at each question."""
    pid, screen = pty.fork()
    if pid == 0:
        os.execv(
            sys.executable,
            [sys.executable, "-c", _AT_A_TERMINAL, str(machine.layout.top), *arguments],
        )
    seen = b""
    try:
        while True:
            if typed and seen.endswith(b": "):
                os.write(screen, typed.pop(0).encode() + b"\n")
            seen += os.read(screen, 1000)
    except OSError:  # the end of a terminal
        pass
    finally:
        os.close(screen)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_secrets_are_asked_for_and_not_shown(machine: Machine) -> None:
    code, screen = _at_a_terminal(machine, "key", typed=["sk-typed-key"])
    assert (code, "typed" in screen) == (0, False)
    assert (machine.layout.credentials / "openai-api-key").read_text() == "sk-typed-key\n"
    write_site(machine.layout, SITE)
    code, screen = _at_a_terminal(
        machine, "users", "add", "ann", typed=["typed password", "typed otherwise"]
    )
    assert (code, "two different" in screen, "typed" in screen) == (65, True, False)
