"""`POST /api/ask`: the answer to a question as server-sent events, each as soon as it is there.

The body is `{"question": "…", "books": ["…"], "earlier": [{"question": "…", "answer": ["…"]}]}`,
where `earlier` are the turns that the question follows: each with the texts of its statements, the
last one last. Nothing of them is kept here. Events are `reading`, `statement` and `answer`, each
with JSON; that of `answer` has `markdown` too, the whole with footnotes. `error` is the last one
where something went wrong meanwhile. What is said is in Korean where the body has
`"language": "ko"`.
"""

import asyncio
import json
from asyncio import AbstractEventLoop, Queue
from collections.abc import AsyncIterator, Coroutine
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from threading import Event as Flag
from threading import Thread

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bookbrain.answers.answer import Answer, Event
from bookbrain.answers.conversation import Exchange
from bookbrain.answers.footnotes import answer_markdown
from bookbrain.errors import BookBrainError, InputError
from bookbrain.messages import Language, translated
from bookbrain.model import to_json
from bookbrain.remote import read_bounded
from bookbrain.web.api import refusal
from bookbrain.web.plain_page import tongue_of
from bookbrain.web.shelf import Shelf

_LARGEST = 1 << 16  # bytes of a request
# A proxy that compresses it may hold it back.
STREAM_HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
_Item = Event | BookBrainError | None


@dataclass(frozen=True, slots=True)
class _Asked:
    question: str
    books: tuple[str, ...] = ()
    earlier: tuple[Exchange, ...] = ()
    language: Language = "en"


class _Listener:
    """Who waits for events, in the event loop, of a thread; `gone` when nobody does any more."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.gone = Flag()
        self._loop = loop
        self._events: Queue[_Item] = Queue()

    def waits(self) -> bool:
        return not self.gone.is_set()

    def tell(self, event: _Item) -> None:
        with suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def hear(self) -> _Item:
        return await self._events.get()


def ask_route(shelf: Shelf) -> Route:
    """The route, which answers POST."""

    async def ask(request: Request) -> Response:
        try:
            asked = await _read(request)
        except BookBrainError as error:
            return refusal(error, tongue_of(request))
        listener = _Listener(asyncio.get_running_loop())
        Thread(target=_answer, args=(shelf, asked, listener), name="answer", daemon=True).start()
        try:
            first = await _unless_gone(listener.hear(), request)
        except asyncio.CancelledError:
            listener.gone.set()
            raise
        except ClientDisconnect:
            listener.gone.set()
            return Response()  # to nobody
        if isinstance(first, BookBrainError):
            return refusal(first, asked.language)
        return StreamingResponse(
            _stream(first, listener, asked.language),
            headers=STREAM_HEADERS,
            media_type="text/event-stream",
        )

    return Route("/api/ask", ask, methods=["POST"])


async def _unless_gone(coming: Coroutine[None, None, _Item], request: Request) -> _Item:
    """What is coming; raises ClientDisconnect as soon as nobody waits for it any more."""

    async def leave() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    hearing, leaving = asyncio.create_task(coming), asyncio.create_task(leave())
    try:
        await asyncio.wait({hearing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():
            raise ClientDisconnect
        return hearing.result()
    finally:
        hearing.cancel()
        leaving.cancel()


def no_question() -> InputError:
    """For a body that says nothing, or not as it should."""
    return InputError(
        "That is no question.", "Send JSON that has a `question`, and JSON for its type."
    )


async def json_of(request: Request) -> bytes:
    """The body of a request that says to be JSON; InputError for another, or a long one."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise no_question()
    try:
        return await read_bounded(request.stream(), _LARGEST)
    except ValueError as error:
        raise no_question() from error


async def _read(request: Request) -> _Asked:
    """Raises InputError for a body that asks nothing."""
    bad, body = no_question(), await json_of(request)
    try:
        said = json.loads(body)
        question, books = said["question"], said.get("books") or []
        earlier = [(turn["question"], turn["answer"]) for turn in said.get("earlier") or []]
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise bad from error
    if not all(isinstance(texts, list) for texts in (books, *(answer for _, answer in earlier))):
        raise bad
    texts = [question, *books]
    for before, answer in earlier:
        texts += [before, *answer]
    if not all(isinstance(text, str) for text in texts):
        raise bad
    return _Asked(
        question,
        tuple(books),
        tuple(Exchange(q, tuple(a)) for q, a in earlier),
        "ko" if said.get("language") == "ko" else "en",
    )


def _answer(shelf: Shelf, asked: _Asked, listener: _Listener) -> None:
    """In a thread of its own, which ends soon after nobody listens."""
    try:
        with shelf.lasting_library() as library:
            events = library.ask(
                asked.question, books=asked.books or None, wanted=listener.waits,
                earlier=asked.earlier,
            )  # fmt: skip
            with closing(events):
                for event in events:
                    listener.tell(event)
    except BookBrainError as error:
        listener.tell(error)
    listener.tell(None)


async def _stream(first: _Item, listener: _Listener, language: Language) -> AsyncIterator[str]:
    item = first
    try:
        while item is not None:
            yield _as_event(item, language)
            item = await listener.hear()
    finally:
        listener.gone.set()


def _as_event(item: Event | BookBrainError, language: Language) -> str:
    if isinstance(item, BookBrainError):
        said = {
            "error": translated(item.message, language),
            "hint": translated(item.hint, language),
        }
        return f"event: error\ndata: {to_json(said)}\n\n"
    data = to_json(item)
    if isinstance(item, Answer):
        told = json.loads(to_json(_told(item, language)))
        data = to_json(told | {"markdown": answer_markdown(item, language)})
    return f"event: {type(item).__name__.lower()}\ndata: {data}\n\n"


def _told(answer: Answer, language: Language) -> Answer:
    return replace(
        answer,
        degraded=answer.degraded and translated(answer.degraded, language),
        remark=translated(answer.remark, language),
        stopped=translated(answer.stopped, language),
    )
