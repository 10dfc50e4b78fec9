"""Passages: all the readable text, at most 800 tokens each, 200 of them shared."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.prose import technical_pages

from bookbrain.formats.text import OVERLAP_TOKENS, PASSAGE_TOKENS, count_tokens, make_passages
from bookbrain.model import Page, Passage, Span

Place = tuple[int, int]  # page, character

LINES = st.sampled_from(
    [
        "",
        "Short line.",
        "x = f(y);",
        "    return x;",
        "가나다라마바사아자차카타파하 " * 12,
        "The kernel runs. It never stops! Does it? " * 9,
        "word " * 700,
        "한" * 500,
        "1a1b" * 300,
        "total += values[i]; " * 90,
        "한글 문장이 여기에 있다. " * 60,
    ]
)
PAGE_TEXTS = st.lists(st.lists(LINES, max_size=12).map("\n".join), max_size=5)


def pages_of(texts: list[str]) -> list[Page]:
    return [Page(number, str(number), "", text) for number, text in enumerate(texts, start=1)]


def covered(passages: Iterable[Passage]) -> set[Place]:
    return {
        (span.page, place)
        for passage in passages
        for span in passage.spans
        for place in range(span.start, span.end)
    }


class TestAnyPages:
    @pytest.mark.slow
    @given(PAGE_TEXTS)
    def test_spans_are_the_text(self, texts: list[str]) -> None:
        for ordinal, passage in enumerate(make_passages(pages_of(texts))):
            cut = [texts[span.page - 1][span.start : span.end] for span in passage.spans]
            assert passage.text == "\n".join(cut)
            assert passage.text.strip()
            assert passage.ordinal == ordinal
            assert [span.page for span in passage.spans] == sorted({s.page for s in passage.spans})

    @pytest.mark.slow
    @given(PAGE_TEXTS)
    def test_all_readable_text_is_covered(self, texts: list[str]) -> None:
        passages = make_passages(pages_of(texts))
        visible = {
            (number, place)
            for number, text in enumerate(texts, start=1)
            for place, character in enumerate(text)
            if not character.isspace()
        }
        assert visible <= covered(passages)

    @pytest.mark.slow
    @given(PAGE_TEXTS)
    def test_size_and_overlap(self, texts: list[str]) -> None:
        passages = make_passages(pages_of(texts))
        assert all(count_tokens(passage.text) <= PASSAGE_TOKENS for passage in passages)
        for before, after in pairwise(passages):
            shared = covered([before]) & covered([after])
            assert count_tokens(characters(texts, shared)) <= OVERLAP_TOKENS
            assert covered([after]) - shared, "each one brings something new"

    @pytest.mark.slow
    @given(PAGE_TEXTS)
    def test_the_same_every_time(self, texts: list[str]) -> None:
        pages = pages_of(texts)
        assert make_passages(pages) == make_passages(pages)


def characters(texts: list[str], places: set[Place]) -> str:
    return "".join(texts[page - 1][place] for page, place in sorted(places))


@pytest.mark.parametrize("language", ["ko", "en", "mixed"])
def test_of_prose_a_sixth_to_a_third_is_shared(language: str) -> None:
    pages = pages_of(technical_pages(20, seed=1, language=language))  # type: ignore[arg-type]
    passages = make_passages(pages)
    size = sum(len(p.text) for p in passages)
    share = 1 - sum(len(page.text) for page in pages) / size
    assert 1 / 6 < share < 1 / 3
    assert sum(count_tokens(p.text) for p in passages) / len(passages) > 600


@pytest.mark.parametrize(
    "sentence", ["The kernel runs on and never stops. ", "커널은 멈추지 않는다. "]
)
def test_a_paragraph_of_many_pages_overlaps_too(sentence: str) -> None:
    text = (sentence * 400).strip()
    passages = make_passages(pages_of([text]))
    assert len(passages) > 4
    for before, after in pairwise(passages):
        shared = text[after.spans[0].start : before.spans[0].end]
        assert 100 <= count_tokens(shared) <= OVERLAP_TOKENS
        assert text[after.spans[0].start - 1] == " ", "cut after a sentence"


def test_code_is_kept_whole() -> None:
    listing = "\n".join(f"    total[{i}] = compute(values[{i}], {i});" for i in range(25))
    assert 250 < count_tokens(listing) <= PASSAGE_TOKENS
    prose = "\n".join("A line of prose that says nothing at all." for _ in range(60))
    passages = make_passages(pages_of([f"{prose}\n{listing}\n{prose}"]))
    assert len(passages) > 1
    assert any(listing in passage.text for passage in passages)


def test_too_long_a_listing_is_cut_between_lines() -> None:
    listing = "\n".join(f"total[{i}] = compute(values[{i}], {i});" for i in range(300))
    passages = make_passages(pages_of([listing]))
    assert len(passages) > 2
    assert all(passage.text.startswith("total[") for passage in passages)
    assert all(passage.text.rstrip().endswith(");") for passage in passages)


def test_pages_that_cannot_be_read_are_left_out() -> None:
    pages = [
        Page(1, "i", "", "One."),
        Page(2, "ii", "", "", problem="garbled"),
        Page(3, "1", "", ""),
        Page(4, "2", "", "Four."),
    ]
    (passage,) = make_passages(pages)
    assert passage.spans == (Span(1, 0, 4), Span(4, 0, 5))
    assert passage.text == "One.\nFour."
    assert make_passages(pages[1:3]) == ()


def test_a_page_of_blank_lines_makes_no_blank_passage() -> None:
    passages = make_passages(pages_of(["a" + "\n" * 3000 + "b"]))
    assert [passage.text.split() for passage in passages] == [["a", "b"]]


def test_digest_is_of_the_text() -> None:
    one, two = (make_passages(pages_of([text]))[0] for text in ("같은", "같은"))
    assert one.digest == two.digest
    assert len(one.digest) == 64
