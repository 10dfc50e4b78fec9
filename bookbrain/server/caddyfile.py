"""The generated piece of the Caddyfile, by the template `site.caddy`; see also `Caddyfile`.

Caddy listens on 127.0.0.1:2019 by itself, and whoever has an account here could ask it for
passwords and sessions, or have it do anything. Its socket only root and Caddy itself can open.
Caddy 2.6 has no variable for that, so it is a line in the machine's Caddyfile.

Names that the piece and the `Caddyfile` share stay: a `Caddyfile` that its owner edited meets the
pieces of later releases.

The cookie goes first and costs nothing. Without it passwords are compared one at a time, over the
one connection to a socket of Caddy's own; who hangs up meanwhile has tried one too, and that
comparison goes on beside the next. `flush_interval -1` would wait for it, but Caddy 2.6 dies of
that in a reload. `stream_close_delay` bounds how long a stream outlives a change; 2.6 ends it at
once.
"""

import json
import re
from pathlib import Path
from string import Template

from bookbrain.server.access import (
    NOBODY,
    Site,
    credentials_pattern,
    encoded_nobody,
    sessions_pattern,
)

_OPTION = "\tadmin {} # BookBrain: for nobody but root and Caddy\n"
_BLOCK = "{{\n{}}}\n\n"
PACKAGED = "localhost:2019"


def listen_address(config: str) -> str:
    """Where Caddy of this configuration (JSON) is talked to; "" where it is not to be."""
    admin = json.loads(config).get("admin") or {}
    return "" if admin.get("disabled") else str(admin.get("listen") or PACKAGED)


def socket_address(socket: Path) -> str:
    return "unix/" + str(socket)


def is_chosen(config: str) -> bool:
    """Whether the Caddyfile that this was made of (JSON) has an option `admin`."""
    return bool((json.loads(config).get("admin") or {}).keys() - {"config"})


def with_socket(text: str, socket: Path) -> str:
    """A Caddyfile without the option `admin`, with it: among its options, or before all."""
    option = _OPTION.format(socket_address(socket))
    lines = text.splitlines(keepends=True)
    said = [line.split("#")[0].strip("\ufeff \t\r\n") for line in lines]
    first = next((n for n, words in enumerate(said) if words), len(lines))
    if first < len(lines) and said[first] == "{":
        lines.insert(first + 1, option)
    else:
        lines.insert(first, _BLOCK.format(option))
    return "".join(lines)


Version = tuple[int, int]
_PIECE = Path(__file__).with_name("site.caddy")  # a template: $name, and $$ for a dollar
_STREAMS = "\n\tstream_close_delay 5s"  # who may not come in any more is out then
_USER = "\n\t\t{name} {password}"
_COOKIE = "\n\t\t~^{name}$ {session}"  # without ~ a user could not be called default
_OTHER_CA = " {{{lines}\n\t}}"
_CA = "\n\t\tca {}"
_CA_ROOT = "\n\t\tca_root {}"


def site_piece(site: Site, version: Version, socket: Path) -> str:
    """The piece for Caddy of this version, which compares passwords at `socket`.

    2.7 brought WebSockets that outlive a reload, 2.8 renamed `basicauth`.
    """
    users = (_USER.format(name=user.name, password=user.password) for user in (*site.users, NOBODY))
    cookies = (
        _COOKIE.format(name=re.escape(user.name), session=user.session) for user in site.users
    )
    return Template(_PIECE.read_text(encoding="utf-8")).substitute(
        domain=site.domain,
        tls=_tls(site),
        upstream=site.upstream,
        streams=_STREAMS if version >= (2, 7) else "",
        sessions=sessions_pattern(site.users),
        cookies="".join(cookies),
        nobody=encoded_nobody(),
        credentials=credentials_pattern(site.users),
        socket=socket_address(socket),
        basic_auth="basic_auth" if version >= (2, 8) else "basicauth",
        users="".join(users),
    )


def _tls(site: Site) -> str:
    if not site.acme:
        return "internal"
    told = ((_CA, site.acme_directory), (_CA_ROOT, site.acme_root))
    lines = "".join(line.format(value) for line, value in told if value)
    return site.email + (_OTHER_CA.format(lines=lines) if lines else "")
