"""Tokens that open `/mcp` to an editor or an agent in place of a password, and nothing else.

Only their digests are kept: nobody guesses 256 random bits, so a plain SHA-256 tells nothing. Root
writes the file; the app reads it anew for each request, so that a change needs no restart.
"""

import grp
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bookbrain.errors import ConfigError, InputError
from bookbrain.files import file_lock, new_file
from bookbrain.messages import fill
from bookbrain.paths import SERVICE_USER, Layout

_PREFIX = "bookbrain_"  # by which those who look for leaked secrets know it
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MODE = 0o640


@dataclass(frozen=True)
class AgentToken:
    """`digest` is the SHA-256 of the token, in hex; `added` a day (UTC)."""

    name: str
    digest: str = field(repr=False)
    added: str


def read_tokens(layout: Layout) -> list[AgentToken]:
    """In the order in which they were added. Raises ConfigError for a file that is not ours."""
    path = layout.agent_tokens
    try:
        tokens = [AgentToken(**entry) for entry in json.loads(path.read_bytes())["tokens"]]
        if not all(_DIGEST.fullmatch(token.digest) for token in tokens):
            raise ValueError("a digest is none")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigError(
            fill("{path} cannot be read: {reason}.", path=path, reason=error), "Mend or remove it."
        ) from error
    return tokens


def add_token(layout: Layout, name: str) -> str:
    """A new token of this name, which nobody can be told again.

    Raises InputError for a name that cannot be, or that there is.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            fill("{name} cannot be the name of a token.", name=name),
            "Use letters, digits and the signs . _ @ - only.",
        )
    token = _PREFIX + secrets.token_urlsafe(32)
    with file_lock(_lock(layout)):
        tokens = read_tokens(layout)
        if any(known.name == name for known in tokens):
            raise InputError(
                fill("There is a token {name} already.", name=name),
                fill("For another one: sudo bookbrain-admin tokens remove {name}", name=name),
            )
        added = AgentToken(name, _digest(token), f"{datetime.now(UTC):%Y-%m-%d}")
        _write(layout, [*tokens, added])
    return token


def remove_token(layout: Layout, name: str) -> None:
    """Take a token away; raises InputError where there is no such one."""
    with file_lock(_lock(layout)):
        tokens = read_tokens(layout)
        others = [token for token in tokens if token.name != name]
        if len(others) == len(tokens):
            raise InputError(
                fill("There is no token {name}.", name=name),
                "`sudo bookbrain-admin tokens list` lists them.",
            )
        _write(layout, others)


def is_valid(layout: Layout, token: str) -> bool:
    """Whether this is one of the tokens, in a time that does not tell how much of it is right.

    Raises ConfigError where they cannot be read.
    """
    given = _digest(token)
    return any([hmac.compare_digest(given, known.digest) for known in read_tokens(layout)])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _lock(layout: Layout) -> Path:
    return layout.etc / "tokens.lock"


def _write(layout: Layout, tokens: Sequence[AgentToken]) -> None:
    """For root and the app's group alone; a crash leaves the old tokens or the new ones."""
    text = json.dumps({"tokens": [asdict(token) for token in tokens]}, indent=2) + "\n"
    with new_file(layout.agent_tokens, _MODE) as file:
        with suppress(LookupError, PermissionError):
            os.fchown(file.fileno(), -1, grp.getgrnam(SERVICE_USER).gr_gid)
        os.fchmod(file.fileno(), _MODE)
        file.write(text.encode())
