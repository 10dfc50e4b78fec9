"""A quotation stands on its page character by character, or nowhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookbrain.answers.quotation import find_quotation

PAGE = (
    "The make utility determines which pieces of a large program need to be recom-\n"
    "piled, and issues the “well-known” commands. It isn’t\nready for 1.5 jobs – yet.\n"
    "Never call free twice on the same pointer. The non-blocking read returns −1 at once.\n"
    "The flag !ready is set before foo.bar runs 3-5 jobs.\n"
    "트랜잭션 로그는 비동기 처리로 기록한다. 이 값은 바꿀 수 없다. "
    "데드락은 자원을 서로 기\n다릴 때 생긴다."
)


def found(quote: str) -> str:
    place = find_quotation(quote, PAGE)
    return " ".join(PAGE[slice(*place)].split()) if place else ""


@pytest.mark.parametrize(
    "quote",
    [
        "The make utility determines which pieces",
        "the make utility determines which pieces",  # its first letter alone
        "“The make utility determines which pieces”",
        "The  make\nutility determines\twhich pieces",
        "need to be recompiled, and issues",
        "need to be recom-piled, and issues",
        'issues the "well-known" commands.',
        "It isn't ready for 1.5 jobs - yet.",
        "Never call free twice on the same pointer.",
        "The non\u2011blocking read returns -1 at once.",
        "The make utility\u200b determines which",
        "트랜잭션 로그는 비동기 처리로 기록한다.",
        "데드락은 자원을 서로 기다릴 때 생긴다.",
    ],
)
def test_the_words_of_the_page_are_found_however_they_are_set(quote: str) -> None:
    assert found(quote)


@pytest.mark.parametrize(
    "quote",
    [
        "The make utility decides which pieces",  # a word
        "ready for 2.5 jobs",  # a digit
        "ready for 15 jobs",
        "The make utility … need to be recompiled",  # an ellipsis
        "The make utility ... need to be recompiled",
        "The make utility determines which commands",  # stitched
        "It isn't ready for 1.5 jobs. The make utility determines",  # another order
        "The MAKE utility determines which",  # its case
        "the flag !Ready is set before",
        "utility makes determines which pieces",
        "call free twice on the same pointer",  # "never" is left out
        "free twice on the same pointer.",
        "이 값은 바꿀 수",  # and its end
        "blocking read returns −1 at once",  # of non-blocking
        "make utility determines which piece",  # words and numbers that are cut
        "1 at once. The flag",
        "ready is set before foo.bar",  # of !ready
        "ready is set before foo",  # of foo.bar
        "5 jobs. 트랜잭션 로그는",  # of 3-5
        "래잭션 로그는 비동기 처리로",
        "동기 처리로 기록한다.",
        "the make",  # too short to mean anything
        "of a",
        "to be the of a",
        "which to be of",
        "- – “” ...",
        "",
        "   ",
        "x" * 5000,
    ],
)
def test_what_is_not_there_is_found_nowhere(quote: str) -> None:
    assert not found(quote)


def test_what_takes_a_piece_of_a_sentence_back_belongs_to_it() -> None:
    page = "You may remove the whole folder unless a job is running. Do it with care."
    assert not find_quotation("You may remove the whole folder", page)
    assert find_quotation("You may remove the whole folder unless a job is running", page)
    page = "Nobody reads this.\n• Use a mutex for shared counters\n• Do not use sleep"
    assert find_quotation("Use a mutex for shared counters", page)


def test_a_quotation_that_stands_twice_is_found_where_it_is_whole() -> None:
    page = "Never lock the outer mutex first here. Then lock the outer mutex first here."
    place = find_quotation("lock the outer mutex first here", page)
    assert place is None or page[: place[0]].endswith("Then ")
    assert find_quotation("Then lock the outer mutex first here.", page)


def test_the_number_of_a_footnote_is_not_a_part_of_the_sentence() -> None:
    page = "머리를 설정하려면 xob-paralist를 로드한다.8)\n판은 2.5 이다. 다음은 libfoo.5) 이다."
    assert find_quotation("머리를 설정하려면 xob-paralist를 로드한다.", page)
    assert find_quotation("다음은 libfoo.", page) is None


@given(st.data())
def test_what_is_found_is_the_quotation_itself(data: st.DataObject) -> None:
    """Any piece of the page that is found is that piece; with another letter it is not."""
    start = data.draw(st.integers(0, len(PAGE) - 20))
    end = data.draw(st.integers(start + 1, len(PAGE)))
    quote = PAGE[start:end]
    if place := find_quotation(quote, PAGE):
        bare = quote.strip().strip("“”\"'’ ").split()
        assert "".join(PAGE[slice(*place)].split()).endswith(bare[-1])
    at = data.draw(st.integers(0, len(quote) - 1))
    if quote[at].isalnum():
        other = "7" if quote[at] != "7" else "8"
        assert find_quotation(quote[:at] + other + quote[at + 1 :], PAGE) is None


@given(st.text(max_size=80), st.text(max_size=200))
def test_any_text_is_taken(quote: str, page: str) -> None:
    place = find_quotation(quote, page)
    assert place is None or 0 <= place[0] < place[1] <= len(page)
