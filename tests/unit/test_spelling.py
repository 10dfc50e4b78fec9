"""Words in the other alphabet and typing slips."""

from collections.abc import Sequence

import pytest

from bookbrain.index.analyzer import other_spellings, terms

KNOWN = {"kubernet": 0.01, "configur": 0.1, "conform": 0.001, "daemon": 0.05}


def found(query: str, known: dict[str, float] = KNOWN) -> dict[str, float]:
    def shares(wanted: Sequence[str]) -> dict[str, float]:
        return {term: known.get(term, 0.0) for term in wanted}

    return other_spellings(query, terms(query), shares)


@pytest.mark.parametrize("query", ["쿠버네티스", "쿠버네티스에서", "쿠버네티스 설치 방법"])
def test_hangul_finds_latin(query: str) -> None:
    assert "kubernet" in found(query)


def test_latin_finds_hangul() -> None:
    assert set(terms("쿠버네티스")) <= set(found("kubernetes cluster"))


def test_every_spelling_of_a_word_is_tried() -> None:
    assert {*terms("디렉터리"), *terms("디렉토리")} <= set(found("directory"))


def test_a_short_loanword_is_not_found_inside_another_word() -> None:
    assert "pool" not in found("풀다")
    assert "queue" not in found("큐레이터")


def test_what_is_typed_already_is_not_given_again() -> None:
    assert "kubernet" not in found("kubernetes 쿠버네티스")


@pytest.mark.parametrize("typed", ["kuberntes", "kkubernetes", "Kubernates", "kubernetse"])
def test_one_slip_is_mended(typed: str) -> None:
    assert list(found(typed)) == ["kubernet"]


def test_the_more_frequent_word_is_meant() -> None:
    assert "daemon" in found("deamon", {"daemon": 0.05, "demon": 0.001})


@pytest.mark.parametrize("typed", ["xyzzyplugh", "teh", "k8s", "kube_rnates"])
def test_far_and_short_words_and_identifiers_are_left_as_they_are(typed: str) -> None:
    assert found(typed) == {}


def test_a_word_that_is_there_is_no_slip() -> None:
    assert found("conform", {"conform": 0.001, "confirm": 0.5}) == {}
