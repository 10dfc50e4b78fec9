"""Caddy, the program and the running server."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from bookbrain.admin.caddyfile import Version
from bookbrain.children import Ended, describe_exit, run_program
from bookbrain.errors import BookBrainError, UnavailableError

_SECONDS = 30
_NEWEST = (2, 99)
_LABEL = "Error: "
_UNCHANGED = "The site is as it was. Mend what Caddy names and run this again."


@dataclass(frozen=True)
class Caddy:
    """`admin` is the address of its admin API."""

    admin: str = "http://127.0.0.1:2019"
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

        Raises UnavailableError when it does not answer.
        """
        from caddy_api_client import CaddyAPIClient  # noqa: PLC0415  # only a server has it

        client = CaddyAPIClient(self.admin)
        try:
            client._make_request("POST", "/load", json.loads(config))
        except Exception as error:  # nothing more exact is raised; requests' own is behind it
            response = getattr(error.__context__, "response", None)
            if response is None:
                raise UnavailableError(
                    f"Caddy does not answer at {self.admin}.",
                    "Start it: sudo systemctl start caddy",
                ) from error
            raise _refusal(_reason(response.text)) from error

    def _run(self, *args: str) -> Ended:
        try:
            return run_program([self.program, *args], timeout=_SECONDS)
        except FileNotFoundError as error:
            raise UnavailableError(
                "Caddy is not installed.", "Install it: sudo apt-get install caddy"
            ) from error


def _refusal(reason: str) -> BookBrainError:
    return BookBrainError(f"Caddy refuses this: {reason}", _UNCHANGED)


def _reason(body: str) -> str:
    """Of an answer {"error": "…"}."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body
