"""Opening the library for a command, which hears of what a crash left unfinished."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bookbrain.cli.show import say
from bookbrain.config import Settings, load_settings
from bookbrain.library import Library
from bookbrain.library.staging import Sources, open_sources
from bookbrain.server import Layout, is_upgrading, with_server_defaults
from bookbrain.service_user import THIS_MACHINE, become_service_user, works_for_service
from bookbrain.wording import fill, message_of


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
def open_library(*, tell: bool = True, layout: Layout = THIS_MACHINE) -> Iterator[Library]:
    """The library of the settings, open until the block ends; `tell` of what waits to be added."""
    settings = take_settings(layout)
    with Library(settings) as library:
        if tell and not is_upgrading(settings.home):
            _tell_what_waits(library)
        yield library


def _tell_what_waits(library: Library) -> None:
    """In one line; the work is that of `add`, of the inbox and of `serve`, of nobody else."""
    waiting, reason = library.waiting()
    if waiting:
        say(
            fill(
                "Waiting to be added: {books}. {reason} `bookbrain add` without a path goes on.",
                books=waiting,
                reason=message_of(reason),
            ),
            err=True,
        )
    elif count := library.unfinished():
        say(
            fill(
                "Interrupted before they were added: {books}. "
                "`bookbrain add` without a path goes on.",
                books=count,
            ),
            err=True,
        )
