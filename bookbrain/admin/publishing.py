"""A change of the site reaches the files and the running Caddy, or neither."""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bookbrain.admin.admin_option import (
    is_chosen,
    listen_address,
    socket_address,
    with_socket,
)
from bookbrain.admin.caddy import Caddy
from bookbrain.admin.caddyfile import piece_file, site_piece
from bookbrain.admin.site import Site, read_site, write_site
from bookbrain.admin.users import NOBODY
from bookbrain.durable import file_lock, new_file, write_file
from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.server import Layout
from bookbrain.wording import fill


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
    layout, caddy = machine.layout, machine.caddy
    with file_lock(layout.etc / "site.lock"), ExitStack() as refused:
        old = read_site(layout)
        new = alter(old)
        path = piece_file(layout)
        before = path.read_bytes() if path.exists() else None
        piece = site_piece(new, caddy.version(), layout.sign_in_socket).encode()
        _close_admin(machine, refused)
        if piece != before:
            _write_piece(path, piece)
            refused.callback(_put_back, path, before)
        config = _configuration(machine, new)
        known = new == old and piece == before and layout.address.exists()
        if known and caddy.works_by(config):
            return False
        caddy.load(config)
        refused.pop_all()
        write_site(layout, new)
        return True


def _configuration(machine: Machine, site: Site) -> str:
    """The JSON of the machine's Caddyfile; raises ConfigError when our site is not in it."""
    config = machine.caddy.adapted(machine.layout.caddyfile)
    if NOBODY.password not in config or site.domain not in config:
        raise ConfigError(
            fill("{path} does not import BookBrain's Caddyfile.", path=machine.layout.caddyfile),
            fill("Add this line at its end: import {folder}/Caddyfile", folder=machine.layout.etc),
        )
    return config


def _close_admin(machine: Machine, refused: ExitStack) -> None:
    """Have the machine's Caddyfile keep its admin API for root and Caddy, unless it says where
    that is; `refused` takes it back."""
    caddy, socket = machine.caddy, machine.layout.caddy_socket
    path = machine.layout.caddyfile.resolve()
    with suppress(OSError, BookBrainError):  # what is wrong with it is said when all is adapted
        if is_chosen(caddy.adapted(path)):
            return
        before = path.read_bytes()
        text = with_socket(before.decode(errors="surrogateescape"), socket)
        with ExitStack() as useless:
            useless.callback(_replace, path, before)
            _replace(path, text.encode(errors="surrogateescape"))
            # Where its options come from another file, these are options for a second time.
            if listen_address(caddy.adapted(path)) == socket_address(socket):
                refused.push(useless.pop_all())


def _put_back(path: Path, before: bytes | None) -> None:
    if before is None:
        path.unlink()
    else:
        _write_piece(path, before)


def _replace(path: Path, data: bytes) -> None:
    """Another content for a file that stays whose it was."""
    was = path.stat()
    with new_file(path, shared=True) as file:
        os.fchown(file.fileno(), was.st_uid, was.st_gid)
        os.fchmod(file.fileno(), was.st_mode & 0o7777)
        file.write(data)


def _write_piece(path: Path, piece: bytes) -> None:
    """It holds secrets: for root, and for Caddy where that is another user."""
    path.parent.mkdir(mode=0o750, exist_ok=True)
    write_file(path, piece, 0o640)
    path.chmod(0o640)
    for ours in (path.parent, path):
        with suppress(LookupError, PermissionError):
            shutil.chown(ours, group="caddy")
