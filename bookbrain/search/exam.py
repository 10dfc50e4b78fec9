"""The exam of an embedding model: how well it tells what is meant, in each language.

`exam.jsonl` has passages, two or three about the same thing, and what somebody asks who looks for
one of them, in other words: in English and in Korean for an English passage, in Korean for a Korean
one. The vectors of these texts are bought like those of a book and lie with them in the embedding
store; all marks are computed from there.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy import linalg
from numpy.typing import NDArray

from bookbrain.korean import HANGUL
from bookbrain.messages import Filled, fill
from bookbrain.model import text_digest
from bookbrain.store.embeddings import Vector, is_sound

_ENOUGH = 0.75  # of the questions of a kind: an endpoint may refuse some
_CHANCE, _SURE = 1.8, 3.0  # margins where a model has nothing to say, and all; tests/golden
_MOST = 0.45  # what meaning counts against keywords at most
UNKNOWN = 0.2  # what it counts while there are no marks: random vectors do no harm then
_OTHER_SCRIPT = re.compile(r"[^\W\d_\u0000-\u024f]")  # a letter that is not Latin


@dataclass(frozen=True, slots=True)
class Task:
    """Questions and passages of one kind; the passage of the same place answers a question."""

    questions: tuple[str, ...]
    passages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exam:
    """`across` asks in Korean for the passages of `english`."""

    english: Task
    korean: Task
    across: Task

    @property
    def texts(self) -> tuple[str, ...]:
        """All that a model is asked for, each once."""
        tasks = (self.english, self.korean, self.across)
        return tuple(dict.fromkeys(t for task in tasks for t in (*task.passages, *task.questions)))


@dataclass(frozen=True, slots=True)
class Mark:
    """How well a model does one kind of task.

    `first`: the share of the questions whose passage is nearer than every other one of the kind;
    by chance it is 1 / 60. `margin`: how far it is nearer than the others are on average, in
    standard deviations of these, on average; by chance it is 0, and seldom above 0.4.
    """

    first: float
    margin: float

    @property
    def weight(self) -> float:
        """What the model may count against keywords, 0 to 0.45; it rises with the margin."""
        share = (self.margin - _CHANCE) / (_SURE - _CHANCE)
        return _MOST * min(max(share, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Marks:
    """Those of one model. `translation` is the cosine from which a text in Korean is to it what one
    in English says; None where that tells nothing."""

    english: Mark
    korean: Mark
    across: Mark
    translation: float | None = None

    def weight(self, query: str) -> float:
        """What meaning counts for `query`, by its language.

        Of a script that the exam does not ask for nothing is known: the lesser mark counts.
        """
        if HANGUL.search(query):
            return self.korean.weight
        if _OTHER_SCRIPT.search(query):
            return min(self.english.weight, self.korean.weight)
        return self.english.weight

    def note(self, model: str) -> Filled:
        """For a person."""
        return fill(
            "{model} understands {english}, {korean}, {across}.",
            model=model,
            english=_ENGLISH[_degree(self.english)],
            korean=_KOREAN[_degree(self.korean)],
            across=_ACROSS[_degree(self.across)],
        )


_WELL = 0.75  # of the most that a model may count
_ENGLISH = (fill("English not at all"), fill("English a little"), fill("English well"))
_KOREAN = (fill("Korean not at all"), fill("Korean a little"), fill("Korean well"))
_ACROSS = (
    fill("English answers to Korean questions not at all"),
    fill("English answers to Korean questions a little"),
    fill("English answers to Korean questions well"),
)


def _degree(mark: Mark) -> int:
    return 0 if not mark.weight else 1 if mark.weight < _WELL * _MOST else 2


@cache
def exam() -> Exam:
    """The one that each model takes."""
    text = (files("bookbrain.search") / "exam.jsonl").read_text(encoding="utf-8")
    entries = [json.loads(line) for line in text.splitlines()]
    english = [entry for entry in entries if "en" in entry]
    korean = [entry for entry in entries if "en" not in entry]
    passages = tuple(entry["passage"] for entry in english)
    return Exam(
        Task(tuple(entry["en"] for entry in english), passages),
        Task(tuple(entry["ko"] for entry in korean), tuple(entry["passage"] for entry in korean)),
        Task(tuple(entry["ko"] for entry in english), passages),
    )


@cache
def exam_digests() -> dict[str, str]:
    """The texts of the exam by what they are embedded under."""
    return {text_digest(text): text for text in exam().texts}


def marked(vectors: Mapping[str, Vector]) -> Marks | None:
    """The marks of the model that gave `vectors`, by digest; None where too many are not there."""
    paper = exam()
    english, korean, across = (
        _mark(task, vectors) for task in (paper.english, paper.korean, paper.across)
    )
    if not english or not korean or not across:
        return None
    translations = _cosines(paper.english.questions, paper.across.questions, vectors)
    return Marks(english, korean, across, _translation(translations))


def _cosines(
    some: Sequence[str], others: Sequence[str], vectors: Mapping[str, Vector]
) -> NDArray[np.float64] | None:
    """Of each of some texts, by row, with each of the others: (n, n), the pairs on the diagonal.

    Of fewer pairs where vectors are missing; None where too many are.
    """
    pairs = [
        (vectors.get(text_digest(one)), vectors.get(text_digest(other)))
        for one, other in zip(some, others, strict=True)
    ]
    sound = [(a, b) for a, b in pairs if a is not None and b is not None]
    sound = [(a, b) for a, b in sound if is_sound(a) and is_sound(b)]
    if len(sound) < _ENOUGH * len(pairs):
        return None
    rows, columns = (
        np.array([one / linalg.norm(one) for one in np.array(side, np.float64)])
        for side in zip(*sound, strict=True)
    )
    return np.asarray(rows @ columns.T)


def _translation(cosines: NDArray[np.float64] | None) -> float | None:
    """What half of the translations reach, and hardly anything else does."""
    if cosines is None:
        return None
    reached = float(np.median(cosines.diagonal()))
    others = cosines[~np.eye(len(cosines), dtype=np.bool_)]
    return reached if reached > np.quantile(others, 0.999) else None


def _mark(task: Task, vectors: Mapping[str, Vector]) -> Mark | None:
    cosines = _cosines(task.questions, task.passages, vectors)
    if cosines is None:
        return None
    count = len(cosines)
    right = cosines.diagonal()
    wrong = cosines[~np.eye(count, dtype=np.bool_)].reshape(count, count - 1)
    spread = np.maximum(wrong.std(axis=1), 1e-9)  # 0 where a model gives all texts one vector
    margin = ((right - wrong.mean(axis=1)) / spread).mean()
    return Mark(float((right > wrong.max(axis=1)).mean()), float(margin))
