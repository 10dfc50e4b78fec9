"""What the words of BookBrain look like as JSON."""

import json

import pytest

from bookbrain.model import Book, LegHit, Why, to_json


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_json_has_no_number_that_is_none(value: float) -> None:
    text = to_json({"why": Why(LegHit(1, value)), "all": [value, 0.5, (value,)]})
    assert json.loads(text, parse_constant=pytest.fail) == {
        "why": {"keyword": {"rank": 1, "score": None}, "vector": None},
        "all": [None, 0.5, [None]],
    }


def test_json_is_on_one_line_and_as_it_is_written() -> None:
    book = Book("a", "책 é\n", "b.pdf", 1, 1, "", ("x",))
    text = to_json([book])
    assert "책 é\\n" in text
    assert "\n" not in text
    assert json.loads(text)[0]["problems"] == ["x"]
