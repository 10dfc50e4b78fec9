"""Segments of a similar size become one, so that they stay few and no posting moves often."""

from hypothesis import given
from hypothesis import strategies as st

from bookbrain.index.commit import FANOUT, LARGEST, SMALLEST, merge_plan

SIZES = st.lists(st.integers(0, LARGEST * 2), max_size=60)


def test_four_of_a_size_become_one() -> None:
    assert merge_plan([1, 2, 3]) == [[0], [1], [2]]
    assert merge_plan([1, 2, 3, 4]) == [[0, 1, 2, 3]]
    assert merge_plan([1, SMALLEST, 2, 3, 4]) == [[1], [0, 2, 3, 4]]


def test_what_became_large_joins_those_of_its_size() -> None:
    part = SMALLEST // 2
    assert merge_plan([SMALLEST] * 3 + [part] * 4) == [[0, 1, 2, 3, 4, 5, 6]]


def test_the_largest_are_left_alone() -> None:
    assert merge_plan([LARGEST] * 9) == [[n] for n in range(9)]


@given(SIZES)
def test_every_segment_is_in_one_group(sizes: list[int]) -> None:
    assert sorted(n for group in merge_plan(sizes) for n in group) == [*range(len(sizes))]


@given(SIZES)
def test_what_was_planned_needs_no_other_plan(sizes: list[int]) -> None:
    merged = [sum(sizes[n] for n in group) for group in merge_plan(sizes)]
    assert merge_plan(merged) == [[n] for n in range(len(merged))]


@given(SIZES, st.integers(0, 60))
def test_it_does_not_matter_how_many_come_at_once(sizes: list[int], first: int) -> None:
    early = merge_plan(sizes[:first])
    late = sizes[first:]
    groups = [*early, *([n] for n in range(len(sizes[:first]), len(sizes)))]
    plan = merge_plan([*(sum(sizes[n] for n in group) for group in early), *late])
    assert [[n for g in group for n in groups[g]] for group in plan] == merge_plan(sizes)


def test_a_thousand_books_are_few_segments_and_each_moved_a_few_times() -> None:
    segments: list[int] = []
    moved = 0
    for _ in range(4000):
        segments.append(SMALLEST * 2)
        groups = merge_plan(segments)
        moved += sum(segments[n] for group in groups if len(group) > 1 for n in group)
        segments = [sum(segments[n] for n in group) for group in groups]
    assert len(segments) <= 20
    assert moved <= 6 * sum(segments)
    assert all(size < LARGEST * FANOUT for size in segments)
