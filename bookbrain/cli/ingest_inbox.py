"""`bookbrain ingest-inbox`: what the service of the inbox runs.

On a server systemd starts it, when `bookbrain-ingest.path` sees a file; elsewhere the web app does,
as a child of its own (`web/shelf.py`).
"""

import click

from bookbrain.cli.command import Command, ending_in_order, fail, open_library
from bookbrain.library import ingest
from bookbrain.log import log_work


@click.command("ingest-inbox", cls=Command, hidden=True)
def ingest_inbox() -> None:
    """Add the books of the inbox, until none is left; for the service of the inbox.

    What cannot be added is moved to the folder `rejected` in it, with the reason. Where the
    embedding endpoint or Chroma does not answer, what was begun stays, and the next run goes on.

    On a server `journalctl -u bookbrain-ingest -f` shows what it does; what waits, and what was
    moved, is also told by `bookbrain books` and by the page of the books in the browser.
    """
    log_work()
    # systemd ends it by SIGTERM: it stops after the step at hand, and says nothing of what waits,
    # for what it finds waiting is its own work.
    with ending_in_order(), open_library(tell=False) as library:
        stopped = ingest(library)
    if stopped:
        fail(stopped)
