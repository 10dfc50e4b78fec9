"""A question is answered: pages are read, a model claims, what the gate lets through is said."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from bookbrain.answers.conversation import MOST_TURNS, Exchange, Inquiry
from bookbrain.answers.gate import (
    Claim,
    Quotation,
    SourcePage,
    Statement,
    Struck,
    judge,
    struck_quotes,
)
from bookbrain.answers.prompt import answer_prompt, repair_prompt
from bookbrain.answers.reading_list import ReadingList, choose_pages
from bookbrain.answers.reply import Reply
from bookbrain.errors import BookBrainError, ConfigError, InputError
from bookbrain.messages import fill
from bookbrain.models import Bill, ChatModel, Prompt
from bookbrain.search.retrieval import ConnectedStores

_LONGEST = 2000  # characters of a question
_NEAREST = 3  # pages that are named where there is no answer


@dataclass(frozen=True, slots=True)
class Reading:
    """How many pages, of how many books, are read; which queries found them."""

    pages: int
    books: int
    queries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question.

    Of the model's claims so many as `left_out` are not in the books, and so many of its quotations
    as `struck_quotes` are on none of the pages. Without statements the books do not say; `nearest`
    are the pages that come closest, without a quote. `stopped` is the fault that ended it early, ""
    for none, `remark` what else is good to know; `dollars` is None where no price is known.
    """

    question: str
    statements: tuple[Statement, ...] = ()
    left_out: int = 0
    nearest: tuple[Quotation, ...] = ()
    queries: tuple[str, ...] = ()
    degraded: str | None = None
    model: str = ""
    tokens: int = 0
    dollars: float | None = None
    took_ms: float = 0.0
    remark: str = ""
    stopped: str = ""
    struck_quotes: int = 0


Event = Reading | Statement | Answer


@dataclass(slots=True)
class _Findings:
    """What there is so far."""

    wanted: Callable[[], bool]
    statements: list[Statement] = field(default_factory=list)
    struck: list[Struck] = field(default_factory=list)
    gained: int = 0
    struck_quotes: int = 0
    remark: str = ""
    stopped: BookBrainError | None = None

    @property
    def left_out(self) -> int:
        return max(len(self.struck) - self.gained, 0)


def answer(
    stores: ConnectedStores,
    question: str,
    books: Sequence[str] | None = None,
    wanted: Callable[[], bool] = lambda: True,
    earlier: Sequence[Exchange] = (),
) -> Generator[Event, None, None]:
    """What is read, each statement as soon as it is verified, and at last the Answer, once.

    The question may leave something to the turns before it, of which the last four are told.

    It ends soon after it is no longer `wanted`; the model is told so by the end of its connection.
    Raises ConfigError where no model is set up, InputError for no question, and what
    `ChatModel.answer` does: once pages are read, behind the Answer, which says so too.
    """
    chat = check_question(stores, question)
    started, bill, found = time.perf_counter(), Bill(), _Findings(wanted)
    asked = Inquiry(question, tuple(earlier)[-MOST_TURNS:])
    reading = choose_pages(stores, chat, asked, books, bill)
    pages = reading.pages
    yield Reading(len(pages), len({one.page.book_id for one in pages}), reading.queries)
    if pages:
        yield from _statements(chat, asked, pages, bill, found)
    yield Answer(
        question, tuple(found.statements), found.left_out, _nearest(reading, found),
        reading.queries, reading.degraded, stores.settings.chat.model or "", bill.tokens,
        bill.dollars, round((time.perf_counter() - started) * 1000, 1), found.remark,
        found.stopped.message if found.stopped else "", found.struck_quotes,
    )  # fmt: skip
    if found.stopped:
        raise found.stopped


def check_question(stores: ConnectedStores, question: str) -> ChatModel:
    """The model that is to answer; raises ConfigError or InputError where nobody can."""
    if stores.chat is None:
        raise ConfigError(
            "No model is set up that answers questions.",
            "Set BOOKBRAIN_CHAT_MODEL to one of OpenAI's, or of the compatible server at "
            "BOOKBRAIN_CHAT_URL. `bookbrain search` needs none.",
        )
    if not any(map(str.isalnum, question)):
        raise InputError("There is no question.", "Ask in at least one word.")
    if len(question) > _LONGEST:
        raise InputError(
            fill("The question is longer than {most:,} characters.", most=_LONGEST), "Shorten it."
        )
    return stores.chat


def _statements(
    chat: ChatModel, asked: Inquiry, pages: Sequence[SourcePage], bill: Bill, found: _Findings
) -> Iterator[Statement]:
    """What the model claims and the pages bear out; what they do not, it is asked for once more."""
    short = False
    try:
        for claim in _claims(chat, answer_prompt(asked, pages, chat.window), bill, found.wanted):
            yield from _judged(claim, asked, pages, found, found.struck)
        short = bill.short
    except BookBrainError as error:
        found.stopped = error
        return
    if found.struck and found.wanted():
        again: list[Struck] = []
        try:
            prompt = repair_prompt(asked, pages, found.struck, chat.window)
            for claim in _claims(chat, prompt, bill, found.wanted):
                for statement in _judged(claim, asked, pages, found, again):
                    found.gained += 1
                    yield statement
        except BookBrainError as error:
            found.remark = fill(
                "Claims that could not be verified were not asked for again: {reason}",
                reason=error.message,
            )
    if short:
        found.remark = fill("The model ran out of tokens: the answer may lack something.")


def _claims(
    chat: ChatModel, prompt: Prompt, bill: Bill, wanted: Callable[[], bool]
) -> Iterator[Claim]:
    """Each as it is complete."""
    reply = Reply()
    for piece in chat.answer(prompt, bill):
        if not wanted():
            return
        yield from reply.feed(piece)
    if not bill.short:
        yield from reply.end()


def _judged(
    claim: Claim, asked: Inquiry, pages: Sequence[SourcePage], found: _Findings,
    struck: list[Struck],
) -> Iterator[Statement]:  # fmt: skip
    found.struck_quotes += struck_quotes(claim, pages)
    verdict = judge(claim, pages, asked.spoken)
    if isinstance(verdict, Struck):
        struck.append(verdict)
    elif all(verdict.text != known.text for known in found.statements):
        found.statements.append(verdict)
        yield verdict


def _nearest(reading: ReadingList, found: _Findings) -> tuple[Quotation, ...]:
    if found.statements:
        return ()
    return tuple(
        Quotation(
            one.page.book_id, one.page.title, one.page.file, one.page.page.number,
            one.page.page.label, one.page.page.chapter_at(0), "",
        )
        for one in reading.pages[:_NEAREST]
    )  # fmt: skip
