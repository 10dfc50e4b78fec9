"""Caddy, the program and the running server."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from bookbrain.admin.admin_option import PACKAGED, listen_address
from bookbrain.admin.caddyfile import Version
from bookbrain.children import Ended, describe_exit, run_program
from bookbrain.errors import BookBrainError, ConfigError, UnavailableError
from bookbrain.wording import fill

_SECONDS = 30
_NEWEST = (2, 99)
_LABEL = "Error: "
_UNCHANGED = "The site is as it was. Mend what Caddy names and run this again."


@dataclass(frozen=True)
class Caddy:
    """Where the running one listens to us is said by its configuration."""

    program: str = "caddy"

    def version(self) -> Version:
        """Of the program; a build that does not say counts as new."""
        found = re.search(r"(\d+)\.(\d+)\.", self._run("version").stdout)
        return (int(found[1]), int(found[2])) if found else _NEWEST

    def adapted(self, caddyfile: Path) -> str:
        """The JSON of a Caddyfile; raises BookBrainError with what Caddy finds wrong in it."""
        ended = self._run("adapt", "--adapter", "caddyfile", "--config", str(caddyfile))
        if ended.code:
            lines = ended.stderr.strip().splitlines() or [describe_exit(ended.code)]
            raise _refusal(lines[-1].removeprefix(_LABEL))
        return ended.stdout

    def load(self, config: str) -> None:
        """Let the running server work by `config`, or go on as before and raise BookBrainError.

        It is looked for where `config` has it listen, then where Caddy listens by itself: it may
        not have heard of that yet. Raises UnavailableError when it does not answer.
        """
        from bookbrain.admin.caddy_client import send  # noqa: PLC0415  # only a server has it

        listen = listen_address(config)
        if not listen:
            raise ConfigError(
                "Caddy takes no changes while it runs: `admin off` is among its options.",
                "Take that out of /etc/caddy/Caddyfile, then: sudo systemctl restart caddy",
            )
        for address in dict.fromkeys((listen, PACKAGED)):
            refused = send(address, json.loads(config))
            if refused == "":
                return
            if refused is not None:
                raise _refusal(refused)
        raise UnavailableError(
            fill("Caddy does not answer at {url}.", url=listen),
            "Start it: sudo systemctl restart caddy",
        )

    def works_by(self, config: str) -> bool:
        """Whether the running server does."""
        from bookbrain.admin.caddy_client import read  # noqa: PLC0415  # only a server has it

        listen = listen_address(config)
        return bool(listen) and read(listen) == json.loads(config)

    def _run(self, *args: str) -> Ended:
        try:
            return run_program([self.program, *args], timeout=_SECONDS)
        except FileNotFoundError as error:
            raise UnavailableError(
                "Caddy is not installed.", "Install it: sudo apt-get install caddy"
            ) from error


def _refusal(reason: str) -> BookBrainError:
    return BookBrainError(fill("Caddy refuses this: {reason}", reason=reason), _UNCHANGED)
