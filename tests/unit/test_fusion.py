"""Two rankings become one."""

import pytest

from bookbrain.search.fusion import convex, reciprocal_rank


def test_convex_takes_keyword_scores_by_their_share_of_the_best() -> None:
    fused = convex({"a": 10.0, "b": 5.0, "c": 0.0}, {"b": 0.9, "d": 0.5, "e": 0.1}, 0.4)
    assert fused == pytest.approx({"a": 0.6, "b": 0.6 * 0.5 + 0.4, "c": 0, "d": 0.4 / 8, "e": 0})


def test_convex_of_nothing() -> None:
    assert convex({"a": 3.0}, {}, 0.4) == pytest.approx({"a": 0.6})
    assert convex({}, {"a": 0.2, "b": 0.1}, 0.4) == pytest.approx({"a": 0.4, "b": 0})
    assert convex({}, {}, 0.4) == {}


@pytest.mark.parametrize("cosines", [[0.5], [0.5, 0.5], [0.0], [-0.5]])
def test_convex_of_equal_cosines_leaves_the_order_of_the_keywords(cosines: list[float]) -> None:
    vector = dict(zip("yz", cosines, strict=False))
    fused = convex({"a": 2.0, "z": 1.0}, vector, 0.4)
    assert fused["a"] > fused["z"] > 0
    assert fused["y"] == 0


def test_scale_and_place_of_the_cosines_do_not_matter() -> None:
    keyword, vector = {"a": 3.0, "b": 1.0}, {"b": 0.7, "c": 0.6, "d": 0.2}
    moved = {key: 0.3 + 0.5 * cosine for key, cosine in vector.items()}
    assert convex(keyword, moved, 0.3) == pytest.approx(convex(keyword, vector, 0.3))


def test_the_more_keywords_cover_the_less_meaning_says() -> None:
    keyword, vector = {"a": 3.0, "b": 1.0}, {"z": 0.7, "y": 0.2}
    found = [convex(keyword, vector, 0.5, covered / 10)["z"] for covered in range(11)]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(0.5)
    assert found[-1] == 0


def test_the_crowd_counts_less_than_what_stands_out() -> None:
    fused = convex({"a": 1.0}, {"x": 1.0, "y": 0.5, "z": 0.0}, 0.5)
    assert fused["y"] < fused["x"] / 2


@pytest.mark.parametrize(("weight", "best"), [(0.0, "a"), (1.0, "z")])
def test_the_weight_chooses_the_leg(weight: float, best: str) -> None:
    fused = convex({"a": 2.0, "z": 1.0}, {"z": 1.0, "a": 0.5}, weight)
    assert max(fused, key=lambda key: fused[key]) == best


def test_reciprocal_rank() -> None:
    fused = reciprocal_rank(["a", "b"], ["b"], 0.5)
    assert fused == pytest.approx({"a": 0.5 / 61, "b": 0.5 / 62 + 0.5 / 61})
