"""Pages that say the same in two languages are one hit, where both signs agree."""

import numpy as np
import pytest

from bookbrain.model import Page, TextId
from bookbrain.search.duplicates import fold_translations, is_korean, may_translate
from bookbrain.store.embeddings import Vector
from bookbrain.store.rows import FoundPage

ENGLISH = (
    "A mutex guards shared state. Call pthread_mutex_lock before you write to queue_head and"
    " pthread_mutex_unlock behind it; since POSIX 2008 PTHREAD_MUTEX_ROBUST tells of a dead owner."
)
KOREAN = (
    "뮤텍스는 공유 상태를 지킨다. queue_head에 쓰기 전에 pthread_mutex_lock을, 쓴 뒤에"
    " pthread_mutex_unlock을 부른다. POSIX 2008부터는 PTHREAD_MUTEX_ROBUST로 주인이 죽은 것을 안다."
)
OTHER_KOREAN = (
    "스레드를 만들려면 pthread_create를 부르고 pthread_join으로 기다린다. 속성은 POSIX 2008의"
    " pthread_attr_init으로 정하며 sched_setscheduler와 pthread_mutex_lock도 쓸 수 있다."
)
SAME, NEAR, FAR = (np.array([1, x, 0], np.float32) for x in (0.0, 0.3, 3.0))


def found(book: str, text: str, number: int = 1) -> FoundPage:
    return FoundPage(TextId(book, ""), book, f"{book}.pdf", Page(number, str(number), "", text))


def folded(*pages: tuple[str, str, Vector], least: float = 0.9) -> dict[int, list[int]]:
    documents = {n: found(book, text) for n, (book, text, _) in enumerate(pages)}
    vectors = {n: vector for n, (_, _, vector) in enumerate(pages)}
    pairs = may_translate(documents)
    return fold_translations({n: [] for n in documents}, pairs, vectors, least)


def test_a_translation_is_with_the_better_one() -> None:
    english, korean = ("en", ENGLISH, SAME), ("ko", KOREAN, NEAR)
    assert folded(english, korean) == {0: [1]}
    assert folded(korean, english) == {0: [1]}


@pytest.mark.parametrize(
    "other",
    [
        ("ko", KOREAN, FAR),  # it means something else to the model
        ("ko", OTHER_KOREAN, SAME),  # its code is another
        ("ko", KOREAN + OTHER_KOREAN + "EPERM EBUSY", SAME),  # it has much that the other one lacks
        (
            "ko",
            "뮤텍스는 공유 상태를 지킨다. 쓰기 전에 잠그고 쓴 뒤에 푼다.",
            SAME,
        ),  # no code at all
        ("de", ENGLISH.replace("shared", "common"), SAME),  # in the same language
        ("en", KOREAN, SAME),  # of the same book
    ],
    ids=["meaning", "code", "more code", "no code", "language", "book"],
)
def test_what_lacks_a_sign_is_a_hit_of_its_own(other: tuple[str, str, Vector]) -> None:
    assert folded(("en", ENGLISH, SAME), other) == {0: [], 1: []}


def test_what_is_like_it_goes_along_and_what_has_no_vector_stays() -> None:
    pages = {0: found("en", ENGLISH), 1: found("ko", KOREAN), 2: found("ko2", KOREAN)}
    vectors = {0: SAME, 1: SAME}
    kept = fold_translations({0: [7], 1: [8, 9], 2: []}, may_translate(pages), vectors, 0.9)
    assert kept == {0: [7, 1, 8, 9], 2: []}
    assert fold_translations({3: [], 0: []}, may_translate(pages), vectors, 0.9) == {3: [], 0: []}


def test_korean_with_much_code_is_korean() -> None:
    assert is_korean(KOREAN)
    assert is_korean(OTHER_KOREAN)
    assert not is_korean(ENGLISH + " (뮤텍스)")
    assert not is_korean("")
