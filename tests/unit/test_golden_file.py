"""Questions that are kept with their judged answer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bookbrain.answers.golden_file import keep_question
from bookbrain.answers.scorecard import KnownQuestion, load_questions
from bookbrain.errors import BookBrainError

RIGHT = KnownQuestion(
    "1", "수달 캐시는?\n그리고 \u2028 \ud800?",
    (frozenset({("책 1.pdf", 3)}), frozenset({("책 1.pdf", 4), ("책 1.pdf", 9)})),
    ("256 MB",), has_answer=True,
)  # fmt: skip
NONE = KnownQuestion("2", "Who wrote it?", (), (), has_answer=False)


def _asked(path: Path) -> list[tuple[str, bool]]:
    return [(one.question, one.has_answer) for one in load_questions(path)]


def test_what_is_kept_is_what_eval_reads(tmp_path: Path) -> None:
    keep_question(tmp_path, RIGHT)
    path = keep_question(tmp_path, NONE)
    right, none = load_questions(path)
    assert (right.quoted, right.facts, right.has_answer) == (RIGHT.quoted, RIGHT.facts, True)
    assert right.question == RIGHT.question.replace("\ud800", "?")
    assert (none.question, none.has_answer, none.quoted) == (NONE.question, False, ())


def test_who_judges_again_means_it_and_the_lines_of_others_stay(tmp_path: Path) -> None:
    path = keep_question(tmp_path, NONE)
    own = '{"id": "mine", "question": "Why?",  "no_answer": true}'
    path.write_text(f'{own}\n{{"question": "Who wro', encoding="utf-8")  # also what is no line
    keep_question(tmp_path, NONE)
    changed = KnownQuestion("", NONE.question, RIGHT.quoted, (), has_answer=True)
    keep_question(tmp_path, changed)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == [own, '{"question": "Who wro']
    assert [json.loads(line)["question"] for line in lines[2:]] == [NONE.question]
    assert "quoted" in lines[2]


def test_what_it_cannot_write_it_says_and_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    path = keep_question(tmp_path, NONE)
    path.unlink()
    path.symlink_to(elsewhere)
    with pytest.raises(BookBrainError, match=r"answers\.jsonl cannot be written"):
        keep_question(tmp_path, NONE)
    path.unlink()
    path.mkdir()
    with pytest.raises(BookBrainError, match=r"answers\.jsonl cannot be written"):
        keep_question(tmp_path, NONE)
    path.rmdir()
    path.write_bytes(b"x" * (1 << 22))
    with pytest.raises(BookBrainError, match="is full"):
        keep_question(tmp_path, NONE)
    assert path.read_bytes() == b"x" * (1 << 22)
    with pytest.raises(BookBrainError, match="cannot be written"):
        keep_question(tmp_path / "nowhere", NONE)
    assert elsewhere.read_text() == "theirs"


_KEEP_ON = """
import sys
from pathlib import Path
from bookbrain.answers.golden_file import keep_question
from bookbrain.answers.scorecard import KnownQuestion
for number in range(int(sys.argv[2]), 10_000):
    keep_question(Path(sys.argv[1]), KnownQuestion("", f"{number}?", (), (), has_answer=False))
    print(number, flush=True)
"""


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    first = 0
    for kept in (1, 2, 5, 11):
        child = subprocess.Popen(
            [sys.executable, "-c", _KEEP_ON, str(tmp_path), str(first)],
            stdout=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        assert child.stdout
        last = [int(child.stdout.readline()) for _ in range(kept)][-1]
        child.kill()
        child.communicate()
        questions = [question for question, _ in _asked(tmp_path / "answers.jsonl")]
        assert questions == [f"{number}?" for number in range(len(questions))]
        assert len(questions) > last
        first = len(questions)
