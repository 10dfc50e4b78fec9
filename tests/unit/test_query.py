"""What a person typed, read without ever failing but in one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookbrain.errors import InputError
from bookbrain.index.analyzer import fold
from bookbrain.search.query import MAX_QUERY, ParsedQuery, parse_query, phrase_pattern


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("cancel a future", ParsedQuery("cancel a future")),
        ('how "exactly this" works', ParsedQuery("how exactly this works", ("exactly this",))),
        ("lock -deadlock", ParsedQuery("lock", (), ("deadlock",))),
        ('lock -"dead lock"', ParsedQuery("lock", (), (), ("dead lock",))),
        ("“둥근 따옴표”", ParsedQuery("둥근 따옴표", ("둥근 따옴표",))),
        ("Pin-Priority: -1", ParsedQuery("Pin-Priority: -1")),
        ("dput --delayed", ParsedQuery("dput --delayed")),
        ('an "open quote', ParsedQuery("an open quote")),
        ("well-known", ParsedQuery("well-known")),
        ("tab\there\x00now", ParsedQuery("tab here now")),
    ],
)
def test_read_as(typed: str, query: ParsedQuery) -> None:
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
    assert phrase_pattern(phrase).search(fold(text))


@pytest.mark.parametrize(
    ("phrase", "text"), [("exact phrase", "exactphrase"), ("a.b", "acb"), ("둘 셋", "셋 둘")]
)
def test_a_phrase_is_not_found(phrase: str, text: str) -> None:
    assert not phrase_pattern(phrase).search(fold(text))
