"""Work that would hold up the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises, done in a thread of its own.

    A daemon thread, unlike those of asyncio and anyio: a search that waits for a service does not
    keep the process from ending.
    """
    done: Future[T] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  (it is raised where the result is awaited)
            done.set_exception(error)
        else:
            done.set_result(result)

    Thread(target=run, name=in_thread.__name__, daemon=True).start()
    return await asyncio.wrap_future(done)
