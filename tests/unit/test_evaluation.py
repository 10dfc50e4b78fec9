"""Measures of search, on answers made by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import pytest

from bookbrain.errors import InputError
from bookbrain.model import Hit, SearchResult, Why
from bookbrain.search.evaluation import WEIGHTS, GoldenQuery, Measure, evaluate, load_golden, tune

Search = Callable[[str, int], SearchResult]


def _hit(rank: int, file: str, page: int) -> Hit:
    return Hit(rank, 1 / rank, "id", "title", file, page, str(page), "", "", "", Why())


def _search(answers: dict[str, list[tuple[str, int]]], took: dict[str, float]) -> Search:
    """A search that knows the answer to each query, best first."""

    def search(query: str, count: int) -> SearchResult:
        places = answers.get(query, [])[:count]
        hits = tuple(_hit(rank, *place) for rank, place in enumerate(places, start=1))
        return SearchResult(query, "keyword", None, took.get(query, 1.0), hits)

    return search


def _others(count: int) -> list[tuple[str, int]]:
    return [("other.pdf", page) for page in range(1, count + 1)]


def _golden(query: str, *places: tuple[str, int]) -> GoldenQuery:
    return GoldenQuery(f"id-{query}", query, frozenset(places))


GOLDEN = [
    _golden("first", ("a.pdf", 7)),
    _golden("third", ("a.pdf", 7), ("b.pdf", 2)),
    _golden("eighth", ("a.pdf", 7)),
    _golden("never", ("a.pdf", 7)),
]
ANSWERS = {
    "first": [("a.pdf", 7), *_others(20)],
    "third": [("a.pdf", 8), ("b.pdf", 7), ("b.pdf", 2), ("a.pdf", 7)],
    "eighth": [*_others(7), ("a.pdf", 7)],
    "never": [("a.pdf", 70), ("A.pdf", 7)],
}


def test_ranks_and_measures() -> None:
    took = {"first": 1.0, "third": 2.0, "eighth": 3.0, "never": 103.0}
    result = evaluate(GOLDEN, _search(ANSWERS, took), 5)
    assert result.k == 5
    assert result.ids == ("id-first", "id-third", "id-eighth", "id-never")
    assert result.ranks == (1, 3, 8, None)
    assert result.hit_at_1.value == 0.25
    assert result.hit_at_k.value == 0.5
    assert result.mrr_at_10.value == round((1 + 1 / 3 + 1 / 8) / 4, 4)
    assert result.p50_ms == 2.5
    assert result.p95_ms == 88.0, "between the two slowest"


@pytest.mark.parametrize(("k", "hits"), [(1, 0.25), (2, 0.25), (3, 0.5), (7, 0.5), (8, 0.75)])
def test_hit_at_k(k: int, hits: float) -> None:
    result = evaluate(GOLDEN, _search(ANSWERS, {}), k)
    assert result.hit_at_k.value == hits
    assert result.ranks == (1, 3, 8, None), "a small k hides no rank"


def test_mrr_stops_at_ten_and_hits_do_not() -> None:
    golden = [_golden("tenth", ("a.pdf", 7)), _golden("twelfth", ("a.pdf", 7))]
    answers = {"tenth": [*_others(9), ("a.pdf", 7)], "twelfth": [*_others(11), ("a.pdf", 7)]}
    result = evaluate(golden, _search(answers, {}), 20)
    assert result.ranks == (10, 12)
    assert result.hit_at_k.value == 1
    assert result.mrr_at_10.value == 0.05
    assert evaluate(golden, _search(answers, {}), 5).ranks == (10, None), "not asked for"


def test_one_query_has_no_spread() -> None:
    result = evaluate(GOLDEN[:1], _search(ANSWERS, {"first": 12.34}), 5)
    assert result.hit_at_1 == result.mrr_at_10 == Measure(1.0, 1.0, 1.0)
    assert (result.p50_ms, result.p95_ms) == (12.3, 12.3)


def test_an_empty_answer_is_a_miss() -> None:
    result = evaluate(GOLDEN, _search({}, {}), 5)
    assert result.ranks == (None,) * 4
    assert result.hit_at_k == result.mrr_at_10 == Measure(0.0, 0.0, 0.0)


# The interval


def _of(hits: int, count: int) -> Measure:
    golden = [_golden(str(number), ("a.pdf", 7)) for number in range(count)]
    answers = {str(number): [("a.pdf", 7)] for number in range(hits)}
    return evaluate(golden, _search(answers, {}), 5).hit_at_1


@pytest.mark.parametrize(("hits", "count"), [(1, 3), (15, 30), (26, 30), (29, 30), (60, 200)])
def test_the_interval_is_deterministic_and_contains_the_value(hits: int, count: int) -> None:
    measure = _of(hits, count)
    assert measure == _of(hits, count)
    assert 0 <= measure.low < measure.value < measure.high <= 1
    assert measure.value == round(hits / count, 4)


def test_the_interval_is_that_of_95_percent() -> None:
    measure = _of(100, 200)
    deviation = (0.25 / 200) ** 0.5  # of a mean of coin tosses
    assert measure.low == pytest.approx(0.5 - 1.96 * deviation, abs=0.01)
    assert measure.high == pytest.approx(0.5 + 1.96 * deviation, abs=0.01)


# Golden sets


def _file(tmp_path: Path, *lines: object) -> Path:
    file = tmp_path / "golden.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return file


GOOD = {"id": "q1", "query": "비동기란?", "book": "a.pdf", "pages": [3, 4]}


def test_a_golden_set_is_read(tmp_path: Path) -> None:
    also = [{"book": "b.pdf", "pages": [1]}, {"book": "a.pdf", "pages": [9]}]
    file = _file(tmp_path, GOOD, "", GOOD | {"id": 2, "also": also, "note": "ignored"})
    first, second = load_golden(file)
    assert first == GoldenQuery("q1", "비동기란?", frozenset({("a.pdf", 3), ("a.pdf", 4)}))
    assert second.id == "2"
    assert second.places == first.places | {("b.pdf", 1), ("a.pdf", 9)}


def test_a_file_name_is_the_same_however_it_is_typed(tmp_path: Path) -> None:
    golden = load_golden(_file(tmp_path, GOOD | {"book": normalize("NFD", "자바.pdf")}))
    for form in ("NFC", "NFD"):
        answers = {"비동기란?": [(normalize(form, "자바.pdf"), 3)]}
        assert evaluate(golden, _search(answers, {}), 5).ranks == (1,)


def test_a_page_of_also_counts(tmp_path: Path) -> None:
    golden = load_golden(_file(tmp_path, GOOD | {"also": [{"book": "b.pdf", "pages": [1]}]}))
    answers = {"비동기란?": [("b.pdf", 3), ("b.pdf", 1), ("a.pdf", 3)]}
    assert evaluate(golden, _search(answers, {}), 5).ranks == (2,)


@pytest.mark.parametrize(
    "bad",
    [
        "not JSON",
        "[]",
        "null",
        '"text"',
        *({key: value for key, value in GOOD.items() if key != left_out} for left_out in GOOD),
        GOOD | {"pages": 3},
        GOOD | {"pages": "34"},
        GOOD | {"pages": []},
        GOOD | {"pages": ["iv"]},
        GOOD | {"pages": None},
        GOOD | {"also": {"book": "b.pdf", "pages": [1]}},
        GOOD | {"also": [{"book": "b.pdf"}]},
        GOOD | {"also": [{"book": "b.pdf", "pages": []}]},
        GOOD | {"also": 3},
    ],
    ids=str,
)
def test_a_bad_line_is_refused_by_file_and_line(tmp_path: Path, bad: object) -> None:
    file = _file(tmp_path, GOOD, "", bad, GOOD)
    with pytest.raises(InputError) as refused:
        load_golden(file)
    assert f"{file}, line 3 is not a golden query" in refused.value.message
    assert '"pages"' in refused.value.hint
    assert refused.value.exit_code == 65


def test_a_file_that_is_no_golden_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "book.pdf").write_bytes(b"%PDF-1.7\n\xff\xfe")
    for file in (tmp_path / "none.jsonl", tmp_path / "book.pdf", tmp_path):
        with pytest.raises(InputError, match="cannot be read") as refused:
            load_golden(file)
        assert str(file) in refused.value.message
    empty = _file(tmp_path, "", " ")
    with pytest.raises(InputError, match="has no queries") as refused:
        load_golden(empty)
    assert str(empty) in refused.value.message


def _search_by_weight(answer: dict[str, dict[float, int]]) -> Callable[..., SearchResult]:
    """Of each query the rank of its page at a weight and above it; before that it is not found."""

    def search(query: str, count: int, weight: float) -> SearchResult:
        rank = next((r for w, r in sorted(answer[query].items(), reverse=True) if weight >= w), 99)
        places = [("other.pdf", 1)] * (rank - 1) + [("a.pdf", 7)]
        hits = tuple(_hit(n, *place) for n, place in enumerate(places[:count], start=1))
        return SearchResult(query, "hybrid", None, 1.0, hits)

    return search


def test_the_weight_that_finds_most_is_the_best_and_of_equals_the_least() -> None:
    golden = [_golden(name, ("a.pdf", 7)) for name in ("one", "two", "three", "four")]
    answer = {
        "one": {0.0: 1, 0.8: 5},
        "two": {0.0: 4, 0.4: 1},
        "three": {0.3: 2},
        "four": {0.0: 1, 0.7: 2},
    }
    tuning = tune(golden, _search_by_weight(answer), 5)
    assert (*tuning.tried,) == WEIGHTS
    assert WEIGHTS[0] == 0
    assert tuning.best == 0.4
    assert tuning.gain.value == pytest.approx((0.75 + 0.5) / 4)
    assert 0 <= tuning.gain.low < tuning.gain.value < tuning.gain.high
    assert tuning.tried[0.0].ranks == (1, 4, None, 1)


def test_where_meaning_gains_nothing_the_best_weight_is_none() -> None:
    golden = [_golden("one", ("a.pdf", 7)), _golden("two", ("a.pdf", 7))]
    tuning = tune(golden, _search_by_weight({"one": {0.0: 1, 0.5: 2}, "two": {0.0: 3}}), 5)
    assert tuning.best == 0
    assert tuning.gain == Measure(0, 0, 0)
