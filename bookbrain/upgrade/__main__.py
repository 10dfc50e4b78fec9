"""`python -m bookbrain.upgrade keep|put-back|forget`: what root's installer has done to the data.

It runs as the user of the service, and imports little: a release that does not work must still be
able to give the data back. Ends as the commands do.
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from bookbrain.errors import BookBrainError
from bookbrain.messages import fill, language, translated
from bookbrain.model import printable
from bookbrain.paths import Layout
from bookbrain.privileges import THIS_MACHINE, become_service_user
from bookbrain.upgrade.rollback import forget, keep, put_back

_TASKS: Mapping[str, Callable[[Path], list[str] | None]] = {
    "keep": keep,
    "put-back": put_back,
    "forget": forget,
}
_USAGE = 2


def main(arguments: Sequence[str], layout: Layout = THIS_MACHINE) -> int:
    """Do one of the tasks; its exit code."""
    if len(arguments) != 1 or arguments[0] not in _TASKS:
        _say(sys.stderr, fill("One of: {tasks}", tasks=", ".join(_TASKS)))
        return _USAGE
    try:
        if os.geteuid() == 0:
            become_service_user(layout)
        said = _TASKS[arguments[0]](layout.home)
    except BookBrainError as error:
        _say(sys.stderr, error.whole)
        return error.exit_code
    except (OSError, sqlite3.Error) as error:
        _say(sys.stderr, fill("The library cannot be written: {error}.", error=error))
        return 1
    for line in said or ():
        _say(sys.stdout, line)
    return 0


def _say(stream: TextIO, text: str) -> None:
    stream.write(printable(translated(text, language(os.environ))) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
