"""Commands as forks of one process that has imported and loaded all that they need, Kiwi too: that
takes a second each.

A fork is a process of its own, with the environment, the folder and the exit code of a command that
was started anew; only what the interpreter does before the first import is not repeated.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

from bookbrain.korean import kiwi

_PRELOADED = (
    "bookbrain.cli", "bookbrain.admin", "bookbrain.store.vectors", "bookbrain.search.retrieval",
    "bookbrain.models.openai_api", "bookbrain.models.rerank_api", "bookbrain.models.chat_api",
    "chromadb", "openai",
)  # fmt: skip
_MOST = 1 << 17  # bytes of an order


def run_forked(
    module: str, arguments: Sequence[str], folder: Path, env: Mapping[str, str], seconds: float
) -> tuple[int, str, str]:
    """`python -m MODULE ARGUMENTS` in this folder: its exit code, what it said, and on stderr."""
    order = {"module": module, "arguments": list(arguments), "folder": str(folder), "env": {**env}}
    reader, writer = os.pipe()
    with TemporaryFile() as out, TemporaryFile() as err, os.fdopen(reader, "rb") as ended:
        try:
            descriptors = [out.fileno(), err.fileno(), writer]
            socket.send_fds(_parent(), [json.dumps(order).encode()], descriptors)
        finally:
            os.close(writer)
        if not select.select([ended], [], [], seconds)[0]:
            raise subprocess.TimeoutExpired([module, *arguments], seconds)
        code = int(ended.read())
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="surrogateescape"))
    return code, texts[0], texts[1]


@cache
def _parent() -> socket.socket:
    """Where the parent of all forks takes its orders; it ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from support.forked import serve; serve()"],
        stdin=theirs, stdout=subprocess.DEVNULL, cwd="/",
        env={
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        },
    )  # fmt: skip
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve() -> None:
    """Fork for each order that comes by stdin."""
    orders = socket.socket(fileno=os.dup(0))
    for name in _PRELOADED:
        importlib.import_module(name)
    kiwi()
    assert len(os.listdir("/proc/self/task")) == 1, "threads do not survive a fork"
    gc.freeze()  # or each fork copies what it collects
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while order := socket.recv_fds(orders, _MOST, 3)[:2]:
        message, descriptors = order
        if not message:
            return
        if not os.fork():
            orders.close()
            _watch(descriptors.pop())
            _become(json.loads(message), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _watch(ended: int) -> None:
    """Go on in a child, whose end this process tells."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if child := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(ended, str(code).encode())
        os._exit(0)
    os.close(ended)


def _become(order: dict[str, object], out: int, err: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((null, 0), (out, 1), (err, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["folder"])
    sys.argv = ["", *order["arguments"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
