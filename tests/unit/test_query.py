"""What a person typed, read without ever failing but in one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookbrain.errors import InputError
from bookbrain.search.query import MAX_QUERY, Query, parse_query, phrase_finder


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("cancel a future", Query("cancel a future")),
        ('how "exactly this" works', Query("how exactly this works", ("exactly this",))),
        ("lock -deadlock", Query("lock", (), ("deadlock",))),
        ('lock -"dead lock"', Query("lock", (), (), ("dead lock",))),
        ("“둥근 따옴표”", Query("둥근 따옴표", ("둥근 따옴표",))),
        ("Pin-Priority: -1", Query("Pin-Priority: -1")),
        ("dput --delayed", Query("dput --delayed")),
        ('an "open quote', Query("an open quote")),
        ("well-known", Query("well-known")),
        ("tab\there\x00now", Query("tab here now")),
    ],
)
def test_read_as(typed: str, query: Query) -> None:
    assert parse_query(typed) == query


@pytest.mark.parametrize("typed", ["", "   ", '"', '""', "-word", '-"some words"', "\x00\x07"])
def test_nothing_to_look_for(typed: str) -> None:
    with pytest.raises(InputError) as error:
        parse_query(typed)
    assert error.value.hint


@given(st.text(max_size=300))
def test_any_text_is_a_query_or_a_clear_error(typed: str) -> None:
    try:
        query = parse_query(typed)
    except InputError:
        return
    assert query.text
    assert '"' not in query.text


def test_a_long_query_is_cut() -> None:
    assert len(parse_query("x" * 10_000).text) == MAX_QUERY


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("exact phrase", "an Exact\nPhrase here"),
        ("메모리 관리", "메모리관리"),
        ("메모리관리", "메모\n리 관리"),
        ("keep-consoles", "keep\u2011consoles"),
        ("a.b(c)*", "call a.b(c)* now"),
    ],
)
def test_a_phrase_is_found(phrase: str, text: str) -> None:
    assert phrase_finder(phrase)(text)


@pytest.mark.parametrize(
    ("phrase", "text"), [("exact phrase", "exactphrase"), ("a.b", "acb"), ("둘 셋", "셋 둘")]
)
def test_a_phrase_is_not_found(phrase: str, text: str) -> None:
    assert not phrase_finder(phrase)(text)
