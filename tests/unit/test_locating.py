"""Which drawn characters a mark in a page's text is."""

from pathlib import Path

import pytest
from pypdfium2 import PdfDocument
from reportlab.pdfgen.canvas import Canvas

from bookbrain.formats.page_image_child import boxes_of, locate
from bookbrain.formats.page_text import clean, join_hyphens
from bookbrain.formats.text import join_lines


def read_back(text: str, word: str, drawn: str) -> str:
    """What is drawn where `word` stands in `text`."""
    start = text.index(word)
    (indexes,) = locate(text, [(start, start + len(word))], drawn)
    return "".join(drawn[index] for index in indexes)


@pytest.mark.parametrize(
    ("drawn", "word", "expected"),
    [
        ("A plain line", "plain", "plain"),
        ("It is asyn\x02\nchronous here", "asynchronous", "asynchronous"),
        ("It is asyn\ufffe\r\nchronous here", "asynchronous", "asynchronous"),
        ("an e\ufb03cient \ufb02ow", "efficient", "e\ufb03cient"),
        ("an e\ufb03cient \ufb02ow", "ow", "ow"),
        ("한\u1100\u1161글", "가", "\u1100\u1161"),
        ("tab\tand\u3000wide\xa0space", "wide", "wide"),
        ("soft\u00adhyphen\u200b, zero", "softhyphen", "softhyphen"),
        ("caf\u0065\u0301 noir", "noir", "noir"),
        ("ls --all --color", "--color", "color"),
        ("\x00ends\ufffd here", "here", "here"),
    ],
)
def test_a_word_is_found_among_what_is_drawn(drawn: str, word: str, expected: str) -> None:
    text = join_lines([join_hyphens(clean(drawn), set())])[0]
    assert read_back(text, word, drawn) == expected


@pytest.mark.parametrize("halves", ["\ud83d\udc4d", "\ud835\udc65", "\udc00", "\ud83d"])
def test_what_pdfium_draws_as_halves_does_not_matter(halves: str) -> None:
    whole = halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert read_back(f"a {whole} word", "word", f"a {halves} word") == "word"


def test_each_mark_has_its_own_place() -> None:
    text = "one two one"
    assert locate(text, [(0, 3), (4, 7), (8, 11)], "one\ntwo\r\none") == [
        (0, 1, 2),
        (4, 5, 6),
        (9, 10, 11),
    ]


def test_a_page_that_reads_otherwise_has_no_marks() -> None:
    assert locate("one two", [(0, 3), (4, 7)], "one twe") == [(), ()]
    assert locate("one two", [(0, 3)], "") == [()]


def test_a_mark_without_letters_is_nowhere() -> None:
    assert locate("a - b", [(1, 4), (0, 0)], "a - b") == [(), ()]


@pytest.mark.parametrize("kept", ["safe-upgrade", "safe-upgrad"])
def test_a_word_over_the_edge_is_marked_as_far_as_it_is_printed(tmp_path: Path, kept: str) -> None:
    """Also in a text that was read before such words were whole."""
    canvas = Canvas(str(tmp_path / "e.pdf"), pagesize=(300, 400))
    canvas.setFont("Courier", 10)
    canvas.drawString(20, 350, "a line that ends here with aptitude safe-upgrade")
    canvas.drawString(20, 330, "and another one")
    canvas.save()
    page = PdfDocument(tmp_path / "e.pdf")[0]
    text = f"a line that ends here with aptitude {kept}\nand another one"
    start = text.index(kept)
    (box,), (other,) = boxes_of(
        page, text, [(start, start + len(kept)), (len(text) - 3, len(text))]
    )
    assert box[0] == pytest.approx((20 + 36 * 6) / 300, abs=0.01)
    assert box[2] == pytest.approx(1, abs=0.01)
    assert box[2] <= 1
    assert other[3] > other[1] > box[1]
