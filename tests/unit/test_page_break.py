"""What is cut at the end of a page is found on it."""

from collections.abc import Sequence

import pytest

from bookbrain.index.analyzer import page_terms
from bookbrain.index.page_break import cut_words, joints
from bookbrain.model import Page

PROSE = "This is a line of prose that is long enough to be no running head, and so it goes on here."


@pytest.mark.parametrize(
    ("end", "start"),
    [
        ("by a compensating", "transaction that undoes"),
        ("by a compensating\n12", "transaction that undoes"),
        ("by a compensating", "Chapter 3\ntransaction that undoes"),
        ("by a compensating\n12", "Chapter 3\n13\ntransaction that undoes"),
        ("by a compensating  \n", "\n transaction that undoes"),
    ],
)
def test_a_joint_leaves_out_what_stands_beside_the_break(end: str, start: str) -> None:
    around = list(joints(f"{PROSE}\n{end}", f"{start}\n{PROSE}"))
    assert any(
        joint[:at].endswith("compensating") and joint[at:].split()[0] == "transaction"
        for joint, at in around
    )


def test_a_line_of_prose_is_no_running_head() -> None:
    assert all(joint.startswith(PROSE) for joint, _ in joints(PROSE, "next"))
    assert all(joint.endswith(PROSE) for joint, _ in joints("before", f"{PROSE}"))


@pytest.mark.parametrize(
    ("pages", "cut"),
    [
        (["the word lineariz-", "ability is a promise"], ["linearizability", ""]),
        (["the word lineariz-\n17", "3. Terms\nability is a promise"], ["linearizability", ""]),
        (["되돌리는 새로운 트랜", "잭션이며 사가 패턴"], ["새로운 트랜잭션이며 사가", ""]),
        (["a range of A-", "Z and more"], ["", ""]),
        (["the end.", "ability"], ["", ""]),
        (["이 책을 읽는다", "다음 장에서 본다"], ["", ""]),
        (["", "ability"], ["", ""]),
        ([], []),
    ],
)
def test_cut_words(pages: Sequence[str], cut: Sequence[str]) -> None:
    assert cut_words(pages) == cut


def test_a_cut_word_is_a_term_of_the_page_where_it_begins() -> None:
    pages = [Page(1, "1", "", "the word lineariz-"), Page(2, "2", "", "ability is a promise")]
    first, second = page_terms(pages)
    assert "linearizability"[:8] in {term[:8] for term in first}
    assert "linearizability"[:8] not in {term[:8] for term in second}
