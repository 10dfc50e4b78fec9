"""`bookbrain-admin check`."""

from dataclasses import asdict

import click

from bookbrain.admin.options import json_object_option, pass_machine, work_quietly
from bookbrain.backup.archives import clear_words
from bookbrain.backup.repair import Repaired, repair_library, sweep_repair
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import print_json, say, shown, shown_bytes
from bookbrain.errors import BookBrainError
from bookbrain.messages import fill
from bookbrain.model import bill, to_json
from bookbrain.paths import Layout
from bookbrain.privileges import become_service
from bookbrain.server.caddy import Machine
from bookbrain.settings import Settings
from bookbrain.store.damage import AuditOutcome, check_library


@click.command("check", cls=Command)
@click.option("--repair", is_flag=True, help="Mend what can be mended; a cost is shown first.")
@click.option("--yes", is_flag=True, help="Do not ask before spending.")
@json_object_option
@pass_machine
def check_command(machine: Machine, repair: bool, yes: bool, as_json: bool) -> None:
    """Read every byte of the library, and compare it with what was kept of it.

    Interrupted, by anything, it goes on where it stopped. Searches go on meanwhile. With --repair
    damage is mended from the newest good backup, from the books' own files, or by buying embeddings
    again, and what is lost is named. Ends with 1 where something is damaged.
    """
    work_quietly()
    settings = become_service(machine.layout)
    with shown_bytes() as bar, clear_words():
        state = check_library(settings.home, lambda *at: bar.bytes("checking", *at))
    outcome = state.last
    assert outcome  # noqa: S101  (it came to its end)
    mended: tuple[str, ...] = ()
    if repair and outcome.damage:
        _show(outcome, as_json)
        repaired = _repair(settings, outcome, machine.layout, yes)
        outcome, mended = repaired.outcome, repaired.mended
    elif repair:
        sweep_repair(settings.home)
    if as_json:
        print_json(to_json({**asdict(outcome), "mended": mended}))
    else:
        _show(outcome, as_json)
    if repair and outcome.damage:
        raise _lost(outcome)
    if outcome.damage:
        raise click.exceptions.Exit(1)


def _repair(settings: Settings, outcome: AuditOutcome, layout: Layout, yes: bool) -> Repaired:
    def agree(books: int, tokens: int) -> bool:
        said = bill(tokens, settings.embedding.dollars_per_million_tokens, about=True)
        say("Embeddings to buy again: books {books}, {said}.", books=books, said=said)
        return yes or click.confirm(shown("Buy them?"))

    with shown_bytes() as bar:
        repaired = repair_library(settings, outcome, layout, agree, bar.bytes, bar)
    for backup in repaired.skipped:
        say(backup, err=True)
    for path in repaired.aside:
        say("The damaged database is kept, and can be deleted: {path}", path=path, err=True)
    for name in repaired.mended:
        say("Mended: {name}", name=name)
    return repaired


def _lost(outcome: AuditOutcome) -> BookBrainError:
    """What no backup had and no file says, by its books, or by its files where it is of none."""
    names = {d.book or d.file: f"{d.title} ({d.book[:12]})" if d.book else d.file
             for d in outcome.damage}  # fmt: skip
    return BookBrainError(
        fill("This could not be mended: {names}.", names=", ".join(names.values())),
        "Add the PDFs of these books again, bring them back from another backup "
        "(`bookbrain-admin restore FILE --book ID`), or give them up: `bookbrain remove ID`",
    )


def _show(outcome: AuditOutcome, as_json: bool) -> None:
    for damage in outcome.damage:
        say("damaged  {what}", what=damage.sentence, fg="red", err=True)
    if not outcome.damage and not as_json:
        say("Files checked: {files}. All are as they were written.", files=outcome.files)
