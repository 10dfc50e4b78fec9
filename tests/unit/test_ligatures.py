"""Ligatures that a font does not name are read as what makes words of the book."""

from pathlib import Path

import pytest
from support.debian_books import books
from support.raw_pdf import coded_pages

from bookbrain.formats.ligatures import _FREQUENT, decode_ligatures
from bookbrain.formats.pdf import read_pdf

OLD = {"ff": "\x0b", "fi": "\x0c", "fl": "\r", "ffi": "\x0e", "ffl": "\x0f"}
NEW = {"ff": "\x1b", "fi": "\x1c", "fl": "\x1d", "ffi": "\x1e", "ffl": "\x1f"}
OTHER = {"fi": "\x1b", "ffi": "\x1c", "ff": "\x1d", "fl": "\x1e", "Th": "\x0f", "tt": "\x7f"}
PRIVATE = {"fi": "\ue001", "fl": "\ue002", "ff": "\uf001", "ft": "\ue010", "Th": "\ue049"}
SEEN = {"fi": "®", "fl": "¯", "ti": "Ɵ", "tt": "Ʃ", "ft": "Ō"}
C1 = {"fi": "\x82", "fl": "\x83", "ff": "\x84", "ffi": "\x85"}

ENGLISH = (
    "This chapter defines the configuration of a profiler, the flow of data and the first file. "
    "The effect differs: efficient buffers, an offline office, shuffled waffles, a conflict. "
    "After that the software sets a better letter; information about this operation, at all times."
)
KOREAN = "설정 파일 configuration 의 첫 번째 field 를 정의한다. 효율 efficient 버퍼 buffer 입니다."
GERMAN = "Häufig findet man die Grafik; betrifft öffentliche Konfiguration und Einfluss, Auflage."
FRENCH = (
    "Le fichier définit la figure, l’effet, le préfixe ; difficile : une influence, un suffixe."
)


def coded(text: str, codes: dict[str, str]) -> str:
    """The text with these codes for ligatures, the longest first."""
    for letters in sorted(codes, key=len, reverse=True):
        text = text.replace(letters, codes[letters])
    return text


@pytest.mark.parametrize("text", [ENGLISH, KOREAN, GERMAN, FRENCH])
@pytest.mark.parametrize("codes", [OLD, NEW, OTHER, PRIVATE, C1])
def test_a_font_without_a_map(codes: dict[str, str], text: str) -> None:
    assert coded(text, codes) != text
    assert decode_ligatures([coded(text, codes)]) == [text]


@pytest.mark.parametrize("codes", [SEEN])
def test_signs_that_stand_where_letters_should(codes: dict[str, str]) -> None:
    text = "The operation of the definition: software, specification. After the action, a pattern. "
    text += "Often the first file is identified by its function: better, written, reflected, flow. "
    text += "A conflict in a workflow, modified attributes; the aircraft has shifted."
    broken = coded(text, codes)
    (decoded,) = decode_ligatures([broken])
    assert decoded and decoded.count("definition") == 1
    for word in ("operation", "software", "specification", "pattern", "conflict", "workflow"):
        assert word not in broken
        assert word in decoded


def test_a_word_of_the_book_tells() -> None:
    pages = ["The zwyflik was made in Brzeg.", "Each zwy\x19ik has a kra\x19ik.", "A kraflik."]
    assert decode_ligatures(pages)[1] == "Each zwyflik has a kraflik."


def test_two_fonts_of_one_book_differ() -> None:
    pages = [coded(ENGLISH, NEW), coded(ENGLISH, OTHER)]
    (first, second) = decode_ligatures(pages)
    for page in (first, second):
        for word in ("defines", "configuration", "first", "file", "effect", "differs", "efficient"):
            assert page and word in page


def test_a_word_that_is_cut_at_the_end_of_a_line() -> None:
    assert decode_ligatures(["the con\x1bgu\uffferation, a de\x1bni\ufffetion"]) == [
        "the configu\uffferation, a defini\ufffetion"
    ]


