"""The status of a server on one screen: a line for each thing, no wider than 80 columns."""

from collections.abc import Sequence

from bookbrain.admin.backup_age import check_backup
from bookbrain.admin.check import Check, State
from bookbrain.admin.doctor.network import check_certificate
from bookbrain.admin.resources import check_disk, check_memory
from bookbrain.admin.status import Meaning, Shelf, Status
from bookbrain.admin.units import Unit
from bookbrain.wording import fill

_MOST_DISKS = 3


def summarize(status: Status) -> list[Check]:
    """What is wrong is FAIL."""
    checks = [Check("version", State.OK, status.version)]
    checks += [_service(unit) for unit in status.units if not unit.is_timer]
    checks += _timers([unit for unit in status.units if unit.is_timer])
    checks += _library(status.shelf, status.library_trouble)
    if status.damage:
        checks.append(_short(status.damage))
    if status.meaning:
        checks.append(_meaning(status.meaning))
    checks += _site(status)
    checks.append(_guessing(status.banned))
    checks += [_short(check_disk(disk)) for disk in status.disks[:_MOST_DISKS]]
    checks.append(_short(check_memory(status.memory)))
    checks.append(_short(check_backup(status.backups, None, status.now)))
    return checks


def _service(unit: Unit) -> Check:
    state = State.OK if unit.runs else State.FAIL
    name = unit.title.removeprefix("bookbrain-")
    if unit.since is None:
        return Check("service", state, fill("{unit}: {state}", unit=name, state=unit.state))
    since = f"{unit.since:%Y-%m-%d %H:%M}"
    if unit.restarts:
        return Check(
            "service",
            state,
            fill(
                "{unit}: {state} since {since}, restarts: {count}",
                unit=name,
                state=unit.state,
                since=since,
                count=unit.restarts,
            ),
        )
    return Check(
        "service",
        state,
        fill("{unit}: {state} since {since}", unit=name, state=unit.state, since=since),
    )


def _timers(units: Sequence[Unit]) -> list[Check]:
    """One line for those that wait for their hour, and one for the others."""
    lines = []
    for state, chosen in (
        (State.OK, [unit for unit in units if unit.runs]),
        (State.FAIL, [unit for unit in units if not unit.runs]),
    ):
        names = ", ".join(
            unit.name.removeprefix("bookbrain-").removesuffix(".timer") for unit in chosen
        )
        if names and state is State.OK:
            lines.append(Check("timer", state, fill("active: {names}", names=names)))
        elif names:
            lines.append(Check("timer", state, fill("not active: {names}", names=names)))
    return lines


def _library(shelf: Shelf | None, trouble: str) -> list[Check]:
    if shelf is None:
        return [Check("library", State.FAIL, trouble)]
    waits = shelf.unfinished + shelf.waiting
    return [
        Check(
            "library",
            State.OK,
            fill(
                "books: {books}, pages: {pages}, passages: {passages}",
                books=shelf.books,
                pages=shelf.pages,
                passages=shelf.passages,
            ),
        ),
        Check(
            "inbox",
            State.FAIL if waits else State.WARN if shelf.rejected else State.OK,
            fill(
                "unfinished: {unfinished}, waiting: {waiting}, "
                "arriving: {arriving}, rejected: {rejected}",
                unfinished=shelf.unfinished,
                waiting=shelf.waiting,
                arriving=shelf.arriving,
                rejected=shelf.rejected,
            ),
        ),
    ]


def _meaning(meaning: Meaning) -> Check:
    if meaning.chroma is False:
        return Check("meaning", State.FAIL, "Chroma does not answer: search is by keyword only")
    if not meaning.enabled:
        return Check("meaning", State.OK, "off, for there is no key")
    if meaning.chroma is None:
        return Check("meaning", State.OK, meaning.model)
    return Check("meaning", State.OK, fill("{model}; Chroma answers", model=meaning.model))


def _site(status: Status) -> list[Check]:
    if status.site is None:
        return [Check("site", State.FAIL, status.site_trouble)]
    checks = [Check("site", State.OK, status.site.url)]
    return [*checks, _short(check_certificate(status.site, status.certificate, status.now, ""))]


def _guessing(banned: Sequence[str] | None) -> Check:
    if banned is None:
        return Check("guessing", State.WARN, "not refused: fail2ban does not watch")
    return Check(
        "guessing",
        State.OK,
        fill("addresses that fail2ban refuses now: {count}", count=len(banned)),
    )


def _short(check: Check) -> Check:
    """The remedy is the business of the doctor."""
    return check._replace(remedy="")
