"""Being ended by SIGTERM, as systemd does it, in order."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class _EndedError(BaseException):
    """SIGTERM came."""


@contextmanager
def ending_in_order() -> Iterator[None]:
    """When SIGTERM comes, the block is left as by Ctrl-C, and then the process ends by it.

    So whatever it was at is not taken for what ended it.
    """

    def leave(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first one is enough
        raise _EndedError

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except _EndedError:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
