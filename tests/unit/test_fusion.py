"""Two rankings become one."""

import numpy as np
import pytest
from numpy import linalg

from bookbrain.search.fusion import above_chance, convex, reciprocal_rank


def test_convex_takes_keyword_scores_by_their_share_of_the_best() -> None:
    fused = convex({"a": 10.0, "b": 5.0, "c": 0.0}, {"b": 0.9, "d": 0.1}, 0.4)
    assert fused == pytest.approx({"a": 0.6, "b": 0.6 * 0.5 + 0.4 * 0.9, "c": 0.0, "d": 0.04})


def test_convex_of_nothing() -> None:
    assert convex({"a": 3.0}, {}, 0.4) == pytest.approx({"a": 0.6})
    assert convex({}, {"a": 0.2}, 0.4) == pytest.approx({"a": 0.08})
    assert convex({}, {}, 0.4) == {}


def nearest_by_chance(seed: int, dimensions: int = 64, passages: int = 5_000) -> list[float]:
    """The cosines of the 200 nearest of random directions, best first."""
    draw = np.random.default_rng(seed)
    found = draw.normal(size=(passages, dimensions))
    query = draw.normal(size=dimensions)
    cosines = found @ query / (linalg.norm(found, axis=1) * linalg.norm(query))
    return sorted(map(float, cosines), reverse=True)[:200]


class TestAboveChance:
    def test_directions_without_meaning_are_hardly_heard(self) -> None:
        best = [above_chance(nearest_by_chance(seed))[0] for seed in range(50)]
        assert max(best) < 0.7
        assert np.mean(best) < 0.3

    def test_what_stands_out_is_heard_and_the_crowd_is_not(self) -> None:
        crowd = nearest_by_chance(1)
        heard = above_chance([crowd[0] + 0.4, crowd[0] + 0.2, *crowd[:198]])
        assert heard[0] == 2
        assert heard[0] >= heard[1] > heard[2]
        assert heard[50:] == [0.0] * 150

    @pytest.mark.parametrize("cosines", [[], [0.5], [0.5, 0.25, 0.0, -0.5], [0.5] * 200, [-0.5]])
    def test_where_there_is_no_crowd_each_is_heard_by_its_share(self, cosines: list[float]) -> None:
        assert above_chance(cosines) == [max(cosine, 0) * 2 for cosine in cosines]

    def test_scale_and_place_of_the_cosines_do_not_matter(self) -> None:
        crowd = nearest_by_chance(2)
        moved = [0.3 + 0.5 * cosine for cosine in crowd]
        assert above_chance(moved) == pytest.approx(above_chance(crowd))


@pytest.mark.parametrize(("weight", "best"), [(0.0, "a"), (1.0, "z")])
def test_the_weight_chooses_the_leg(weight: float, best: str) -> None:
    fused = convex({"a": 2.0, "z": 1.0}, {"z": 1.0, "a": 0.5}, weight)
    assert max(fused, key=lambda key: fused[key]) == best


def test_reciprocal_rank() -> None:
    fused = reciprocal_rank(["a", "b"], ["b"], 0.5)
    assert fused == pytest.approx({"a": 0.5 / 61, "b": 0.5 / 62 + 0.5 / 61})
