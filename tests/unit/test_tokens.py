"""Estimated tokens behave like real ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookbrain.formats.text import count_tokens

ENGLISH = (
    "The garbage collector reclaims memory that the program no longer uses. Developers rarely "
    "think about it until a pause shows up in production, and then they think of little else."
)
KOREAN = "비동기 처리는 요청을 보낸 뒤 결과를 기다리지 않고 다음 일을 하는 방식이다."
CODE = "for (int i = 0; i < 10; ++i) { total += values[i]; }"


# The shares that cl100k_base is known for: of English four to five characters a token, of Hangul
# about a token a syllable, of code two to three characters a token.
@pytest.mark.parametrize(
    ("text", "low", "high"), [(ENGLISH, 4.0, 5.5), (KOREAN, 0.9, 1.5), (CODE, 1.6, 3.0)]
)
def test_characters_a_token(text: str, low: float, high: float) -> None:
    assert low <= len(text) / count_tokens(text) <= high


@given(st.text(), st.text())
def test_more_text_never_costs_less(first: str, second: str) -> None:
    assert 1 <= count_tokens(first) <= count_tokens(f"{first} {second}")


@given(st.lists(st.sampled_from(["word", "비동기", "42", "x=y", "\n", " "]), max_size=40))
def test_pieces_cost_at_least_the_whole(pieces: list[str]) -> None:
    assert count_tokens("".join(pieces)) <= 1 + sum(map(count_tokens, pieces))


def test_white_space_is_free() -> None:
    assert count_tokens(" \n\t" * 100) == count_tokens("") == 1
