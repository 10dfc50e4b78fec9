"""Somebody who has a key: a backup is encrypted for him."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pytest

OWNER = "me@example.org"


@contextmanager
def gpg_key() -> Iterator[dict[str, str]]:
    """His environment, until the block ends."""
    if not shutil.which("gpg"):
        pytest.skip("no gpg here: apt-get install gpg")
    with TemporaryDirectory() as folder:  # with a name that is short enough for its socket
        env = {"PATH": "/usr/bin:/bin", "GNUPGHOME": folder}
        subprocess.run(
            ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", OWNER, "default", "default",
             "never"], env=env, check=True, capture_output=True,
        )  # fmt: skip
        yield {"GNUPGHOME": folder}
        subprocess.run(["gpgconf", "--kill", "all"], env=env, check=True, capture_output=True)
