"""A child process that answers each request in a fork of its own, which starts twenty times faster
than Python. It opens no PDF itself: what a hostile one crashes, hangs or fills is the fork.

Who asks sends two descriptors through a socket, of a file with the request and of a pipe for the
answer, and hears the fork's exit code there.
"""

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from time import monotonic
from typing import IO, Any, NamedTuple

from bookbrain.processes import end, run_forked, start_module

_CHUNK = 1 << 16
_WORD = 16  # bytes of an exit code, at most


class ForkError(Exception):
    """The fork ended with this exit `code`, negative for a signal."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Child(NamedTuple):
    process: subprocess.Popen[bytes]
    asking: socket.socket


class ForkServer:
    """Such a child of the module `module`, which calls `serve`. It starts with the first request,
    and ends with `close` or with this process."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._child: _Child | None = None

    def close(self) -> None:
        """End the child, whatever it does."""
        if child := self._child:
            end(child.process)
            child.asking.close()
        self._child = None

    def lines(
        self, request: object, deadline: Callable[[], float], most: int
    ) -> Generator[bytes, None, None]:
        """The lines of the answer, as they come, to a request that is JSON.

        Raises ForkError for a fork that failed, TimeoutError after the `deadline` (of the monotonic
        clock, asked before each wait), OverflowError after `most` bytes, OSError where no child can
        be had. A fork whose answer is not read to its end is ended.
        """
        child = self._started()
        code = None
        try:
            with _asked(child.asking, request) as pipe:
                yield from lines_until(pipe, deadline, most)
            child.asking.settimeout(max(deadline() - monotonic(), 0.1))
            code = int(child.asking.recv(_WORD) or child.process.wait())
        except ConnectionError:
            code = child.process.wait()  # killed before it heard us
        finally:
            if code is None:  # it may still be at work, and nobody listens
                self.close()
        if code:
            raise ForkError(code)

    def _started(self) -> _Child:
        if self._child and self._child.process.poll() is None:
            return self._child
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = start_module(self._module, stdin=theirs.fileno())
        self._child = _Child(process, ours)
        return self._child


def _asked(asking: socket.socket, request: object) -> IO[bytes]:
    """The pipe that the answer to `request` comes out of."""
    ours, theirs = os.pipe()
    pipe = open(ours, "rb", buffering=0)  # noqa: SIM115  (the caller closes it)
    file = os.memfd_create("request")
    try:
        with open(file, "wb", closefd=False) as out:
            out.write(json.dumps(request).encode())
        socket.send_fds(asking, [b"?"], [file, theirs])
    except OSError:
        pipe.close()
        raise
    finally:
        os.close(file)
        os.close(theirs)
    return pipe


def lines_until(pipe: IO[bytes], deadline: Callable[[], float], most: int) -> Iterator[bytes]:
    """The whole lines that come out of a pipe, in which nothing may be buffered.

    Raises TimeoutError after the `deadline`, OverflowError after `most` bytes.
    """
    begun: list[bytes] = []
    received = 0
    while True:
        left = deadline() - monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise TimeoutError
        chunk = os.read(pipe.fileno(), _CHUNK)
        received += len(chunk)
        if received > most:
            raise OverflowError
        if not chunk:
            return
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for line in others:
            yield b"".join(begun)
            begun = [line]


def serve(answer: Callable[[Any], None]) -> None:
    """In the child: have a fork write to its output what `answer` makes of each request, one after
    another, until nobody can ask any more."""
    with socket.socket(fileno=sys.stdin.fileno()) as asked:
        while True:
            message, descriptors, _, _ = socket.recv_fds(asked, 1, 2)
            if not message:
                return
            request, pipe = descriptors
            work = partial(_answer, asked, request, pipe, answer)
            code = run_forked(work, until=asked.fileno())
            os.close(request)
            os.close(pipe)
            asked.send(str(code).encode())


def _answer(asked: socket.socket, request: int, pipe: int, answer: Callable[[Any], None]) -> None:
    """In the fork. What a PDF has taken over must not answer on the socket."""
    asked.close()
    os.dup2(pipe, sys.stdout.fileno())
    with open(request, "rb") as file:
        file.seek(0)
        wanted = json.load(file)
    answer(wanted)
    sys.stdout.flush()
