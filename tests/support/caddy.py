"""BookBrain's site behind a real Caddy, in a folder of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from click.testing import CliRunner, Result
from support.stand_in import free_ports

from bookbrain.admin import main
from bookbrain.paths import Layout
from bookbrain.processes import die_with_parent
from bookbrain.server.access import Address, with_address, write_site
from bookbrain.server.caddy import Caddy, Machine

ROOT = Path(__file__).parents[2]
CADDIES = {
    "debian": ROOT / ".cache/debian/usr/bin/caddy",
    "newest": Path(sys.executable).with_name("caddy"),
}
PASSWORD = "correct horse"

_MACHINE = """
{{
	admin {admin}
	http_port {http}
	https_port {https}
	skip_install_trust
}}
:{http} {{
	respond "the default site"
}}
http://other.localhost {{
	respond "the other site"
}}
"""


@dataclass(frozen=True)
class CaddySite:
    """A machine whose Caddy serves https://localhost for the user ann."""

    machine: Machine
    https: int
    http: int
    process: "subprocess.Popen[bytes]"
    log: Path

    def admin(self, *arguments: str, given: str = "", code: int = 0) -> Result:
        done = CliRunner().invoke(main, arguments, obj=self.machine, input=given)
        assert done.exit_code == code, done.output
        return done


@contextmanager
def caddy_site(folder: Path, caddy: str, app: int, admin: str = "") -> Iterator[CaddySite]:
    """In front of the app at the port `app`, by the program `caddy`, until the block ends.

    Its admin API is at `admin`, else at a socket, as on a server.
    """
    plain, https = free_ports(2)
    layout = Layout(folder)
    layout.caddyfile.parent.mkdir(parents=True)
    layout.etc.mkdir()
    shutil.copy(ROOT / "Caddyfile", layout.etc / "Caddyfile")
    layout.caddy_socket.parent.mkdir(parents=True)
    admin = admin or f"unix/{layout.caddy_socket}"
    options = _MACHINE.format(admin=admin, http=plain, https=https)
    layout.caddyfile.write_text(options + f"import {layout.etc}/Caddyfile\n")
    site = with_address(None, Address("before.localhost.test", acme=False))
    write_site(layout, replace(site, upstream=f"127.0.0.1:{app}"))
    machine = Machine(layout, Caddy(caddy))
    command = [caddy, "run", "--config", str(layout.caddyfile), "--adapter", "caddyfile"]
    log = folder / "caddy.log"
    with running(command, log, plain) as process:
        made = CaddySite(machine, https, plain, process, log)
        made.admin("site", "--domain", "localhost")
        made.admin("users", "add", "ann", "--password-file", "-", given=f"{PASSWORD}\n")
        yield made


@contextmanager
def running(command: list[str], log: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A child that listens on `port`, until the block ends."""
    env = {"PATH": os.environ["PATH"], "HOME": str(log.parent)}
    with log.open("ab") as file:
        child = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            preexec_fn=die_with_parent,  # noqa: PLW1509
        )  # fmt: skip
    try:
        until = time.monotonic() + 30
        while child.poll() is None and time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        else:
            raise RuntimeError(log.read_text())
        yield child
    finally:
        child.kill()
        child.wait()
