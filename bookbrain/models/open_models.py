"""Models that anybody may run on their own machine: which there are, and which are installed.

An installed one is a folder in the library's `models`: its weights, its tokenizer and a record of
both. What it is called has a digest of them, so that vectors of other weights are another space.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.messages import fill
from bookbrain.paths import LibraryPaths
from bookbrain.settings import LOCAL

Pooling = Literal["mean", "first"]
WEIGHTS, TOKENIZER, RECORD = "model.onnx", "tokenizer.json", "model.json"
USUAL_MODEL = "multilingual-e5-small"
_AGAIN = "Run `bookbrain embed --local` again; it takes what is there, or fetches the model."
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model, by its place in the hub's repository.

    `size` is about how many bytes it has, `sha256` what they must be; "" where that is not known:
    then it is as the hub says when it is first fetched, and stays so.
    """

    path: str
    size: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model, and how its authors say that it is to be asked.

    `revision` is a commit of the repository, "" for that of the day when it is first fetched. A
    vector is pooled out of those of the tokens: their mean, or the first one. `query` and `passage`
    stand before each text. Of a text it reads the first `longest` tokens, these counted.
    `memory` is about what it takes in MB.
    """

    name: str
    repository: str
    revision: str
    weights: ModelFile
    tokenizer: ModelFile
    dimensions: int
    pooling: Pooling
    query: str
    passage: str
    longest: int
    memory: int

    @property
    def files(self) -> dict[str, ModelFile]:
        """What is fetched, by the name that it has where it is installed."""
        return {WEIGHTS: self.weights, TOKENIZER: self.tokenizer}

    @property
    def size(self) -> int:
        """About how many bytes are fetched."""
        return sum(file.size for file in self.files.values())


_INT8 = "onnx/model_quantized.onnx"
# Digests and revision of the first: as the hub's own page of each file shows them.
OPEN_MODELS = {
    model.name: model
    for model in (
        OpenModel(
            USUAL_MODEL, "Xenova/multilingual-e5-small",
            "761b726dd34fb83930e26aab4e9ac3899aa1fa78",
            ModelFile(_INT8, 118_000_000,
                      "f80102d3f2a1229f387d3c81909990d8945513e347b0eab049f7de3c6f98c193"),
            ModelFile(TOKENIZER, 17_100_000,
                      "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39"),
            384, "mean", "query: ", "passage: ", 512, 700,
        ),
        OpenModel(
            "multilingual-e5-base", "Xenova/multilingual-e5-base", "",
            ModelFile(_INT8, 279_000_000), ModelFile(TOKENIZER, 17_100_000),
            768, "mean", "query: ", "passage: ", 512, 1100,
        ),
        OpenModel(
            "bge-m3", "Xenova/bge-m3", "",
            ModelFile(_INT8, 570_000_000), ModelFile(TOKENIZER, 17_100_000),
            1024, "first", "", "", 1024, 2000,
        ),
        OpenModel(
            "all-MiniLM-L6-v2", "Xenova/all-MiniLM-L6-v2", "",
            ModelFile(_INT8, 23_000_000), ModelFile(TOKENIZER, 712_000),
            384, "mean", "", "", 256, 350,
        ),
    )
}  # fmt: skip


def open_model(name: str) -> OpenModel:
    """The model of this name; ConfigError where there is none."""
    if model := OPEN_MODELS.get(name):
        return model
    raise ConfigError(
        fill("There is no local model {name}.", name=name),
        fill("Choose one of these: {names}.", names=", ".join(OPEN_MODELS)),
    )


@dataclass(frozen=True, slots=True)
class Digest:
    """Of a file that is installed: its bytes, and what they are."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model in a library, and its files. `origin` is a commit of the hub's, or a folder.

    `seconds` is what a passage as long as it reads took when it was tried.
    """

    model: OpenModel
    origin: str
    weights: Digest
    tokenizer: Digest
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """Its own, and which weights and tokenizer it is of."""
        both = f"{self.weights.sha256} {self.tokenizer.sha256}"
        return f"{self.model.name}@{sha256(both.encode()).hexdigest()[:8]}"

    @property
    def setting(self) -> str:
        """What BOOKBRAIN_EMBEDDING_MODEL is for it, and the model of its space."""
        return f"{LOCAL}{self.name}"

    @property
    def digests(self) -> dict[str, Digest]:
        return {WEIGHTS: self.weights, TOKENIZER: self.tokenizer}

    @property
    def memory(self) -> int:
        """Bytes that it takes at most; more where its weights are not the small ones."""
        more = max(self.weights.size - self.model.weights.size, 0)
        return self.model.memory * 1_000_000 + 2 * more

    def folder(self, home: Path) -> Path:
        return LibraryPaths(home).models / self.name

    def record(self) -> bytes:
        """What `read_record` reads."""
        said = {
            "name": self.model.name, "origin": self.origin, "weights": asdict(self.weights),
            "tokenizer": asdict(self.tokenizer), "seconds": round(self.seconds, 4),
        }  # fmt: skip
        return json.dumps(said, indent=1).encode()


def _digest(said: Mapping[str, Any]) -> Digest:
    if not _SHA256.fullmatch(said["sha256"]):
        raise ValueError("it names no digest")
    return Digest(int(said["size"]), said["sha256"])


def read_record(folder: Path) -> InstalledModel:
    """The model that is installed in `folder`; BookBrainError where there is none, or its record
    is not what was written."""
    try:
        said = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        weights, tokenizer = (_digest(said[name]) for name in ("weights", "tokenizer"))
        model, seconds = OPEN_MODELS[said["name"]], float(said["seconds"])
        found = InstalledModel(model, str(said["origin"]), weights, tokenizer, seconds)
        if found.name != folder.name:
            raise ValueError("it is of another model")
        return found
    except FileNotFoundError as error:
        name = fill("The local model {name} is not installed.", name=folder.name)
        raise ConfigError(name, _AGAIN) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BookBrainError(
            fill("The local model {name} is damaged.", name=folder.name), _AGAIN
        ) from error


def installed(home: Path, setting: str) -> InstalledModel:
    """The model that BOOKBRAIN_EMBEDDING_MODEL is, `setting`; raises as `read_record`, and
    BookBrainError where a file of it is gone or has another size."""
    name = setting.removeprefix(LOCAL)
    if not re.fullmatch(r"[\w.-]+(@[0-9a-f]{8})?", name, re.ASCII):
        open_model(name)
    folder = LibraryPaths(home).models / name
    found = read_record(folder)
    for file, digest in found.digests.items():
        try:
            whole = (folder / file).stat().st_size == digest.size
        except OSError:
            whole = False
        if not whole:
            raise BookBrainError(fill("The local model {name} is damaged.", name=name), _AGAIN)
    return found


def installed_models(home: Path) -> list[InstalledModel]:
    """Those that are whole at a glance, the newest first."""
    found = []
    folders = LibraryPaths(home).models.glob("*@*")
    for folder in sorted(folders, key=lambda f: (f.stat().st_mtime, f.name), reverse=True):
        try:
            found.append(installed(home, folder.name))
        except BookBrainError:
            continue
    return found