def test_dashes_of_the_same_font_part_words() -> None:
    pages = ["The \x1crst \x1cle de\x1cnes 2007\x152022 and U\x16voltage."]
    assert decode_ligatures(pages) == ["The first file defines 2007–2022 and U—voltage."]


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH,
        "bell\x07 escape\x1b[31m tab\tbed vertical\x0b and\x0bthen a\x0cform feed",
        "a heading\rits first sentence\rthe next one\nand a last",
        "the macro \\foo\x04 takes an argument\x04, a package\x04 or a token\x04group\x04",
        "x\x0c = \x0b + y\x0f, sin\x12x\x13, \x10n, \x11t, STO\x11",  # bare mathematics
        "CO\x1b and H\x1c are not known; ABC\x1bDEF",
        "L’été où naïve Österreich señor, 3¼ or 1½, 20°C, µm, a×b, A…b, 100‰, ®, ¿qué?",
        "Ɓala Ɗan Ƙasa ɓera, Ōsaka Tōkyō, Việt ơ ư",
        "\ue119 tree \ue118 key\ue11a value\ue11b, \uf0b7 item \uf0b7item",
        "한글\x0c과 자모\x1b는 그대로 둔다",
        "",
    ],
)
def test_without_evidence_nothing_changes(text: str) -> None:
    assert decode_ligatures([text]) == [text]


def test_every_frequent_word_has_its_ligature() -> None:
    for letters, words in _FREQUENT.items():
        for word in words.replace("|", " ").split():
            assert letters.lower() in word, word


@pytest.mark.parametrize(
    ("name", "code"), [("f_i", 27), ("f_i", 1), ("g27", 12), ("lig5", 130), ("uniE001x", 127)]
)
def test_read_from_a_font_that_names_its_glyphs_oddly(tmp_path: Path, name: str, code: int) -> None:
    line = b"The con%cguration of a pro%cler de%cnes the %crst %cle." % ((code,) * 5)
    path = tmp_path / "b.pdf"
    path.write_bytes(coded_pages([[({code: name}, line)]]))
    (page,) = read_pdf(path, timeout=30, memory_mb=1024).pages
    assert page.text == "The configuration of a profiler defines the first file."
    assert page.problem == ""


def test_read_from_the_old_encoding_of_tex(tmp_path: Path) -> None:
    glyphs = {11: "A11", 12: "A12", 13: "A13", 14: "A14", 15: "A15"}
    path = tmp_path / "b.pdf"
    path.write_bytes(
        coded_pages(
            [[(glyphs, b"the con\x0cguration of a pro\x0cler, the \row of data,"),
              (glyphs, b"e\x0ecient bu\x0bers and wa\x0fes.")]]
        )
    )  # fmt: skip
    (page,) = read_pdf(path, timeout=30, memory_mb=1024).pages
    words = page.text.replace("\n", " ")
    assert words == (
        "the configuration of a profiler, the flow of data, efficient buffers and waffles."
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bohr_en.pdf", ["configuration", "defining", "first"]),
        ("chemgreek_en.pdf", ["defined", "different", "specified"]),
        ("substances_en.pdf", ["defined", "specific", "fields"]),
        ("ghsystem-manual.pdf", ["different", "flammable", "officially", "identifier"]),
    ],
)
def test_real_manuals(name: str, words: list[str]) -> None:
    (path,) = (path for path in books("texlive-science-doc") if path.name == name)
    text = " ".join(page.text for page in read_pdf(path, timeout=60, memory_mb=1024).pages)
    assert [word for word in words if word not in text] == []


def test_codes_that_are_white_space_elsewhere_stay_when_lines_are_put_in_order(
    tmp_path: Path,
) -> None:
    glyphs = {11: "A11", 12: "A12", 13: "A13", 14: "A14", 15: "A15"}
    lines = [
        b"\x0crst the con\x0cguration of a pro\x0cler, the \row",
        b"of data and the e\x0bect of bu\x0bers in o\x0ece",
        b"\row, \x0cle and \x0cgure are words of this page",
        b"and the last one de\x0cnes the sti\x0b",
    ]
    path = tmp_path / "b.pdf"
    path.write_bytes(coded_pages([[(glyphs, line) for line in reversed(lines)]], upwards=True))
    (page,) = read_pdf(path, timeout=30, memory_mb=1024).pages
    assert " ".join(page.text.split()) == (
        "first the configuration of a profiler, the flow of data and the effect of buffers in "
        "office flow, file and figure are words of this page and the last one defines the stiff"
    )
