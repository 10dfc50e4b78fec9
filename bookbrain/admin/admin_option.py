"""Who may talk to Caddy while it runs: the option `admin` of the machine's Caddyfile.

Caddy listens on 127.0.0.1:2019 by itself, and whoever has an account here could ask it for
passwords and sessions, or have it do anything. Its socket only root and Caddy itself can open.
"""

import json
from pathlib import Path

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
    first = next((n for n, line in enumerate(lines) if _says_something(line)), len(lines))
    if first < len(lines) and lines[first].split("#")[0].strip("\ufeff \t\r\n") == "{":
        lines.insert(first + 1, option)
    else:
        lines.insert(first, _BLOCK.format(option))
    return "".join(lines)


def _says_something(line: str) -> bool:
    return not line.strip("\ufeff \t\r\n").startswith("#") and bool(line.strip("\ufeff \t\r\n"))
