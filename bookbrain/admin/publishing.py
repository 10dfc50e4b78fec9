"""A change of the site reaches the files and the running Caddy, or neither."""

import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bookbrain.admin.caddy import Caddy
from bookbrain.admin.caddyfile import piece_file, site_piece
from bookbrain.admin.site import Site, read_site, write_site
from bookbrain.durable import file_lock, write_file
from bookbrain.errors import ConfigError
from bookbrain.server import Layout


@dataclass(frozen=True)
class Machine:
    """The server that is looked after."""

    layout: Layout = field(default_factory=Layout)
    caddy: Caddy = field(default_factory=Caddy)
    systemctl: str = "systemctl"


def change_site(machine: Machine, alter: Callable[[Site | None], Site]) -> bool:
    """Publish what `alter` makes of the site; False when that is what is there already.

    Raises what `alter` raises, and BookBrainError when Caddy does not take it; all is then as it
    was. Cut off in between, the same command makes it whole.
    """
    with file_lock(machine.layout.etc / "site.lock"):
        old = read_site(machine.layout)
        new = alter(old)
        path = piece_file(machine.layout)
        before = path.read_bytes() if path.exists() else None
        piece = site_piece(new, machine.caddy.version()).encode()
        if new == old and piece == before and machine.layout.address.exists():
            return False
        with ExitStack() as refused:
            _write_piece(path, piece)
            refused.callback(_put_back, path, before)
            _load(machine, new)
            refused.pop_all()
        write_site(machine.layout, new)
        return True


def _put_back(path: Path, before: bytes | None) -> None:
    if before is None:
        path.unlink()
    else:
        _write_piece(path, before)


def _load(machine: Machine, site: Site) -> None:
    config = machine.caddy.adapted(machine.layout.caddyfile)
    if site.session not in config:
        raise ConfigError(
            f"{machine.layout.caddyfile} does not import BookBrain's Caddyfile.",
            f"Add this line at its end: import {machine.layout.etc}/Caddyfile",
        )
    machine.caddy.load(config)


def _write_piece(path: Path, piece: bytes) -> None:
    """It holds secrets: for root, and for Caddy where that is another user."""
    path.parent.mkdir(mode=0o750, exist_ok=True)
    write_file(path, piece, 0o640)
    path.chmod(0o640)
    for ours in (path.parent, path):
        with suppress(LookupError, PermissionError):
            shutil.chown(ours, group="caddy")
