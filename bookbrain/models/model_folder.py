"""Bringing a model into a library: from a folder or from the hub, whole or not at all."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path
from time import monotonic

from bookbrain.errors import BookBrainError, ConfigError, InputError, UnavailableError
from bookbrain.files import PART, file_lock, new_file, remove, sync_folder, write_file
from bookbrain.messages import fill
from bookbrain.models.local_model import LocalEmbedder, check_memory, is_whole
from bookbrain.models.model_hub import COMMIT, HubFile, HubModel, fetch, look_at_hub
from bookbrain.models.open_models import (
    RECORD,
    TOKENIZER,
    USUAL_MODEL,
    WEIGHTS,
    Digest,
    InstalledModel,
    OpenModel,
    installed,
    installed_models,
    open_model,
    read_record,
)
from bookbrain.paths import LibraryPaths
from bookbrain.settings import LOCAL, EmbeddingSettings

OnBytes = Callable[[int, int], None]
_MOST = {WEIGHTS: 4 << 30, TOKENIZER: 64 << 20}  # bytes
_CHUNK = 1 << 20
# Where the weights may be in a folder: as in the hub's repository, and what tools call them.
_PLACES = ("onnx/model_quantized.onnx", "onnx/model.onnx", "model_quantized.onnx", WEIGHTS)
_SAMPLE = "The writer holds the lock until the rename is on the disk; a reader never waits. "
_TRIED = 4  # passages


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A model, and where it comes from: it is `there`, in files of a folder, or at the hub.

    `fetched` is how many bytes come over the network. Of `digests` each must be one of its files'.
    """

    model: OpenModel
    there: InstalledModel | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    hub: HubModel | None = None
    digests: frozenset[str] = frozenset()

    @property
    def fetched(self) -> int:
        return sum(file.size for file in self.hub.files.values()) if self.hub else 0

    @property
    def where(self) -> str:
        """The address that is asked; "" where none is."""
        return self.hub.hub if self.hub else ""


def plan_model(
    home: Path, settings: EmbeddingSettings, name: str | None, folder: Path | None,
    digests: Collection[str],
) -> ModelPlan:  # fmt: skip
    """How the model called `name` would come into the library; nothing is changed.

    Raises ConfigError where the settings name another one, UnavailableError where the memory does
    not do, InputError for a folder that has no model, and what the hub's look raises.
    """
    chosen = settings.model.removeprefix(LOCAL).partition("@")[0] if settings.is_local else ""
    model = open_model(name or chosen or USUAL_MODEL)
    if settings.model_is_set and not f"{settings.model}@".startswith(f"{LOCAL}{model.name}@"):
        raise ConfigError(
            fill("BOOKBRAIN_EMBEDDING_MODEL is {value}.", value=settings.model),
            fill("Remove it, or set it to {value}; then run this again.",
                 value=f"{LOCAL}{model.name}"),
        )  # fmt: skip
    check_memory(home, f"{model.name}@", model.memory * 1_000_000)
    wanted = frozenset(digest.lower() for digest in digests)
    if folder:
        return ModelPlan(model, files=_files_in(folder, model), digests=wanted)
    for there in installed_models(home):
        if there.model == model and _has(there, wanted) and _is_meant(there, settings):
            return ModelPlan(model, there=there, digests=wanted)
    hub = look_at_hub(settings.hub_url, model, _remembered(home, model))
    return ModelPlan(model, hub=hub, digests=wanted)


def _is_meant(there: InstalledModel, settings: EmbeddingSettings) -> bool:
    """Whether it is the one that the settings name, where they name one with its digest."""
    with_digest = settings.model.startswith(f"{LOCAL}{there.model.name}@")
    return not with_digest or settings.model == there.setting


def _has(there: InstalledModel, wanted: frozenset[str]) -> bool:
    return wanted <= {digest.sha256 for digest in there.digests.values()}


def _remembered(home: Path, model: OpenModel) -> InstalledModel | None:
    """The model as it was fetched once, though its files may be damaged by now, or gone."""
    for folder in sorted(LibraryPaths(home).models.glob(f"{model.name}@*")):
        try:
            found = read_record(folder)
        except BookBrainError:
            continue
        if found.model == model and COMMIT.fullmatch(found.origin):
            return found
    return None


# From a folder


def _files_in(folder: Path, model: OpenModel) -> dict[str, Path]:
    """The weights and the tokenizer in a folder: plain, or in the hub's layout."""
    for place in _folders(folder, model):
        weights = [place / path for path in (model.weights.path, *_PLACES)]
        tokenizers = [place / path for path in (model.tokenizer.path, f"onnx/{TOKENIZER}")]
        found = [next((p for p in paths if p.is_file()), None) for paths in (weights, tokenizers)]
        if found[0] and found[1]:
            return {WEIGHTS: found[0], TOKENIZER: found[1]}
    raise InputError(
        fill("There is no model in {folder}.", folder=folder),
        fill("It needs {weights} and {tokenizer}, or {path} as the hub has it.",
             weights=WEIGHTS, tokenizer=TOKENIZER, path=model.weights.path),
    )  # fmt: skip


def _folders(folder: Path, model: OpenModel) -> Iterator[Path]:
    """It, and in it a repository by its name, or in the cache of the hub's own tools."""
    yield folder
    yield folder / model.repository
    cached = folder / f"models--{model.repository.replace('/', '--')}"
    for cache in (folder, cached, folder / "hub" / cached.name):
        yield from sorted((cache / "snapshots").glob("*"))


