"""A model that runs on this machine: asking the one process that has it in memory."""

import json
import os
import socket
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Literal

import numpy as np

from bookbrain.errors import UnavailableError
from bookbrain.files import file_lock
from bookbrain.messages import fill
from bookbrain.model import text_digest
from bookbrain.models import Embedder, Keep, Purchase
from bookbrain.models.open_models import Digest, InstalledModel, installed
from bookbrain.paths import LibraryPaths
from bookbrain.processes import free_memory, start_module
from bookbrain.remote import Service, in_thread, quotable
from bookbrain.settings import EmbeddingSettings
from bookbrain.store.embeddings import Vector, is_sound

Kind = Literal["query", "passage", "state", "end"]
LONGEST_REQUEST = 1 << 26  # bytes
_LONGEST_LINE = 1 << 12  # bytes of what comes before the vectors
_START_SECONDS = 120.0  # to load a large model from a slow disk
_PASSAGES_SECONDS = 1800.0  # for a few passages, where others come first
_SECONDS = 1.75  # for a question that others wait behind
_ALONE = 30.0  # where nobody else is held up: it may have to be loaded
_PLACES = 16
_PAUSE = 2.0  # seconds without it, when it is late: it may be about to be loaded
_HOPELESS = 4  # so many texts on which it ended, with none embedded: it is not the texts
_INSTALL = "`bookbrain embed --local` installs it again."


class _EndedError(Exception):
    """The process ended, or hung up, while it worked on an answer."""


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What the process said: the vectors, in order, how many texts were cut, and how many texts it
    embedded since it began."""

    model: str
    vectors: list[Vector]
    cut: int
    made: int


def is_whole(path: Path, digest: Digest) -> bool:
    """Whether a file is what was installed, to the last byte."""
    with path.open("rb") as file:
        same_size = os.fstat(file.fileno()).st_size == digest.size
        return same_size and file_digest(file, "sha256").hexdigest() == digest.sha256


def check_memory(home: Path, name: str, needed: int) -> None:
    """Raise UnavailableError where a model that needs so many bytes has no room in memory, and is
    not there already: the one whose name begins with `name`."""
    there = state(home)
    if there and there.model.startswith(name):
        return
    free = free_memory()
    if free < needed:
        raise UnavailableError(
            fill(
                "The local model needs {needed:,} MB of memory, and {free:,} MB are free.",
                needed=needed // 1_000_000, free=free // 1_000_000,
            ),
            "Close what else runs here, or choose a smaller model: "
            "`bookbrain embed --local --model all-MiniLM-L6-v2`",
        )  # fmt: skip


# Where it answers


@contextmanager
def _socket_path(home: Path) -> Iterator[str]:
    """The path of the socket, short enough for any library: Linux takes 107 bytes."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{LibraryPaths(home).model_socket.name}"
    finally:
        os.close(folder)


@contextmanager
def bound_socket(home: Path) -> Iterator[socket.socket]:
    """The socket that `ask` finds, for the one process that answers; gone after the block."""
    place = LibraryPaths(home).model_socket
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        before = os.umask(0o177)
        try:
            with _socket_path(home) as path:
                server.bind(path)
        finally:
            os.umask(before)
        server.listen(64)
        try:
            yield server
        finally:
            place.unlink(missing_ok=True)


