"""Opening the library for a command; what a crash left unfinished is finished first."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bookbrain.cli.progress import shown_progress
from bookbrain.cli.show import say
from bookbrain.config import Settings, load_settings
from bookbrain.errors import BookBrainError
from bookbrain.library import Library
from bookbrain.library.recording import record_outcome
from bookbrain.library.staging import Sources, open_sources
from bookbrain.server import Layout, with_server_defaults
from bookbrain.service_user import THIS_MACHINE, become_service_user, works_for_service


def take_settings(layout: Layout = THIS_MACHINE) -> Settings:
    """The settings, secrets among them; from here on root on a server is the service's user.

    To be called once, after all that only root can read, and before the library is opened.
    """
    settings = load_settings(with_server_defaults(os.environ, layout))
    if works_for_service(os.environ, layout):
        become_service_user(layout)
    return settings


@contextmanager
def sources_of_root(
    paths: Iterable[str | Path], layout: Layout = THIS_MACHINE
) -> Iterator[Sources | None]:
    """The books at the paths, open, where only root may be able to read them; else None."""
    if not works_for_service(os.environ, layout):
        yield None
        return
    with open_sources(paths) as sources:
        yield sources


@contextmanager
def open_library(*, finish: bool = True, layout: Layout = THIS_MACHINE) -> Iterator[Library]:
    """The library of the settings, open until the block ends."""
    with Library(take_settings(layout)) as library:
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
        with shown_progress(record_outcome) as progress:
            report = library.finish(progress)
    except KeyboardInterrupt:
        say("Left for later.", err=True)
        return
    except BookBrainError as error:  # what is asked for may go without
        say(f"Left for later: {error}", err=True)
        return
    for outcome in report.outcomes:
        if outcome.status == "failed":
            say(f"Not added: {outcome.path}: {outcome.reason}. {outcome.hint}", err=True)
