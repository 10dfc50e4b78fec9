"""`bookbrain mcp`."""

import sys

import click

from bookbrain.cli.command import Command
from bookbrain.cli.terminal import note
from bookbrain.privileges import become_service


@click.command("mcp", cls=Command)
def serve_agent() -> None:
    """Let an editor or an agent ask your books, by MCP on stdin and stdout. It only reads.

    Programs start it, people do not. `claude mcp add bookbrain -- bookbrain mcp` tells Claude Code
    of it; Cursor, VS Code and others have a file for it, as the README says.

    Its tools: `search`, `read_pages`, `outline`, `books`, and `ask` where BOOKBRAIN_CHAT_MODEL is
    set. The app has the same at `/mcp` for programs on other machines.
    """
    settings = become_service()
    if sys.stdin.isatty():
        note("It waits for a program on stdin, not for a person; Ctrl-C ends it.")
    from bookbrain.web.agent_tools import make_server  # noqa: PLC0415  (loads slowly)
    from bookbrain.web.shelf import Shelf  # noqa: PLC0415

    shelf = Shelf(settings, most=2)
    try:
        make_server(shelf).run()
    finally:
        shelf.close()
