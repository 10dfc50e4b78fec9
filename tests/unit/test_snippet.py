"""The piece of a page that is shown, and what is marked in it."""

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from bookbrain.index.analyzer import terms
from bookbrain.search.snippet import Marker, make_snippet
from bookbrain.search.syntax import phrase_pattern

WORDS = st.sampled_from(
    ["lock", "<b>", "&", "the", "thenCompose", "a.b()", "비동기", "처리를", "\n", "데이터", '"x"']
)


def snippet(text: str, query: str, phrases: tuple[str, ...] = ()) -> str:
    patterns = [phrase_pattern(phrase) for phrase in phrases]
    marks = Marker(dict.fromkeys(terms(query), 1.0), patterns).find(text)
    return make_snippet(text, marks).html


def marked(text: str, query: str, phrases: tuple[str, ...] = ()) -> list[str]:
    return re.findall("<mark>(.*?)</mark>", snippet(text, query, phrases))


def test_inflections_are_marked() -> None:
    assert marked("It was cancelled, then cancels.", "cancel") == ["cancelled", "cancels"]


def test_words_with_digits_and_accents_are_marked_whole() -> None:
    assert marked("AMD64 is amd64, not xamd64", "amd64") == ["AMD64", "amd64"]
    assert marked("über die Übersetzung", "übersetzung") == ["Übersetzung"]
    assert marked("a café, the cafe", "cafe") == ["café", "cafe"]


def test_whole_identifiers_are_marked_at_once() -> None:
    text = "Call CompletableFuture.thenCompose here"
    assert marked(text, "CompletableFuture.thenCompose") == ["CompletableFuture.thenCompose"]


def test_korean_words_are_marked_without_their_particles() -> None:
    assert marked("이것은 트랜잭션을 기록한다", "트랜잭션") == ["트랜잭션"]
    assert marked("한글은 글자이다", "글자") == ["글자"]


def test_phrases_are_marked_across_lines() -> None:
    assert marked("an exact\nphrase", "exact phrase", ("exact phrase",)) == ["exact phrase"]


def test_a_sign_that_stands_for_several_changes_nothing_for_the_others() -> None:
    text = "And so… don’t panic, use UTF‑8"
    assert marked(text, "utf-8", ("don't panic",)) == ["don’t panic", "UTF‑8"]


def test_markup_of_the_book_stays_text() -> None:
    html = snippet("<script>alert(1)</script> & <img onerror=x>", "alert")
    assert "<script>" not in html
    assert "<img" not in html
    assert "<mark>alert</mark>" in html


def test_the_window_is_where_most_words_meet() -> None:
    text = "lock " + "filler words here " * 60 + "the lock waits for a timeout " + "more " * 200
    html = snippet(text, "lock timeout")
    assert "<mark>timeout</mark>" in html
    assert html.startswith("… ")
    assert html.endswith(" …")


def test_without_a_match_the_page_begins() -> None:
    assert snippet("Only other words.", "zebra") == "Only other words."
    assert snippet("", "zebra") == ""


@given(st.lists(WORDS, max_size=120), st.lists(WORDS, max_size=5))
def test_a_snippet_is_a_piece_of_the_page(page: list[str], query: list[str]) -> None:
    text = " ".join(page)
    html = snippet(text, " ".join(query))
    bare = html.replace("<mark>", "").replace("</mark>", "")
    assert "<" not in bare
    piece = unescape(bare).removeprefix("… ").removesuffix(" …")
    assert piece.strip() in " ".join(text.split())


@given(st.text(max_size=400), st.text(max_size=40))
def test_any_text_gives_a_snippet(text: str, query: str) -> None:
    assert snippet(text, query).count("<mark>") == snippet(text, query).count("</mark>")
