"""What is one term, for books and for queries alike."""

import unicodedata

import pytest

from bookbrain.index.analyzer import (
    FUNCTION_WORDS,
    literal_terms,
    page_terms,
    spelled_words,
    terms,
    terms_of,
)
from bookbrain.model import Page


def common(query: str, text: str) -> set[str]:
    return set(terms(query)) & set(terms(text))


class TestSpelledWords:
    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("S C H E D U L I N G", ["SCHEDULING"]),
            ("C H A P T E R  S E V E N", ["CHAPTER", "SEVEN"]),
            ("스 케 줄 링", ["스케줄링"]),
            ("목 차", ["목차"]),
            ("제 7 장  스 케 줄 링", ["스케줄링"]),
            ("7.1 L O C K S", ["LOCKS"]),
        ],
    )
    def test_a_line_of_letters_that_stand_apart_has_them(self, line: str, words: list[str]) -> None:
        page = Page(1, "1", "", f"Before it.\n{line}\nAfter it.")
        (found,) = page_terms([page])
        assert {term for word in words for term in literal_terms(word)} <= {*found}

    @pytest.mark.parametrize("line", ["A B C", "그 는 간다", "a b c d are letters", "x = y + z"])
    def test_other_lines_have_none(self, line: str) -> None:
        assert spelled_words(line) == []


class TestIdentifiers:
    @pytest.mark.parametrize(
        ("token", "whole"),
        [
            ("C++", "=c++"),
            ("@Transactional", "=@transactional"),
            (r"\tableofcontents", r"=\tableofcontents"),
            ("CompletableFuture.thenCompose", "=completablefuture.thencompose"),
            ("finish-install/keep-consoles", "=finish-install/keep-consoles"),
            ("--delayed", "=--delayed"),
            ("snake_case_name", "=snake_case_name"),
        ],
    )
    def test_the_whole_is_a_term(self, token: str, whole: str) -> None:
        assert whole in terms(f"use {token}, then go on")

    def test_parts_and_humps_are_terms_too(self) -> None:
        found = terms("CompletableFuture.thenCompose")
        assert {"completablefutur", "complet", "futur", "thencompos", "compos"} <= set(found)

    def test_a_part_finds_the_whole_and_the_other_way_round(self) -> None:
        assert common("Transactional", "the @Transactional annotation")
        assert common("@Transactional", "the Transactional annotation")

    def test_k8s_is_one_word(self) -> None:
        assert terms("k8s") == ["k8s"]

    def test_typographic_dashes_are_hyphens(self) -> None:
        assert terms("keep\u2011consoles") == terms("keep-consoles")


class TestEnglish:
    @pytest.mark.parametrize(
        ("one", "other"), [("cancelled", "cancel"), ("indexes", "index"), ("RUNNING", "run")]
    )
    def test_inflections_meet(self, one: str, other: str) -> None:
        assert terms(one) == terms(other)

    def test_repetitions_count(self) -> None:
        assert terms("lock the lock") == ["lock", "the", "lock"]

    def test_accents_and_width_are_folded(self) -> None:
        assert terms("Café naïve") == terms("cafe naive")
        assert terms("Müllers Straße, Łukasz, Ærø: Erdős") == terms(
            "Mullers Strasse, Lukasz, Aero: Erdos"
        )
        assert terms("cafe\u0301s") == terms("CAFÉS") == terms("cafe")
        assert terms("ＡＰＩ") == terms("API")


class TestKorean:
    def test_asynchronous_is_not_synchronous(self) -> None:
        assert "비동기" in terms("비동기 처리를 한다")
        assert "동기" not in terms("비동기 처리를 한다")

    def test_particles_and_endings_fall_away(self) -> None:
        assert {"트랜잭션", "~트랜"} <= set(terms("트랜잭션을"))
        assert "을" not in terms("트랜잭션을")

    def test_decomposed_hangul_is_composed(self) -> None:
        assert terms(unicodedata.normalize("NFD", "데이터베이스")) == terms("데이터베이스")

    def test_many_texts_are_the_same_as_one_by_one(self) -> None:
        texts = ["메모리 관리", "memory only", "", "한글 and English"]
        assert terms_of(texts) == [terms(text) for text in texts]

    def test_literal_terms_do_not_depend_on_the_neighbours(self) -> None:
        page = terms("한글글꼴설정은 사용자마음대로")
        assert set(literal_terms("글꼴설정")) <= set(page)
        assert literal_terms("글꼴설정")


def test_other_scripts_have_terms() -> None:
    assert common("インストール", "システムをインストールする")
    assert common("Установка", "установка системы")
    assert terms("") == []
    assert terms("?! …") == []


def test_function_words_are_terms() -> None:
    """A plain stop list hurt English: they are only not marked."""
    assert set(terms("how do I")) <= FUNCTION_WORDS
