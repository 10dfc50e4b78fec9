"""Where an installation on a server keeps its things, as `install.sh --domain …` lays them out."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bookbrain.errors import BusyError, ConfigError

SERVICE_USER = "bookbrain"


@dataclass(frozen=True)
class Layout:
    """The folders of a server below `root`, which is `/` but in tests."""

    root: Path = Path("/")

    @property
    def home(self) -> Path:
        """The library."""
        return self.root / "var/lib/bookbrain"

    @property
    def inbox(self) -> Path:
        """PDFs that land here are added; what cannot be is in its `rejected`, with the reason."""
        return self.home / "inbox"

    @property
    def backups(self) -> Path:
        return self.root / "var/backups/bookbrain"

    @property
    def logs(self) -> Path:
        """What the journal said, a file for each month."""
        return self.root / "var/log/bookbrain"

    @property
    def upgrading(self) -> Path:
        """Root's notes of an upgrade; there until the new release was judged, or undone."""
        return self.root / "opt/bookbrain/upgrading"

    @property
    def etc(self) -> Path:
        return self.root / "etc/bookbrain"

    @property
    def settings(self) -> Path:
        return self.etc / "bookbrain.env"

    @property
    def credentials(self) -> Path:
        """Secrets, each a file that only root reads; systemd hands them to the units."""
        return self.etc / "credentials"

    @property
    def address(self) -> Path:
        """What everybody may know of the site: services have no rights to see the rest."""
        return self.etc / "address.json"

    @property
    def caddyfile(self) -> Path:
        """The Caddyfile of the machine, which imports ours."""
        return self.root / "etc/caddy/Caddyfile"

    @property
    def caddy_socket(self) -> Path:
        """Where the running Caddy is told what to do: in its home, where it can make a socket."""
        return self.root / "var/lib/caddy/admin.sock"

    @property
    def sign_in_socket(self) -> Path:
        """Where it compares passwords, for itself."""
        return self.caddy_socket.with_name("sign-in.sock")


def site_domain(layout: Layout) -> str:
    """The domain under which the server is asked, as it is now; "" where it has none yet."""
    try:
        return str(json.loads(layout.address.read_text(encoding="utf-8"))["domain"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def layout_of(home: Path) -> Layout | None:
    """The server whose library is at `home`."""
    layout = Layout(home.parents[2]) if len(home.parents) > 2 else Layout()
    return layout if home == layout.home else None


def is_upgrading(home: Path) -> bool:
    """Whether `home` is a server's library, and the release that serves it is not judged yet."""
    layout = layout_of(home)
    return layout is not None and layout.upgrading.exists()


def refuse_in_upgrade(home: Path) -> None:
    """Raise BusyError while `is_upgrading`: what is written now could be lost by going back."""
    if is_upgrading(home):
        raise BusyError(
            "An upgrade is under way: nothing can be changed just now.",
            "Try again in a few minutes.",
        )


def with_server_defaults(env: Mapping[str, str], layout: Layout = Layout()) -> dict[str, str]:
    """The environment in which a command works: on a server, for root, the one of its service.

    Raises ConfigError for an ordinary user of a server who has no library: theirs is not meant.
    """
    if env.get("BOOKBRAIN_HOME") or not layout.settings.exists():
        return dict(env)
    if os.geteuid() != 0:
        raise ConfigError("The library of this server belongs to root.", "Run it with sudo.")
    return {
        "BOOKBRAIN_HOME": str(layout.home),
        "BOOKBRAIN_SETTINGS": str(layout.settings),
        "CREDENTIALS_DIRECTORY": str(layout.credentials),
        **{name: value for name, value in env.items() if value},
    }


STAMP_FILE = "library.json"  # in `books` and in `keywords`