def _connected(home: Path) -> socket.socket | None:
    """A connection with the process, where there is one that listens and is ours."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with suppress(OSError), _socket_path(home) as path:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            connection.settimeout(_SECONDS)
            connection.connect(path)
            return connection
    connection.close()
    return None


def _exchange(connection: socket.socket, said: object, seconds: float) -> ModelAnswer:
    connection.settimeout(seconds)
    try:
        with connection, connection.makefile("rwb") as file:
            file.write(json.dumps(said).encode() + b"\n")
            file.flush()
            told = json.loads(file.readline(_LONGEST_LINE))
            body = file.read()
    except TimeoutError:
        raise
    except (OSError, ValueError) as error:
        raise _EndedError from error
    rows = np.frombuffer(body[: len(body) // 4 * 4], "<f4")
    if told["count"] and rows.size % told["count"]:
        raise _EndedError
    vectors = list(rows.reshape(told["count"], -1)) if told["count"] else []
    return ModelAnswer(told["model"], vectors, told["cut"], told["made"])


def state(home: Path) -> ModelAnswer | None:
    """What is in memory, and how much it did; None where nothing is. Starts nothing."""
    connection = _connected(home)
    with suppress(_EndedError, TimeoutError):
        return _exchange(connection, {"kind": "state"}, _SECONDS) if connection else None
    return None


def ask(
    home: Path, model: InstalledModel, kind: Kind, texts: Sequence[str],
    settings: EmbeddingSettings, seconds: float,
) -> ModelAnswer:  # fmt: skip
    """What the process answers that has `model` in memory; it is started where there is none.

    Raises TimeoutError after so many seconds, UnavailableError where it cannot be loaded.
    """
    said = {"model": model.name, "kind": kind, "texts": list(texts)}
    until = monotonic() + seconds
    while True:
        connection = _connected(home) or _start(home, model, settings)
        answer = _exchange(connection, said, max(until - monotonic(), 0.01))
        if answer.model == model.name:
            sizes = [vector.size for vector in answer.vectors]
            if sizes != [model.model.dimensions] * len(texts):  # it ended while it told them
                raise _EndedError
            return answer
        _end_other(home)
        if monotonic() > until:
            raise TimeoutError


def _end_other(home: Path) -> None:
    """Have the process end that has another model in memory, when it has done what it is at."""
    if connection := _connected(home):
        with suppress(_EndedError, TimeoutError):
            _exchange(connection, {"kind": "end"}, _SECONDS)
    sleep(0.05)


def _start(home: Path, model: InstalledModel, settings: EmbeddingSettings) -> socket.socket:
    """A connection with the process, started by whoever comes first."""
    paths = LibraryPaths(home)
    try:
        with file_lock(paths.model_start):
            if connection := _connected(home):
                return connection
            check_memory(home, model.name, model.memory)
            with open(paths.model_log, "wb", opener=_private) as log:
                child = start_module(
                    "bookbrain.models.local_model_child", str(home), model.name,
                    str(settings.local_minutes), stdout=log, stderr=subprocess.STDOUT,
                )  # fmt: skip
            Thread(target=child.wait, daemon=True).start()  # it may end before this process
            deadline = monotonic() + _START_SECONDS
            while monotonic() < deadline and child.poll() is None:
                if connection := _connected(home):
                    return connection
                sleep(0.01)
    except OSError as error:
        raise _not_loaded(str(error)) from error
    raise _not_loaded(_last_line(paths.model_log))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _not_loaded(reason: str) -> UnavailableError:
    return UnavailableError(
        fill("The local model cannot be loaded: {reason}.", reason=reason), _INSTALL, quoted=reason
    )


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return quotable(lines[-1]).rstrip(".") if lines else ""
    return ""


class LocalEmbedder:
    """An embedder: a model in the library's folder. It costs nothing but time."""

    def __init__(self, home: Path, settings: EmbeddingSettings) -> None:
        """Raises BookBrainError where the model is not installed, or not whole."""
        self._home = home
        self._settings = settings
        self._found = installed(home, settings.model)
        self._service = Service(self._found.setting, _PLACES, pause=_PAUSE)
        self.dimensions: int | None = self._found.model.dimensions

    def close(self) -> None:
        """The process ends by itself."""

    @property
    def rests(self) -> bool:
        return self._service.rests

    def kept_as(self, question: str) -> str:
        return self._found.model.query + question

    def check(self) -> None:
        """Whether it is there, or could be loaded: nothing is."""
        found = installed(self._home, self._settings.model)
        check_memory(self._home, found.name, found.memory)

    def vector(self, question: str) -> Vector:
        """In 1.75 s with a Turn, in thirty without: it may have to be loaded."""
        answer = self._service.ask(
            lambda: in_thread(lambda: self._ask("query", [question], _ALONE)),
            lambda answer: answer, _SECONDS, alone=_ALONE,
        )  # fmt: skip
        return answer.vectors[0]

    def passages(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of passages; raises UnavailableError without one for each."""
        vectors = self._ask("passage", texts, _PASSAGES_SECONDS).vectors
        if not all(map(is_sound, vectors)):
            raise UnavailableError(
                "The local model gives vectors that are not of finite numbers.",
                "Take it from another place.",
            )
        return vectors

    def _ask(self, kind: Kind, texts: Sequence[str], seconds: float) -> ModelAnswer:
        """Raises UnavailableError where the process ends twice."""
        with suppress(_EndedError):
            return ask(self._home, self._found, kind, texts, self._settings, seconds)
        try:
            return ask(self._home, self._found, kind, texts, self._settings, seconds)
        except _EndedError as error:
            reason = _last_line(LibraryPaths(self._home).model_log)
            raise _CrashError(
                fill("The process of the local model ended: {reason}.", reason=reason),
                _INSTALL, quoted=reason,
            ) from error  # fmt: skip

    def embed(self, texts: Sequence[str], purchase: Purchase, keep: Keep) -> None:
        """A few at once; a text on which its process ends again and again is given up."""
        try:
            answer = self._ask("passage", texts, _PASSAGES_SECONDS)
        except _CrashError as error:
            if len(texts) > 1:
                half = len(texts) // 2
                self.embed(texts[:half], purchase, keep)
                self.embed(texts[half:], purchase, keep)
                return
            purchase.refused[text_digest(texts[0])] = error.message
            if not purchase.embedded and len(purchase.refused) >= _HOPELESS:
                raise
            return
        except TimeoutError as error:
            raise UnavailableError(
                "The local model is too slow on this machine.",
                "Choose a smaller one: `bookbrain embed --local --model all-MiniLM-L6-v2`",
            ) from error
        made = dict(zip(texts, answer.vectors, strict=True))
        good = {text: vector for text, vector in made.items() if is_sound(vector)}
        for text in made.keys() - good.keys():
            complaint = fill("the vector was not of finite numbers")
            purchase.refused[text_digest(text)] = complaint
        if good:
            keep(good)
            purchase.embedded += len(good)


class _CrashError(UnavailableError):
    pass


@lru_cache(maxsize=8)
def local_embedder(home: Path, settings: EmbeddingSettings) -> Embedder:
    """The one of this process."""
    return LocalEmbedder(home, settings)