def _copy(source: Path, target: Path, most: int) -> Digest:
    """Raises InputError for a file that cannot be read, or has more bytes than `most`."""
    digest, size = sha256(), 0
    try:
        file = source.open("rb")
    except OSError as error:
        reason = error.strerror
        raise InputError(
            fill("{path} cannot be read: {reason}.", path=source, reason=reason),
            "Check its owner and mode.",
        ) from error
    with file, new_file(target) as made:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > most:
                raise InputError(
                    fill("{path} has more than {size:,} bytes.", path=source, size=most),
                    "Name the folder of another model.",
                )
            digest.update(chunk)
            made.write(chunk)
    return Digest(size, digest.hexdigest())


# Into the library


def install_model(
    home: Path, plan: ModelPlan, settings: EmbeddingSettings, on_bytes: OnBytes
) -> InstalledModel:
    """Put the model where it belongs, and try it; killed before, it leaves the old ones alone.

    Raises InputError for files that are not what they must be, and what the model raises where it
    cannot be loaded: then it is not kept.
    """
    found = plan.there
    if found is None:
        with file_lock(LibraryPaths(home).model_lock):
            part = _part(LibraryPaths(home).models, plan)
            found = _brought(part, plan, on_bytes)
            _check_digests(found, plan.digests, part)
            found = _placed(part, found, home)
    if settings.model_is_set and "@" in settings.model and settings.model != found.setting:
        raise ConfigError(
            fill("BOOKBRAIN_EMBEDDING_MODEL is {value}.", value=settings.model),
            fill("Remove it, or set it to {value}; then run this again.", value=found.setting),
        )
    return found if found.seconds else _tried(home, found, settings)


def _part(models: Path, plan: ModelPlan) -> Path:
    """Where it is until it is whole. What a kill left of the same commit of the hub's is gone on
    with, all else goes."""
    models.mkdir(mode=0o700, exist_ok=True)
    kept = (
        f"{plan.model.name}.{plan.hub.revision}{PART}" if plan.hub else f"{plan.model.name}{PART}"
    )
    for left in models.glob(f"*{PART}"):
        if left.name != kept or not plan.hub:
            remove(left)
    (models / kept).mkdir(mode=0o700, exist_ok=True)
    return models / kept


def _brought(part: Path, plan: ModelPlan, on_bytes: OnBytes) -> InstalledModel:
    if plan.hub:
        digests, done = {}, 0
        for name, file in plan.hub.files.items():
            fetch(plan.hub, file, part / name, partial(_tell, on_bytes, done, plan.fetched))
            digests[name] = _checked(part / name, file)
            done += file.size
        origin = plan.hub.revision
    else:
        digests = {n: _copy(path, part / n, _MOST[n]) for n, path in plan.files.items()}
        origin = str(plan.files[WEIGHTS].parent)
    return InstalledModel(plan.model, origin, digests[WEIGHTS], digests[TOKENIZER])


def _tell(on_bytes: OnBytes, before: int, total: int, done: int) -> None:
    on_bytes(before + done, total)


def _checked(path: Path, file: HubFile) -> Digest:
    """What came, if it is what the hub and the table of models say; else it goes."""
    with path.open("rb") as opened:
        digest = Digest(
            os.fstat(opened.fileno()).st_size, file_digest(opened, "sha256").hexdigest()
        )
    if digest.size != file.size or not file.is_right(path, digest.sha256):
        remove(path)
        raise InputError(
            fill("{file} is not what it must be: its SHA-256 is {digest}.",
                 file=file.path, digest=digest.sha256),
            "Run this again; if that is so again, trust the place less, and tell its owner.",
        )  # fmt: skip
    return digest


def _check_digests(found: InstalledModel, wanted: frozenset[str], part: Path) -> None:
    if not _has(found, wanted):
        remove(part)
        raise InputError(
            "No file of the model has the digest that was given.",
            fill("Theirs are {digests}.",
                 digests=", ".join(digest.sha256 for digest in found.digests.values())),
        )  # fmt: skip


def _placed(part: Path, found: InstalledModel, home: Path) -> InstalledModel:
    """The model in its folder; what is there already stays, if it is whole to the last byte."""
    target = found.folder(home)
    with suppress(BookBrainError):
        there = installed(home, found.setting)
        if all(is_whole(target / name, digest) for name, digest in there.digests.items()):
            remove(part)
            return there
    write_file(part / RECORD, found.record())
    remove(target)
    part.replace(target)
    sync_folder(target.parent)
    return found


def _tried(home: Path, found: InstalledModel, settings: EmbeddingSettings) -> InstalledModel:
    """With how long a passage takes; one that cannot be loaded is removed."""
    check_memory(home, found.name, found.memory)
    embedder = LocalEmbedder(home, replace(settings, model=found.setting))
    long = [f"{number} {_SAMPLE * (found.model.longest // 8)}" for number in range(_TRIED)]
    try:
        embedder.passages(long[:1])  # what loads once is not timed
        begun = monotonic()
        embedder.passages(long)
    except UnavailableError:
        remove(found.folder(home))
        raise
    tried = replace(found, seconds=max(round((monotonic() - begun) / _TRIED, 4), 1e-4))
    write_file(found.folder(home) / RECORD, tried.record())
    return tried


def choose_model(home: Path, setting: str | None) -> bool:
    """Have the library embedded by this local model from now on; None: by none. Whether that is a
    change."""
    choice = LibraryPaths(home).model_choice
    wanted = f"{setting}\n" if setting else ""
    if wanted == (choice.read_text(encoding="utf-8") if choice.exists() else ""):
        return False
    if wanted:
        write_file(choice, wanted.encode())
    else:
        choice.unlink()
        sync_folder(choice.parent)
    return True
