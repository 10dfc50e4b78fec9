"""`bookbrain serve`."""

import os

import click

from bookbrain.cli.command import Command
from bookbrain.cli.terminal import say
from bookbrain.log import is_journal, log_work
from bookbrain.privileges import become_service


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True,
              help="The address to listen on.")  # fmt: skip
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True,
              help="The port to listen on.")  # fmt: skip
def serve(host: str, port: int) -> None:
    """Serve the web app until Ctrl-C: search in a browser.

    It asks for no password: whoever reaches the port can read the books. So keep it on 127.0.0.1,
    behind a server that asks for one.

    It answers under its own names only: those of this machine, and the one that `--host` gives;
    with 0.0.0.0 or :: any address. The setting BOOKBRAIN_ALLOWED_HOSTS adds others.

    Programs ask `/api/search?q=…&k=10&mode=hybrid&book=ID` and `/api/books`; the answers are those
    of `bookbrain search --json` and `bookbrain books --json`. `/healthz` says in one word how the
    app is: `ok`, `degraded` or `down`.
    """
    settings = become_service()
    if is_journal(os.environ):
        log_work()
    from bookbrain.web.server import serve as serve_app  # noqa: PLC0415  (loads slowly)

    def on_ready(url: str) -> None:
        if "NOTIFY_SOCKET" not in os.environ:
            say("BookBrain is at {url} (Ctrl-C ends it).", url=url)

    serve_app(settings, host, port, on_ready)
