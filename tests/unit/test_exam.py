"""The exam of an embedding model: its texts, its marks, and what they make meaning count."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bookbrain.formats.text import count_tokens
from bookbrain.index.analyzer import FUNCTION_WORDS, terms
from bookbrain.messages import translated
from bookbrain.model import text_digest
from bookbrain.search.exam import Exam, Mark, Marks, Task, exam, exam_digests, marked
from bookbrain.store.embeddings import Vector

PAPER = exam()
TASKS = {"english": PAPER.english, "korean": PAPER.korean, "across": PAPER.across}
HANGUL = re.compile("[가-힣]")
Model = Callable[[str], Vector]


def vectors(model: Model, texts: Sequence[str] = PAPER.texts) -> dict[str, Vector]:
    return {text_digest(text): model(text) for text in texts}


def direction(name: str, dimensions: int = 384) -> Vector:
    """A direction that has nothing to do with any other name's."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    return np.random.default_rng(seed).normal(size=dimensions).astype(np.float32)


def knowing(*tasks: Task, noise: float = 0.0) -> Model:
    """A model that knows which passage answers the questions of these tasks, and nothing else."""
    answers = {q: p for task in tasks for q, p in zip(task.questions, task.passages, strict=True)}
    return lambda text: direction(answers.get(text, text)) + noise * direction(f"noise of {text}")


class TestTexts:
    def test_each_kind_has_sixty_questions_and_as_many_passages(self) -> None:
        for task in TASKS.values():
            assert len(set(task.questions)) == len(set(task.passages)) == 60
        assert PAPER.across.passages == PAPER.english.passages
        assert len(PAPER.texts) == len(set(PAPER.texts)) == len(exam_digests()) == 300

    def test_each_is_in_its_language(self) -> None:
        english = (*PAPER.english.questions, *PAPER.english.passages)
        assert not [text for text in english if HANGUL.search(text)]
        korean = (*PAPER.korean.questions, *PAPER.korean.passages, *PAPER.across.questions)
        assert not [text for text in korean if len(HANGUL.findall(text)) < len(text) / 3]

    def test_it_costs_little(self) -> None:
        assert 8_000 < sum(map(count_tokens, PAPER.texts)) < 20_000

    def test_no_text_is_cut_by_a_model_or_split_into_lines(self) -> None:
        for text in PAPER.texts:
            assert count_tokens(text) < 200
            assert text == " ".join(text.split())

    @pytest.mark.parametrize("name", ["english", "korean"])
    def test_a_question_says_it_in_other_words(self, name: str) -> None:
        task = TASKS[name]
        shares = []
        for question, passage in zip(task.questions, task.passages, strict=True):
            words = set(terms(question)) - set(FUNCTION_WORDS)
            shares.append(len(words & set(terms(passage))) / len(words))
        assert np.mean(shares) < 0.3

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["english", "korean"])
    def test_words_alone_do_not_pass_it(self, name: str) -> None:
        task = TASKS[name]
        passages = [set(terms(passage)) - set(FUNCTION_WORDS) for passage in task.passages]
        right = 0
        for number, question in enumerate(task.questions):
            shared = [len(set(terms(question)) & passage) for passage in passages]
            right += shared[number] > max(shared[:number] + shared[number + 1 :])
        assert right < 36


