"""What a plain route answers: what it made, or a BookBrainError as JSON with its status."""

import asyncio
from collections.abc import Callable

from starlette.responses import Response

from bookbrain.errors import (
    BookBrainError,
    BusyError,
    InputError,
    NotFoundError,
    UnavailableError,
)
from bookbrain.model import to_json
from bookbrain.threads import in_thread

METHODS = ["GET", "HEAD"]
NOT_STORED = {"Cache-Control": "no-store"}

_STATUS = ((NotFoundError, 404), (InputError, 400), (UnavailableError, 503), (BusyError, 503))


async def answer(work: Callable[[], Response]) -> Response:
    """What `work` makes, in a thread of its own."""
    try:
        return await in_thread(work)
    except BookBrainError as error:
        return refusal(error)
    except asyncio.CancelledError:  # the server ends, and has waited for us
        return refusal(UnavailableError("BookBrain is about to end.", "Try again in a moment."))


def refusal(error: BookBrainError) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    return as_json(to_json({"error": error.message, "hint": error.hint}), status)


def as_json(text: str, status: int = 200) -> Response:
    return Response(text, status, NOT_STORED, media_type="application/json")
