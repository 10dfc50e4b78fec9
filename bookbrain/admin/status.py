"""`bookbrain-admin status`: how a server is, on one screen of 80 columns."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from bookbrain import __version__
from bookbrain.admin.options import (
    check_root,
    end_with,
    has_failed,
    json_object_option,
    pass_machine,
    show_checks,
)
from bookbrain.backup.archives import list_backups
from bookbrain.checks import Door
from bookbrain.checks.checklist import Server, check_server_becoming_service, server_of
from bookbrain.checks.condition import LibraryCounts, count_books, disks_of, memory_now
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import print_json, say
from bookbrain.library import Library
from bookbrain.model import to_json
from bookbrain.reports import Check
from bookbrain.server.caddy import Machine
from bookbrain.server.probes import chroma_answers
from bookbrain.settings import Settings


@click.command(cls=Command)
@json_object_option
@pass_machine
def status(machine: Machine, as_json: bool) -> None:
    """Show how this server is, on one screen; ends with 1 when something is wrong."""
    check_root(machine)
    server = server_of(machine)
    checks, settings = check_server_becoming_service(server, Door.STATUS)
    if as_json:
        print_json(to_json(_as_object(server, settings, checks)))
    else:
        show_status(checks)
        if has_failed(checks):
            say("What to do about it: sudo bookbrain-admin doctor")
    end_with(checks)


def show_status(checks: Sequence[Check]) -> None:
    """Without what is to be done: that is the business of the doctor."""
    show_checks([Check.ok("version", __version__), *(replace(c, remedy="") for c in checks)])


def _as_object(
    server: Server, settings: Settings | None, checks: Sequence[Check]
) -> dict[str, Any]:
    """Without the secrets of the site. What is None could not be found out, or is not there."""
    site, layout = server.site, server.layout
    trouble = next((c for c in checks if c.name == "library" and not c.is_ok), None)
    return {
        "version": __version__,
        "now": datetime.now(UTC),
        "units": server.units,
        "site": {"url": site.url, "acme": site.acme} if site else None,
        "certificate": server.certificate,
        "disks": disks_of(layout.home),
        "memory": memory_now(),
        "backups": list_backups(layout.backups) if settings else [],
        "banned": server.banned,
        "shelf": _shelf(settings) if settings and not trouble else None,
        "meaning": _meaning(settings) if settings else None,
        "damage": next((check for check in checks if check.name == "check"), None),
        "site_trouble": server.trouble.whole if server.trouble else "",
        "library_trouble": f"{trouble.seen} {trouble.remedy}".rstrip() if trouble else "",
        "ok": not has_failed(checks),
    }


def _shelf(settings: Settings) -> LibraryCounts:
    with Library(settings) as library:
        return count_books(library)


def _meaning(settings: Settings) -> dict[str, Any]:
    """Whether it is set up; `chroma` is None where the library starts one when it needs it."""
    url, embedding = settings.chroma.url, settings.embedding
    answers = chroma_answers(url) if url else None
    return {"model": embedding.model, "enabled": embedding.enabled, "chroma": answers}
