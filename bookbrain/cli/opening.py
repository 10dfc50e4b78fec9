"""Opening the library for a command; what a crash left unfinished is finished first."""

from collections.abc import Iterator
from contextlib import contextmanager

from bookbrain.cli.progress import shown_progress
from bookbrain.cli.show import say
from bookbrain.config import load_settings
from bookbrain.library import Library


@contextmanager
def open_library(*, finish: bool = True) -> Iterator[Library]:
    """The library of the settings, open until the block ends."""
    with Library(load_settings()) as library:
        if finish and (count := library.unfinished()):
            _finish(library, count)
        waiting, reason = library.waiting()
        if finish and waiting:
            say(
                f"Waiting to be added: {waiting}. {reason} `bookbrain add` without a path goes on.",
                err=True,
            )
        yield library


def _finish(library: Library, count: int) -> None:
    """Like a database after a crash. Ctrl-C puts it off."""
    say(f"Finishing {count} interrupted by a crash (Ctrl-C: later).", err=True)
    try:
        with shown_progress() as progress:
            report = library.finish(progress)
    except KeyboardInterrupt:
        say("Left for later.", err=True)
        return
    for outcome in report.outcomes:
        if outcome.status == "failed":
            say(f"Not added: {outcome.path}: {outcome.reason}. {outcome.hint}", err=True)
