"""The Ask page: a question is answered with words of the books.

`/ask` is the page, the same for every question; its script asks `POST /api/ask` when a person says
so, for an answer costs money, and never because an address was opened. `POST /api/golden` keeps an
answer that was judged: the body is a line of what `bookbrain eval --answers` reads.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bookbrain.answers.golden_file import keep_question
from bookbrain.answers.scorecard import known_question
from bookbrain.errors import BookBrainError
from bookbrain.messages import fill
from bookbrain.remote import in_thread
from bookbrain.web.answer_stream import json_of, no_question
from bookbrain.web.api import as_json, plain_route, refusal
from bookbrain.web.plain_page import make_page, tongue_of
from bookbrain.web.shelf import Shelf

# What the script says, by the names that it knows; it fills in what is in braces.
_TEXTS = {
    "box": fill("Ask your books"),
    "hint": fill("A whole question, in your own words"),
    "ask": fill("Ask"),
    "stop": fill("Stop"),
    "further": fill("Ask further"),
    "about": fill(
        "Each statement of an answer comes with words of your books that bear it out, and the page "
        "where they stand. What a model says beyond that is left out."
    ),
    "cost": fill(
        "The question and the pages that are found go to the service of the model, which may cost "
        "money: nothing is asked before you press Enter."
    ),
    "seeking": fill("Looking for pages …"),
    "reading": fill("Reading {pages} pages of {books} books …", pages="{pages}", books="{books}"),
    "silent": fill("Your books do not say."),
    "nearest": fill("The nearest pages:"),
    "left": fill(
        "Claims of the model that your books do not support, left out: {count}.", count="{count}"
    ),
    "struck": fill("Quotations of it that stand on none of the pages: {count}.", count="{count}"),
    "note": fill("Note: {reason}", reason="{reason}"),
    "halted": fill("You stopped it."),
    "gone": fill("The server does not answer. Ask again in a moment."),
    "out": fill("You are not signed in any more. Load the page again."),
    "copy": fill("Copy as Markdown"),
    "copied": fill("Copied"),
    "instead": fill("Search instead:"),
    "keep": fill("Keep for `bookbrain eval`:"),
    "right": fill("the answer is right"),
    "wrong": fill("my books do not say"),
    "kept": fill(
        "The question is in {path}: `bookbrain eval --answers` of that file asks it again.",
        path="{path}",
    ),
    "tokens": fill("{tokens} tokens", tokens="{tokens}"),
    "paid": fill("{tokens} tokens, {cost}", tokens="{tokens}", cost="{cost}"),
    "chapter": fill(
        "{title}, “{chapter}”, {place}", title="{title}", chapter="{chapter}", place="{place}"
    ),
    "source": fill("{title}, {place}", title="{title}", place="{place}"),
    "label": fill("p. {label}", label="{label}"),
    "both": fill("p. {label} (page {page} of the file)", label="{label}", page="{page}"),
    "page": fill("page {page} of the file", page="{page}"),
    "reader": fill("Reader"),
}
_WITHOUT_MODEL = {
    "missing": fill("No model is set up that answers questions."),
    "needed": fill(
        "Set BOOKBRAIN_CHAT_MODEL to one of OpenAI's, with OPENAI_API_KEY; or to one of the "
        "compatible server at BOOKBRAIN_CHAT_URL, with BOOKBRAIN_CHAT_KEY if it wants a key. Then "
        "start BookBrain again. BOOKBRAIN_CHAT_BUDGET limits the dollars of a month."
    ),
    "search": fill("Searching needs no model."),
}


def ask_routes(shelf: Shelf) -> list[Route]:
    """The page, which answers GET and HEAD, and what keeps a question, which answers POST."""

    async def keep(request: Request) -> Response:
        try:
            body = await json_of(request)
            return await in_thread(partial(_keep, shelf, body))
        except BookBrainError as error:
            return refusal(error, tongue_of(request))

    return [
        plain_route("/ask", partial(_page, shelf)),
        Route("/api/golden", keep, methods=["POST"]),
    ]


def _page(shelf: Shelf, request: Request) -> Response:
    """Where no model is set up, it says what that takes."""
    texts = _TEXTS if shelf.settings.chat.model else _TEXTS | _WITHOUT_MODEL
    return make_page(request, "ask", texts, styles=("search",))


def _keep(shelf: Shelf, body: bytes) -> Response:
    try:
        known = known_question(body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise no_question() from error
    return as_json({"path": keep_question(shelf.home, known)})
