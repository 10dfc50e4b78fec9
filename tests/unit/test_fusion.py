"""Two rankings become one."""

import pytest

from bookbrain.index.fusion import convex, reciprocal_rank


def test_convex_scales_each_leg_to_one() -> None:
    fused = convex({"a": 10.0, "b": 5.0, "c": 0.0}, {"b": 0.9, "d": 0.1}, 0.4)
    assert fused == pytest.approx({"a": 0.6, "b": 0.6 * 0.5 + 0.4, "c": 0.0, "d": 0.0})


def test_convex_of_equal_scores_and_of_nothing() -> None:
    assert convex({"a": 3.0}, {}, 0.4) == pytest.approx({"a": 0.6})
    assert convex({}, {"a": 0.2, "b": 0.2}, 0.4) == pytest.approx({"a": 0.4, "b": 0.4})
    assert convex({}, {}, 0.4) == {}


@pytest.mark.parametrize(("weight", "best"), [(0.0, "a"), (1.0, "z")])
def test_the_weight_chooses_the_leg(weight: float, best: str) -> None:
    fused = convex({"a": 2.0, "z": 1.0}, {"z": 2.0, "a": 1.0}, weight)
    assert max(fused, key=lambda key: fused[key]) == best


def test_reciprocal_rank() -> None:
    fused = reciprocal_rank(["a", "b"], ["b"], 0.5)
    assert fused == pytest.approx({"a": 0.5 / 61, "b": 0.5 / 62 + 0.5 / 61})
