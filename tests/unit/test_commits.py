"""Books come and go; the index stays that of one big segment."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.shelving import Documents, first_text, shelve

from bookbrain.files import PART
from bookbrain.index.bm25 import KeywordIndex, open_commit
from bookbrain.index.commit import CHUNK, Part, drop_unnamed, merge
from bookbrain.index.segment import (
    MOST,
    SEGMENT_DAMAGE,
    count_terms,
    open_segment,
    segment_name,
    segments_of,
    write_segment,
)

_WORDS = [f"w{n}" for n in range(12)]
_RANDOM = np.random.default_rng(6)
_TEXTS: dict[str, Documents] = {
    f"book{n:02}": [
        [str(word) for word in _RANDOM.choice(_WORDS, _RANDOM.integers(0, 30))]
        for _ in range(_RANDOM.integers(1, 9))
    ]
    for n in range(24)
}
_QUERIES = [{"w1": 1.0}, {"w2": 1.0, "w3": 0.5, "w11": 2.0}, dict.fromkeys(_WORDS, 1.0)]


def answers(index: KeywordIndex) -> list[list[tuple[tuple[str, int], float]]]:
    """Every document that each query finds, by book and page, with its score."""
    return [
        [(index.place(d), score) for d, score in index.best(index.look_up(query), 1000).items()]
        for query in _QUERIES
    ]


def one_segment(folder: Path, books: Sequence[str], chunk: int = CHUNK) -> KeywordIndex:
    """The index of the books in one single segment."""
    folder.mkdir(exist_ok=True)
    for book in books:
        write_segment(folder, first_text(book), count_terms(_TEXTS[book]))
    texts = [first_text(book) for book in books]
    parts = [Part(open_segment(folder / segment_name([text])), {text}) for text in texts]
    return KeywordIndex([open_segment(folder / merge(folder, parts, chunk))])


CHANGES = st.lists(
    st.lists(st.sampled_from([*_TEXTS]), min_size=1, max_size=8), min_size=1, max_size=4
)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where each segment that is compared with is written once."""
    return tmp_path_factory.mktemp("single")


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(CHANGES)
def test_any_adds_and_removals_give_the_scores_of_one_segment(
    single: Path, changes: list[list[str]]
) -> None:
    """Each change takes out the books that are in, and adds those that are not."""
    with TemporaryDirectory() as folder:
        segments = Path(folder) / "shards"
        segments.mkdir()
        commit, books = None, dict[str, None]()
        for change in changes:
            for book in change:
                books.pop(book) if book in books else books.setdefault(book)
            commit = shelve(segments, commit, [*books], _TEXTS)
            drop_unnamed(segments, commit, {first_text(book) for book in books})
        assert commit
        index = open_commit(segments, commit)
        if not books:
            assert index.documents == 0
            return
        assert answers(index) == answers(one_segment(single, sorted(books)))


def test_books_added_one_by_one_become_the_segments_of_those_added_at_once(tmp_path: Path) -> None:
    slow, fast = tmp_path / "slow", tmp_path / "fast"
    slow.mkdir()
    fast.mkdir()
    commit = None
    for n in range(1, len(_TEXTS) + 1):
        commit = shelve(slow, commit, [*_TEXTS][:n], _TEXTS)
    assert commit == shelve(fast, None, [*_TEXTS], _TEXTS)
    assert len(segments_of(fast, commit)) <= 4


def test_merging_in_many_chunks_is_merging_in_one(tmp_path: Path) -> None:
    books = [*_TEXTS]
    at_once = one_segment(tmp_path / "at-once", books)
    assert answers(one_segment(tmp_path / "in-pieces", books, chunk=50)) == answers(at_once)


def test_a_removed_book_leaves_nothing(tmp_path: Path) -> None:
    texts: dict[str, Documents] = {"a": [["only", "both"]], "b": [["both"], []]}
    both = shelve(tmp_path, None, ["a", "b"], texts)
    index = open_commit(tmp_path, shelve(tmp_path, both, ["b"], texts))
    assert index.documents == 2
    assert index.best(index.look_up({"only": 1}), 5) == {}
    assert index.shares(["both"])["both"] == 0.5
    assert index.document("a", 1) is None


def test_the_commit_of_before_works_until_it_is_dropped(tmp_path: Path) -> None:
    books = [*_TEXTS]
    before = shelve(tmp_path, None, books[:5], _TEXTS)
    expected = answers(open_commit(tmp_path, before))
    after = shelve(tmp_path, before, books[2:9], _TEXTS)
    assert answers(open_commit(tmp_path, before)) == expected
    drop_unnamed(tmp_path, after)
    with pytest.raises(SEGMENT_DAMAGE):
        open_commit(tmp_path, before)
    names = [*segments_of(tmp_path, after), f"{after}.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_the_segment_of_a_book_on_its_way_is_not_dropped(tmp_path: Path) -> None:
    commit = shelve(tmp_path, None, ["book00"], _TEXTS)
    coming = tmp_path / write_segment(tmp_path, first_text("book01"), count_terms(_TEXTS["book01"]))
    unfinished = tmp_path / f"{segment_name([first_text('book02')])}{PART}"
    unfinished.touch()
    drop_unnamed(tmp_path, commit, {first_text("book00")})
    assert coming.exists()
    assert unfinished.exists()
    drop_unnamed(tmp_path, commit)
    assert not coming.exists()
    assert not unfinished.exists()


def cut_off(whole: bytes) -> bytes:
    return whole[:-3]


def cut_in_two(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def emptied(whole: bytes) -> bytes:
    return b""


def without_its_end(whole: bytes) -> bytes:
    return whole[:-100] + bytes(100)


@pytest.mark.parametrize("damage", [cut_off, cut_in_two, emptied, without_its_end])
def test_a_segment_that_is_not_whole_is_made_again(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    books = [*_TEXTS][:9]
    commit = shelve(tmp_path, None, books, _TEXTS)
    expected = answers(open_commit(tmp_path, commit))
    for segment in segments_of(tmp_path, commit):
        (tmp_path / segment).write_bytes(damage((tmp_path / segment).read_bytes()))
    with pytest.raises(SEGMENT_DAMAGE):
        open_commit(tmp_path, commit)
    again = shelve(tmp_path, commit, books, _TEXTS)
    assert answers(open_commit(tmp_path, again)) == expected


def test_a_lost_manifest_costs_no_answer(tmp_path: Path) -> None:
    books = [*_TEXTS][:9]
    commit = shelve(tmp_path, None, books, _TEXTS)
    expected = answers(open_commit(tmp_path, commit))
    (tmp_path / f"{commit}.json").unlink()
    again = shelve(tmp_path, commit, books, _TEXTS)
    assert answers(open_commit(tmp_path, again)) == expected


def test_a_segment_of_another_layout_is_not_read(tmp_path: Path) -> None:
    name = write_segment(tmp_path, first_text("book00"), count_terms(_TEXTS["book00"]))
    other = (tmp_path / name).replace(tmp_path / ("0" * 24))
    shutil.copy(other, tmp_path / name)
    assert open_segment(tmp_path / name).books[0].id == "book00"
    with pytest.raises(ValueError, match="does not fit"):
        open_segment(other)


def test_what_is_on_a_page_too_often_to_count_is_counted_as_far_as_one_can() -> None:
    counted = count_terms([["w"] * (MOST + 5), ["w", "w"]])
    assert counted.frequencies.tolist() == [MOST, 2]
    assert counted.lengths.tolist() == [MOST + 5, 2]
