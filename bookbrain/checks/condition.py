"""The library and the machine that it is on: each is looked at, and judged.

What the System page, the health check, the doctor and the status ask of it is in `checklist.py`.
Needs no root, and nothing that only a server has.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bookbrain.backup.archives import Backup, list_backups
from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.library import Expected, Library, arrivals, rejections
from bookbrain.messages import fill
from bookbrain.paths import LibraryPaths, layout_of
from bookbrain.reports import Check, State
from bookbrain.server.probes import chroma_answers, output_of, text_of

_LITTLE, _SOME = 1e9, 5e9  # bytes of disk
_LITTLE_MEMORY = 200e6  # bytes; to read a PDF takes about as much
_MEMORY = Path("/proc/meminfo")


@dataclass(frozen=True)
class Space:
    """Bytes: of the disk that `path` is on, or of memory."""

    path: str
    free: int
    total: int


def disks_of(home: Path) -> tuple[Space, ...]:
    """The disks that the library in `home` needs; on a server those of its backups and programs
    too."""
    layout = layout_of(home)
    return look_at_disks([home, layout.backups, layout.top] if layout else [home])


def look_at_disks(paths: Iterable[Path]) -> tuple[Space, ...]:
    """One for each disk, by the first path that is on it."""
    disks: dict[int, Space] = {}
    for path in paths:
        if path.exists() and (device := path.stat().st_dev) not in disks:
            usage = shutil.disk_usage(path)
            disks[device] = Space(str(path), usage.free, usage.total)
    return tuple(disks.values())


def memory_now() -> Space:
    return read_memory(text_of(_MEMORY))


def read_memory(text: str) -> Space:
    """Of /proc/meminfo; swap counts."""
    kb = {
        name: int(value.split()[0])
        for name, _, value in (line.partition(":") for line in text.splitlines())
        if value.split()[:1] and value.split()[0].isdigit()
    }
    free = kb.get("MemAvailable", 0) + kb.get("SwapFree", 0)
    return Space("", free * 1024, (kb.get("MemTotal", 0) + kb.get("SwapTotal", 0)) * 1024)


def check_disk(disk: Space) -> Check:
    state = State.FAIL if disk.free < _LITTLE else State.WARN if disk.free < _SOME else State.OK
    free, total = disk.free / 1e9, disk.total / 1e9
    seen = "{free:.1f} GB free of {total:.1f} GB at {path}"
    remedy = "Make room: sudo apt-get clean; sudo journalctl --vacuum-size=100M"
    return Check(
        "disk",
        state,
        fill(seen, free=free, total=total, path=disk.path),
        "" if state is State.OK else remedy,
        disk.path,
    )


def check_memory(memory: Space) -> Check:
    free, total = memory.free / 1e9, memory.total / 1e9
    seen = fill("{free:.1f} GB free of {total:.1f} GB, swap counted", free=free, total=total)
    if memory.free < _LITTLE_MEMORY:
        return Check.warn("memory", seen, "Add swap, or stop what else runs here: systemctl status")
    return Check.ok("memory", seen)


def clock_now() -> str:
    return output_of("timedatectl", "show", "-p", "NTPSynchronized") or ""


def check_clock(text: str) -> Iterator[Check]:
    """`text` is what `timedatectl show -p NTPSynchronized` prints."""
    if "NTPSynchronized=yes" in text:
        yield Check.ok("clock", "set by the network")
    elif "NTPSynchronized=no" in text:
        seen = "Nobody sets the clock; certificates and logins depend on it."
        yield Check.warn("clock", seen, "sudo timedatectl set-ntp true")


# Backups

_LONG = timedelta(days=8)  # a week, and a day for a timer that was late


def check_backups(folder: Path, begun: datetime | None) -> Iterator[Check]:
    """Nothing where the folder is not for the eyes of who asks."""
    try:
        yield check_backup(list_backups(folder), begun, datetime.now(UTC))
    except OSError:
        return


def check_backup(found: Sequence[Backup], begun: datetime | None, now: datetime) -> Check:
    """`found` is newest first; what is damaged, or made later than now, is no backup. `begun` is
    when the library was; None where that is not known, or it is empty."""
    made = [backup for backup in found if backup.made <= now]
    sound = next((backup for backup in made if backup.is_sound), None)
    damaged = next((backup for backup in made if backup.damaged), None)
    if damaged and (sound is None or damaged.made > sound.made):
        return Check.warn(
            "backup",
            fill("The library was damaged at the last backup: {file}", file=damaged.file),
            "See what is damaged: sudo bookbrain-admin backup; then restore a sound backup.",
        )
    seen, age = fill("none yet"), now - begun if begun else timedelta()
    if sound:
        age = now - sound.made
        seen = fill("{file}, {hours} hours old", file=sound.file, hours=age.seconds // 3600)
    if sound and age.days:
        seen = fill("{file}, {days} days old", file=sound.file, days=age.days)
    if age > _LONG:
        remedy = "systemctl status bookbrain-backup.timer; then: sudo bookbrain-admin backup"
        return Check.warn("backup", seen, remedy)
    return Check.ok("backup", seen)


# The library


@dataclass(frozen=True)
class LibraryCounts:
    """What the library has; `unfinished`, `waiting`, `arriving` and `rejected` count books."""

    books: int
    pages: int
    passages: int
    unfinished: int
    waiting: int
    arriving: int
    rejected: int


def count_books(library: Library) -> LibraryCounts:
    inbox = LibraryPaths(library.settings.home).inbox
    return LibraryCounts(
        **asdict(Expected.of(library.books())),
        unfinished=library.unfinished(),
        waiting=library.waiting()[0],
        arriving=len(arrivals(inbox)),
        rejected=len(rejections(inbox)),
    )


def check_books(library: Library) -> Iterator[Check]:
    """How many there are, or what keeps some of them out."""
    waiting, reason = library.waiting()
    if unfinished := library.unfinished():
        seen = fill("Books left unfinished: {books}.", books=unfinished)
        remedy = "Run `bookbrain add`; on a server: sudo systemctl restart bookbrain-ingest"
        yield Check.warn("library", seen, remedy)
    elif waiting:
        seen = fill("Books that wait: {books}. {reason}", books=waiting, reason=reason)
        yield Check.warn("library", seen)
    else:
        yield check_counts(count_books(library))


def check_counted(library: Library) -> Iterator[Check]:
    """In numbers, those that are on their way too."""
    counts = count_books(library)
    yield from (check_counts(counts), check_inbox(counts))


def check_counts(counts: LibraryCounts) -> Check:
    seen = fill("books: {books}, pages: {pages}, passages: {passages}", **asdict(counts))
    return Check.ok("library", seen)


def check_inbox(counts: LibraryCounts) -> Check:
    waits = counts.unfinished + counts.waiting
    state = State.FAIL if waits else State.WARN if counts.rejected else State.OK
    seen = fill(
        "unfinished: {unfinished}, waiting: {waiting}, arriving: {arriving}, rejected: {rejected}",
        **asdict(counts),
    )
    return Check("inbox", state, seen)


def check_search(library: Library) -> Iterator[Check]:
    yield _asked("search", lambda: fill("by keyword, {time} ms", time=library.check_search()))


def check_vectors(library: Library) -> Iterator[Check]:
    """Whether Chroma has all of them; without a key nobody needs it."""
    if library.settings.embedding.enabled:
        yield _asked(
            "Chroma", lambda: fill("it answers; vectors: {count}", count=library.check_chroma())
        )


def check_chroma(library: Library) -> Iterator[Check]:
    """Whether it answers at all first, where it is a server: with no vectors none are asked for."""
    url, enabled = library.settings.chroma.url, library.settings.embedding.enabled
    if url and not chroma_answers(url):
        yield Check(
            "Chroma",
            State.FAIL if enabled else State.WARN,
            fill("It does not answer at {url}: search is by keyword only.", url=url),
            "journalctl -u bookbrain-chroma -n 50, then: sudo systemctl restart bookbrain-chroma",
        )
    elif enabled:
        yield from check_vectors(library)
    elif url:
        yield Check.ok("Chroma", fill("it answers at {url}", url=url))


def check_meaning(library: Library) -> Iterator[Check]:
    model = library.settings.embedding.model
    if not library.settings.embedding.enabled:
        remedy = (
            "Set OPENAI_API_KEY (or OPENAI_BASE_URL of a compatible server), start BookBrain again "
            "and run `bookbrain embed`; on a server: sudo bookbrain-admin key. Without a key: "
            "`bookbrain embed --local`; on a server with sudo."
        )
        yield Check.ok("meaning", "off, for there is no key", remedy)
    elif trouble := _local_trouble(library):
        yield trouble
    elif missing := library.unembedded():
        seen = fill(
            "Books that are not embedded with {model}: {books}.", model=model, books=missing
        )
        yield Check.warn("meaning", seen, "Run `bookbrain embed`; on a server with sudo.")
    else:
        yield Check.ok("meaning", model)


def _local_trouble(library: Library) -> Check | None:
    """What is wrong with the local model, where one embeds: it is not there, or not whole."""
    if not library.settings.embedding.is_local:
        return None
    try:
        library.local_model()
    except BookBrainError as error:
        return Check.warn("meaning", error.message, error.hint)
    return None


def check_exam(library: Library) -> Iterator[Check]:
    """What the model understands; nothing where none is set up."""
    settings = library.settings
    if not settings.embedding.enabled:
        return
    if settings.vector_weight is not None:
        weight = fill("meaning counts {weight:g}, as it is set", weight=settings.vector_weight)
        yield Check.ok("exam", weight)
    elif marks := library.marks():
        yield Check.ok("exam", marks.note(settings.embedding.model))
    else:
        seen = fill(
            "{model} has not taken it: meaning counts little.", model=settings.embedding.model
        )
        yield Check.ok("exam", seen, "Run `bookbrain embed`; on a server with sudo.")


def check_recognition(library: Library) -> Iterator[Check]:
    """Whether pages wait for text recognition, and for what; nothing where none does."""
    state = library.recognition()
    if state.trouble:
        seen = fill("Pages that text recognition is still to read: {pages}.", pages=state.pages)
        yield Check.warn("OCR", seen, state.trouble)
    elif state.pages:
        yield Check.ok("OCR", state.note)


def check_endpoint(library: Library) -> Iterator[Check]:
    """Costs nothing. It is for others to mend: no FAIL."""
    if not library.settings.embedding.enabled:
        return
    if library.settings.embedding.is_local:
        yield _check_local_model(library)
        return
    try:
        library.check_endpoint()
    except ConfigError as error:
        remedy = "Set another key; on a server: sudo bookbrain-admin key"
        yield Check.warn("endpoint", error.message, remedy)
    except BookBrainError as error:
        remedy = "Until it answers, new questions are searched by keyword only and new books wait."
        yield Check.warn("endpoint", error.message, remedy)
    else:
        yield Check.ok("endpoint", "it answers, and takes the key")


def _check_local_model(library: Library) -> Check:
    try:
        library.check_endpoint()
    except BookBrainError as error:
        return Check.warn("endpoint", error.message, error.hint)
    return Check.ok("endpoint", "the local model is there, and there is memory for it")


def _asked(name: str, ask: Callable[[], str]) -> Check:
    try:
        return Check.ok(name, ask())
    except BookBrainError as error:
        return Check.of_error(name, error)
