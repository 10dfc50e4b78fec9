"""How good answers are, on questions of which it is known what must be quoted and said, or that the
books have no answer. The words are compared as quotations are; nobody judges what they mean."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any
from unicodedata import normalize

from bookbrain.answers.answer import Answer, Event
from bookbrain.answers.quotation import plain
from bookbrain.errors import BookBrainError, InputError
from bookbrain.messages import fill
from bookbrain.search.evaluation import Place, percentiles, read_lines

_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question, whose answer must quote one place of each of `quoted` and has each of `facts`.
    Where `has_answer` is false, the books do not say."""

    id: str
    question: str
    quoted: tuple[frozenset[Place], ...]
    facts: tuple[str, ...]
    has_answer: bool


@dataclass(frozen=True, slots=True)
class Marked:
    """What came of a question. `unquoted` are the places, and `missing` the facts, that the answer
    lacks; `fault` is what ended it, "" for none."""

    known: KnownQuestion
    answer: Answer
    seconds: float
    unquoted: tuple[frozenset[Place], ...] = ()
    missing: tuple[str, ...] = ()
    fault: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether it was said that the books do not say."""
        return not self.fault and not self.answer.statements

    @property
    def is_right(self) -> bool:
        if not self.known.has_answer:
            return self.is_refused
        return not (self.fault or self.unquoted or self.missing) and not self.is_refused


def load_questions(path: Path) -> list[KnownQuestion]:
    """Read JSON lines; raises InputError naming the line that is wrong."""
    questions = []
    for number, line in read_lines(path):
        try:
            questions.append(known_question(line, str(number)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                fill(
                    "{path}, line {number} is no question whose answer is known ({error}).",
                    path=path, number=number, error=_reason(error),
                ),
                "It needs `question`, and `no_answer` set to true or `quoted`, a list of `book` "
                "with its `pages`; it may have `facts` and `id`.",
            ) from error  # fmt: skip
    if not questions:
        raise InputError(
            fill("{path} has no questions.", path=path), "Write one JSON object a line."
        )
    return questions


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def known_question(line: str | bytes, number: str = "") -> KnownQuestion:
    """A line of JSON; `number` is its id where it has none.

    Raises ValueError, KeyError, TypeError, AttributeError or RecursionError for another one.
    """
    entry = json.loads(line)
    if unknown := entry.keys() - {"id", "question", "quoted", "facts", "no_answer"}:
        raise ValueError(f"{min(unknown)} is not known")
    question, refused = entry["question"], entry.get("no_answer", False)
    places = [] if refused else entry["quoted"]
    facts = entry.get("facts", [])
    if not isinstance(question, str) or not question.strip():
        raise ValueError("question must be a text")
    if not isinstance(refused, bool):
        raise ValueError("no_answer must be true or false")
    if refused and (facts or entry.get("quoted")):
        raise ValueError("without an answer there is nothing to quote or to say")
    if not isinstance(places, list) or not (places or refused):
        raise ValueError("quoted must be a list of places")
    if not isinstance(facts, list) or not all(isinstance(f, str) and f.strip() for f in facts):
        raise ValueError("facts must be a list of texts")
    return KnownQuestion(
        str(entry.get("id", number)), question, tuple(map(_places, places)), tuple(facts),
        not refused,
    )  # fmt: skip


def _places(entry: Any) -> frozenset[Place]:
    book, pages = entry["book"], entry["pages"]
    numbers = isinstance(pages, list) and all(type(p) is int and p > 0 for p in pages)
    if not isinstance(book, str) or not numbers or not pages:
        raise ValueError("pages must be a list of physical pages, and book a file name")
    return frozenset((normalize("NFC", book), page) for page in pages)


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What came of all questions, one at least; `seconds` are p50 and p95 of an answer."""

    marked: tuple[Marked, ...]
    seconds: tuple[float, float]

    @property
    def supported_claims(self) -> int:
        return sum(len(one.answer.statements) for one in self.marked)

    @property
    def struck_quotes(self) -> int:
        return sum(one.answer.struck_quotes for one in self.marked)

    @property
    def left_out(self) -> int:
        return sum(one.answer.left_out for one in self.marked)

    @property
    def quoted(self) -> tuple[int, int]:
        """How many places were quoted, of those that must be."""
        wanted = sum(len(one.known.quoted) for one in self.marked)
        return wanted - sum(len(one.unquoted) for one in self.marked), wanted

    @property
    def facts(self) -> tuple[int, int]:
        """How many facts were said, of those that must be."""
        wanted = sum(len(one.known.facts) for one in self.marked)
        return wanted - sum(len(one.missing) for one in self.marked), wanted

    def refusals(self, *, right: bool) -> int:
        """How often it was said that the books do not say, where that is so, or where it is not."""
        return sum(one.is_refused and one.known.has_answer != right for one in self.marked)

    @property
    def answered_wrongly(self) -> int:
        """How often something was said where the books do not say."""
        return sum(bool(one.answer.statements) and not one.known.has_answer for one in self.marked)

    @property
    def failed(self) -> int:
        return sum(bool(one.fault) for one in self.marked)

    @property
    def tokens(self) -> int:
        return sum(one.answer.tokens for one in self.marked)

    @property
    def dollars(self) -> float | None:
        """None where no price is known."""
        costs = [one.answer.dollars for one in self.marked if one.answer.dollars is not None]
        return round(sum(costs), 9) if costs else None


Ask = Callable[[str], Iterable[Event]]


def mark_answers(
    questions: Sequence[KnownQuestion],
    ask: Ask,
    on_marked: Callable[[Marked], None] = lambda marked: None,
) -> Scorecard:
    """Ask each question, of which there is one at least. A fault is that of its question; where all
    have one, the first is raised."""
    marked: list[Marked] = []
    faults: list[BookBrainError] = []
    for known in questions:
        started, answer, fault = perf_counter(), Answer(known.question), ""
        try:
            for event in ask(known.question):
                answer = event if isinstance(event, Answer) else answer
        except BookBrainError as error:
            faults.append(error)
            fault = error.message
        marked.append(_marked(known, answer, perf_counter() - started, fault))
        on_marked(marked[-1])
    if len(faults) == len(questions):
        raise faults[0]
    return Scorecard(tuple(marked), percentiles([one.seconds for one in marked]))


def _marked(known: KnownQuestion, answer: Answer, seconds: float, fault: str) -> Marked:
    quotes = [quotation for one in answer.statements for quotation in one.quotes]
    places = {(normalize("NFC", quote.file), quote.page) for quote in quotes}
    said = "\n".join([one.text for one in answer.statements] + [q.quote for q in quotes])
    unquoted = tuple(wanted for wanted in known.quoted if not wanted & places)
    missing = tuple(fact for fact in known.facts if not says(said, fact))
    return Marked(known, answer, round(seconds, 3), unquoted, missing, fault)


def says(text: str, fact: str) -> bool:
    """Whether a text has a fact, whole: 4 is not in 40 or 4.5, and 1,024 is 1024."""
    wanted = re.escape(_compared(fact))
    whole = rf"(?<![0-9A-Za-z_])(?<!\d[.,]){wanted}(?![0-9A-Za-z_])(?![.,]\d)"
    return bool(re.search(whole, _compared(text)))


def _compared(text: str) -> str:
    return _GROUPED.sub("", plain(text)).casefold()