class TestMarks:
    def test_who_knows_all_is_first_always(self) -> None:
        marks = marked(vectors(knowing(*TASKS.values())))
        assert marks
        for mark in (marks.english, marks.korean, marks.across):
            assert mark.first == 1
            assert mark.weight == Mark(1, 99).weight

    @pytest.mark.parametrize("seed", range(10))
    def test_random_directions_are_near_chance_and_count_nothing(self, seed: int) -> None:
        marks = marked(vectors(lambda text: direction(f"{seed} {text}")))
        assert marks
        for mark in (marks.english, marks.korean, marks.across):
            assert mark.first < 0.12
            assert abs(mark.margin) < 0.6
            assert mark.weight == 0

    def test_who_knows_english_only_counts_for_english_only(self) -> None:
        marks = marked(vectors(knowing(PAPER.english)))
        assert marks
        assert marks.english.first == 1
        assert marks.korean.first < 0.12 > marks.across.first
        assert marks.weight("how do I recover a database?") > 0
        assert marks.weight("데이터베이스를 복구하려면") == marks.weight("GUI까지 깔려면") == 0

    def test_a_script_that_is_not_asked_for_counts_as_the_lesser_one(self) -> None:
        marks = marked(vectors(knowing(PAPER.english)))
        assert marks
        assert marks.weight("データベースの復旧") == marks.weight("восстановление") == 0
        assert marks.weight("récupérer une base") == marks.english.weight
        better = replace(marks, korean=marks.english)
        assert better.weight("データベースの復旧") == marks.english.weight

    @pytest.mark.slow
    def test_the_worse_a_model_is_the_less_it_counts(self) -> None:
        found = [
            marked(vectors(knowing(*TASKS.values(), noise=noise))) for noise in (0, 1, 2, 3, 5, 9)
        ]
        margins = [marks.english.margin for marks in found if marks]
        weights = [marks.english.weight for marks in found if marks]
        assert margins == sorted(margins, reverse=True)
        assert weights == sorted(weights, reverse=True)
        assert weights[0] > 0 == weights[-1]

    def test_length_and_place_of_the_vectors_do_not_matter(self) -> None:
        plain = marked(vectors(knowing(PAPER.english, noise=1)))
        longer = marked(vectors(lambda text: 1000 * knowing(PAPER.english, noise=1)(text)))
        assert plain and longer
        assert longer.english.margin == pytest.approx(plain.english.margin, abs=1e-3)

    def test_one_vector_for_every_text_counts_nothing(self) -> None:
        marks = marked(vectors(lambda text: direction("always")))
        assert marks
        assert marks.english.first == 0
        assert marks.english.weight == 0

    @pytest.mark.parametrize(
        ("kept", "there"), [(1.0, True), (0.9, True), (0.4, False), (0, False)]
    )
    def test_some_texts_may_be_refused_but_not_many(self, kept: float, there: bool) -> None:
        known = vectors(knowing(*TASKS.values()))
        few = {d: v for d, v in known.items() if int(d[:4], 16) < kept * 0x10000}
        assert bool(marked(few)) == there

    def test_what_is_no_vector_is_left_out(self) -> None:
        known = vectors(knowing(*TASKS.values()))
        for question in PAPER.english.questions[:5]:
            known[text_digest(question)] = np.full(384, np.nan, np.float32)
        for question in PAPER.korean.questions[:5]:
            known[text_digest(question)] = np.zeros(384, np.float32)
        marks = marked(known)
        assert marks
        assert marks.english.first == marks.korean.first == 1


class TestTranslation:
    """From which cosine two texts say the same in two languages."""

    def test_who_knows_both_languages_has_one(self) -> None:
        of = dict(zip(PAPER.across.questions, PAPER.english.questions, strict=True))
        marks = marked(
            vectors(lambda text: direction(of.get(text, text)) + 0.5 * direction(f"noise {text}"))
        )
        assert marks and marks.translation
        assert 0.6 < marks.translation < 0.85

    def test_who_knows_one_only_has_none(self) -> None:
        for model in (knowing(PAPER.english), knowing(PAPER.english, PAPER.korean), direction):
            marks = marked(vectors(model))
            assert marks and marks.translation is None

    def test_to_whom_all_is_the_same_has_none(self) -> None:
        marks = marked(vectors(lambda text: direction("always")))
        assert marks and marks.translation is None


class TestWeight:
    def test_it_rises_with_the_margin_and_keeps_silent_at_chance(self) -> None:
        weights = [Mark(0.5, margin / 10).weight for margin in range(-20, 60)]
        assert weights == sorted(weights)
        assert {Mark(0.02, margin).weight for margin in (-3.0, 0.0, 0.5, 1.0)} == {0}
        assert 0.3 <= weights[-1] <= 0.6


@pytest.mark.parametrize(
    ("margins", "english", "korean"),
    [
        ((3.2, 0.2, 0.0), "Pears understands English well, Korean not at all, "
         "English answers to Korean questions not at all.",
         "Pears 모델의 이해도: 영어 잘함, 한국어 전혀 못함, 한국어 질문에 영어 글 찾기 전혀 못함."),
        ((2.2, 3.5, 2.2), "Pears understands English a little, Korean well, "
         "English answers to Korean questions a little.",
         "Pears 모델의 이해도: 영어 조금, 한국어 잘함, 한국어 질문에 영어 글 찾기 조금."),
    ],
)  # fmt: skip
def test_it_is_said_in_words(margins: tuple[float, ...], english: str, korean: str) -> None:
    said = Marks(*(Mark(0.5, margin) for margin in margins)).note("Pears")
    assert said == english
    assert translated(said, "ko") == korean


def test_an_exam_has_each_text_once() -> None:
    task = Task(("what?",), ("that",))
    assert Exam(task, task, Task(("무엇?",), ("that",))).texts == ("that", "what?", "무엇?")
