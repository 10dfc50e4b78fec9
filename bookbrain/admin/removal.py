"""The program takes itself off the server: what removes it is a copy that it leaves behind."""

import os
import shutil
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from bookbrain.children import run_in_terminal
from bookbrain.errors import ConfigError

_INSTALLER = "install.sh"


def find_installation() -> Path:
    """The folder with the installer of the release in use; ConfigError in a checkout."""
    folder = Path(str(files("bookbrain") / "installation"))
    if not (folder / _INSTALLER).is_file():
        raise ConfigError(
            "This BookBrain runs from a clone, which has the installer beside it.",
            "Run it there: sudo ./install.sh --uninstall",
        )
    return folder


def remove_program(installation: Path, *, purge: bool) -> int:
    """Run the removal of a copy of `installation` in the terminal; its exit code.

    Afterwards the files of this very program are gone: nothing new can be imported.
    """
    with TemporaryDirectory(prefix="bookbrain-") as folder:
        copy = Path(folder) / "installation"
        shutil.copytree(installation, copy)
        options = ["--uninstall", *(["--purge"] if purge else [])]
        # What is purged was asked for here, and not by a variable that is left over from earlier.
        env = {**os.environ, "BOOKBRAIN_UNPACKED": "1", "BOOKBRAIN_PURGE": ""}
        return run_in_terminal(["bash", str(copy / _INSTALLER), *options], env)
