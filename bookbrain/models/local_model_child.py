"""The process that has a local model in memory, for all others of a library.

There is one at a time, which a lock says. It ends when nobody has asked it for a while, when
another model is wanted, or with whatever goes wrong in it: who asks starts it again.

It answers on a socket in the library's folder, which its user alone may open: a line of JSON,
`{"model": name, "kind": "query", "texts": […]}`, is answered by a line `{"model": name, "count": n,
"cut": n, "made": n}` and then by n vectors of float32, little-endian, of length one. `made` counts
all that this process embedded, `cut` those of the texts that were too long. The kind is `query` or
`passage`; or `state`, with no texts; or `end`.
"""

import fcntl
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions
from tokenizers import Encoding, Tokenizer

from bookbrain.models.local_model import LONGEST_REQUEST, Kind, bound_socket, is_whole
from bookbrain.models.open_models import (
    TOKENIZER,
    WEIGHTS,
    InstalledModel,
    OpenModel,
    Pooling,
    installed,
)
from bookbrain.paths import LibraryPaths
from bookbrain.processes import limit_this_process

Floats = NDArray[np.float32]
_THREADS = 8  # more make a question no quicker, and each has addresses of its own
_TOKENS = 512  # of passages at a time, with what fills them up: more is slower, and makes wait
_LOG = 1 << 20  # bytes
_LONGEST = 600.0  # seconds for what is under way when another model is wanted
_SECONDS = 60.0  # that somebody may take to ask, or to listen
_ADDRESSES = 3000  # MB beside what is in memory: libraries, stacks, what is set aside


def main() -> None:
    home, name, minutes = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    lock = os.open(LibraryPaths(home).model_server, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # waits for the last one to be gone
    found = installed(home, name)
    limit_this_process(_ADDRESSES + found.memory // 1_000_000, _LOG)
    threading.excepthook = _end_with
    model = LoadedModel(found, found.folder(home))
    with bound_socket(home) as server:
        _serve(server, model, 60 * minutes)


def _end_with(failure: threading.ExceptHookArgs) -> None:
    """One thread's fault is the end of all: who asked begins anew, with a process that is sane."""
    sys.excepthook(failure.exc_type, failure.exc_value or Exception(), failure.exc_traceback)
    sys.stderr.flush()
    os._exit(1)


def pooled(hidden: Floats, mask: NDArray[np.int64], pooling: Pooling) -> Floats:
    """A vector of length one for each text, out of those of its tokens.

    `hidden` is (texts, tokens, dimensions), `mask` (texts, tokens): 0 for what only fills up.
    """
    if pooling == "first":
        vectors = hidden[:, 0]
    else:
        weights = mask[:, :, None].astype(np.float32)
        means = (hidden * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
        vectors = means.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


class LoadedModel:
    """A model in memory. Questions go before passages, which are embedded a few at a time."""

    def __init__(self, found: InstalledModel, folder: Path) -> None:
        """Raises ValueError for files that are not what was installed, and whatever the libraries
        raise for what they cannot read."""
        for file, digest in found.digests.items():
            if not is_whole(folder / file, digest):
                raise ValueError(f"{file} is damaged")
        self.name = found.name
        self.made = 0
        self._model: OpenModel = found.model
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.enable_truncation(found.model.longest)
        self._tokenizer.no_padding()
        self._session = InferenceSession(
            str(folder / WEIGHTS), _options(), providers=["CPUExecutionProvider"]
        )
        self._inputs = {given.name for given in self._session.get_inputs()}
        self._turns = threading.Condition()
        self._running = False
        self._questions = 0
        self.vectors("query", ["warm"])  # what it gives at all is seen before anybody asks
        self.made = 0

    def vectors(self, kind: Kind, texts: Sequence[str]) -> tuple[Floats, int]:
        """Those of the texts, in order, and how many of these were cut."""
        before = self._model.query if kind == "query" else self._model.passage
        encoded = self._tokenizer.encode_batch([before + text for text in texts])
        found = np.empty((len(texts), self._model.dimensions), np.float32)
        for some in _groups([len(one.ids) for one in encoded]):
            with self._turn(kind):
                found[some] = self._run([encoded[n] for n in some])
                self.made += len(some)
        return found, sum(bool(one.overflowing) for one in encoded)

    def _run(self, encoded: Sequence[Encoding]) -> Floats:
        longest = max(len(one.ids) for one in encoded)
        ids, mask = (np.zeros((len(encoded), longest), np.int64) for _ in range(2))
        for row, one in enumerate(encoded):
            ids[row, : len(one.ids)] = one.ids
            mask[row, : len(one.ids)] = one.attention_mask
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden, *_) = self._session.run(
            None, {name: value for name, value in given.items() if name in self._inputs}
        )
        if hidden.ndim != 3 or hidden.shape[2] != self._model.dimensions:
            raise ValueError(f"it gives {hidden.shape}, not {self._model.dimensions} dimensions")
        return pooled(hidden, mask, self._model.pooling)

    @contextmanager
    def _turn(self, kind: Kind) -> Iterator[None]:
        """Be the one who runs; the model has as many threads as there are processors."""
        with self._turns:
            self._questions += kind == "query"
            self._turns.wait_for(
                lambda: not self._running and (kind == "query" or not self._questions)
            )
            self._questions -= kind == "query"
            self._running = True
        try:
            yield
        finally:
            with self._turns:
                self._running = False
                self._turns.notify_all()


def _options() -> SessionOptions:
    options = SessionOptions()
    options.intra_op_num_threads = min(len(os.sched_getaffinity(0)), _THREADS)
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # what a long text needs is given back after it
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Which texts run together: of about one length, and few."""
    group: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        if group and (len(group) + 1) * lengths[group[0]] > _TOKENS:
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def _serve(server: socket.socket, model: LoadedModel, seconds: float) -> None:
    """Answer until nobody has asked for so many seconds, or somebody asks for the end; what is
    begun is answered first."""
    asked = [monotonic()]
    busy: set[threading.Thread] = set()
    ended = threading.Event()
    server.settimeout(min(seconds / 4, 1.0))
    while not ended.is_set():
        try:
            connection, _ = server.accept()
        except TimeoutError:
            busy = {thread for thread in busy if thread.is_alive()}
            if busy:
                asked[0] = monotonic()
            elif monotonic() - asked[0] > seconds:
                return
            continue
        asked[0] = monotonic()
        thread = threading.Thread(target=_answer, args=(connection, model, ended.set), daemon=True)
        busy.add(thread)
        thread.start()
    server.close()
    for thread in busy:
        thread.join(_LONGEST)


def _answer(connection: socket.socket, model: LoadedModel, end: Callable[[], None]) -> None:
    connection.settimeout(_SECONDS)
    try:
        with connection, connection.makefile("rwb") as file:
            asked = json.loads(file.readline(LONGEST_REQUEST))
            kind, vectors, cut = asked["kind"], np.empty((0, 0), np.float32), 0
            if kind == "end":
                end()
            elif kind != "state" and asked["model"] == model.name:
                vectors, cut = model.vectors(kind, asked["texts"])
            said: dict[str, Any] = {"model": model.name, "count": len(vectors), "cut": cut}
            file.write(json.dumps({**said, "made": model.made}).encode() + b"\n")
            file.write(vectors.astype("<f4").tobytes())
    except OSError:  # nobody waits any more
        return


if __name__ == "__main__":
    main()
