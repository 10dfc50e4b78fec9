"""What is under way, in one line, for the row above every page: `/api/activity`."""

from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from threading import Lock
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bookbrain.library import Library
from bookbrain.messages import Filled, fill, translated
from bookbrain.web.api import as_json, plain_route
from bookbrain.web.plain_page import tongue_of
from bookbrain.web.shelf import Shelf

_FRESH = 2.0  # seconds that an answer serves everybody who asks


@dataclass(frozen=True, slots=True)
class Activity:
    """What is `said`, "" while nothing is under way, and which `part` is done, 0 to 1."""

    said: Filled | str = ""
    part: float = 0.0


def activity_of(library: Library) -> Activity:
    """Books that are added come before scanned pages that are read."""
    if arrivals := library.under_way():
        at_work = next((one for one in arrivals if one.step and not one.waiting), None)
        part = min(at_work.done / at_work.total, 1.0) if at_work and at_work.total else 0.0
        return Activity(fill("Books on their way: {count}", count=len(arrivals)), part)
    state = library.recognition()
    if state.running and state.pages:
        return Activity(fill("Scanned pages to read: {pages:,}", pages=state.pages))
    return Activity()


class _Watch:
    """Looks for all who ask, every two seconds at most; `app` is another one after a restart."""

    def __init__(self, shelf: Shelf) -> None:
        self.app = token_hex(4)
        self._shelf = shelf
        self._lock = Lock()
        self._seen = Activity()
        self._until = 0.0

    def look(self) -> Activity:
        with self._lock:
            if monotonic() >= self._until:
                with self._shelf.library() as library:
                    self._seen = activity_of(library)
                self._until = monotonic() + _FRESH
            return self._seen


def activity_routes(shelf: Shelf) -> list[Route]:
    """The route, which answers GET and HEAD."""
    return [plain_route("/api/activity", partial(_activity, _Watch(shelf)))]


def _activity(watch: _Watch, request: Request) -> Response:
    seen = watch.look()
    said = translated(seen.said, tongue_of(request))
    return as_json({"said": said, "part": seen.part, "app": watch.app})
