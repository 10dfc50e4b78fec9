"""Pages painted by the real child, and where the marks are on them."""

import io
import os
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
import pytest
from PIL import Image, ImageChops
from support import pdfs
from support.debian_books import books
from support.raw_pdf import CATALOG, ONE_PAGE, document, stream
from support.scans import around, overlap
from support.typeset import column, typeset

from bookbrain.errors import BookBrainError
from bookbrain.formats.letter_ink import find_part
from bookbrain.formats.page_image import Letters, Picture
from bookbrain.formats.page_image_child import Box, find_boxes
from bookbrain.formats.pdf import read_pdf
from bookbrain.index import analyzer
from bookbrain.model import Page
from bookbrain.search.snippet import Marker

QUERIES = {
    ("installation-guide-amd64", "install.ko.pdf"): (
        "파티션 나누기", "네트워크 설정", "부팅 문제", "커널", "비밀번호", "미러", "설치 프로그램",
        "LVM", "무선 네트워크", "하드웨어 요구 사항", "USB 메모리", "GRUB 부트로더",
    ),
    ("installation-guide-amd64", "install.en.pdf"): (
        "partitioning", "wireless network", "boot loader", "preseeding", "firmware files",
        "encrypted volumes", "efficient",
    ),
    ("developers-reference", "developers-reference.pdf"): (
        "package maintainer", "uploading a package", "debian/changelog", "bug reports",
        "NMU", "debconf translation",
    ),
    ("texlive-lang-korean", "lshort-ko.pdf"): (
        "수식 조판", "\\documentclass", "그림 넣기", "표", "참고 문헌", "목차",
    ),
}  # fmt: skip
_PAGES_EACH = 3  # of a query: the first that match


# The test of all tests: what stands in the boxes


def letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text)


def in_boxes(page: pdfium.PdfPage, boxes: Sequence[Box]) -> str:
    """The letters whose middle is in a box, by the PDF's own character boxes."""
    textpage = page.get_textpage()
    found = []
    for index in range(textpage.count_chars()):
        left, bottom, right, top = textpage.get_charbox(index)
        across, down = on_picture(page, (left + right) / 2, (bottom + top) / 2)
        if any(b[0] < across < b[2] and b[1] < down < b[3] for b in boxes):
            found.append(chr(pdfium_c.FPDFText_GetUnicode(textpage, index)))
    return letters("".join(found))


def on_picture(page: pdfium.PdfPage, x: float, y: float) -> tuple[float, float]:
    """By the page's crop box and rotation (ISO 32000, 14.11.2), not by pdfium's arithmetic."""
    left, bottom, right, top = page.get_bbox()
    across, down = (x - left) / (right - left), (top - y) / (top - bottom)
    for _ in range(page.get_rotation() // 90):
        across, down = 1 - down, across
    return across, down


def marks_in(page: Page, query: str) -> list[tuple[int, int]]:
    weights = {term: 1.0 for term in analyzer.terms(query) if term not in analyzer.FUNCTION_WORDS}
    return list(Marker(weights, ()).find(page.text))


@pytest.mark.slow
@pytest.mark.parametrize("place", QUERIES, ids=lambda place: place[1])
def test_the_boxes_have_the_matched_words_and_nothing_else(place: tuple[str, str]) -> None:
    package, name = place
    path = next(path for path in books(package) if path.name == name)
    pages = read_pdf(path, timeout=120, memory_mb=2048).pages
    file = pdfium.PdfDocument(path)
    for query in QUERIES[place]:
        matching = [(page, marks) for page in pages if (marks := marks_in(page, query))]
        assert matching, query
        for page, marks in matching[:_PAGES_EACH]:
            drawn = file[page.number - 1]
            for mark in marks:
                boxes = find_boxes(drawn, page.text, [mark])
                word = page.text[slice(*mark)]
                assert in_boxes(drawn, boxes) == letters(word), (name, page.number, word)


def test_thirty_queries_are_asked() -> None:
    assert sum(map(len, QUERIES.values())) >= 30


# Turned and cropped pages: the word is printed in red, so that the picture itself says where it is

WORD = "walrus"
_WHOLE = "0 0 400 300"


def red_word(path: Path, rotate: int, media: str, crop: str, paper: str = "1 g") -> Path:
    """A page with `WORD` in red between other words, and one of them outside of the crop box."""
    left, bottom, *_ = map(int, (crop or media).split())
    lines = [
        f"{paper} -900 -900 3000 3000 re f",
        f"BT /F 14 Tf 0.5 g 1 0 0 1 {left + 20} {bottom + 120} Tm (The seal and the) Tj",
        f"1 0 0 1 {left + 20} {bottom + 100} Tm (first ) Tj 1 0 0 rg ({WORD}) Tj",
        f"0.5 g ( of) Tj 1 0 0 1 {left + 20} {bottom + 80} Tm (all seals) Tj",
        f"1 0 0 1 {left - 90} {bottom + 100} Tm (Outside) Tj ET",
    ]
    boxes = f"/MediaBox [{media}] " + (f"/CropBox [{crop}] " if crop else "")
    page = f"<< /Type /Page /Parent 2 0 R {boxes} /Rotate {rotate} /Contents 4 0 R /Resources "
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    page += "<< /Font << /F 5 0 R >> >> >>"
    content = stream("\n".join(lines).encode())
    path.write_bytes(document([CATALOG, ONE_PAGE, page.encode(), content, font]))
    return path


def picture_of(path: Path, word: str = WORD, width: int = 800) -> Picture:
    text = read_pdf(path, timeout=30, memory_mb=1024).pages[0].text
    marks = tuple((m.start(), m.end()) for m in re.finditer(word, text))
    return Picture(str(path), 1, width, text, marks, timeout=30, memory_mb=1024)


def painted(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.paint())).convert("RGB")


def marked_area(picture: Picture) -> tuple[int, int, int, int]:
    """What the marks change of a picture."""
    difference = ImageChops.difference(painted(picture), painted(replace(picture, marks=())))
    box = difference.getbbox()
    assert box
    return box


@pytest.mark.slow
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize(
    ("media", "crop"),
    [
        (_WHOLE, ""),
        ("-200 -100 200 200", ""),
        (_WHOLE, "100 40 380 290"),
        ("50 70 600 500", "150 90 500 340"),
    ],
    ids=["plain", "origin", "cropped", "both"],
)
@pytest.mark.parametrize("paper", ["1 g", "0 g"], ids=["paper", "dark"])
def test_the_mark_is_on_the_word_as_printed(
    tmp_path: Path, rotate: int, media: str, crop: str, paper: str
) -> None:
    picture = picture_of(red_word(tmp_path / "b.pdf", rotate, media, crop, paper))
    assert len(picture.marks) == 1
    left, top, right, bottom = marked_area(picture)
    red, green, _ = painted(replace(picture, marks=())).split()
    word = ImageChops.subtract(red, green).point(lambda v: 255 * (v > 100)).getbbox()
    assert word
    assert left <= word[0] + 1
    assert top <= word[1] + 1
    assert right >= word[2] - 1
    assert bottom >= word[3] - 1
    margin = 0.3 * max(min(word[2] - word[0], word[3] - word[1]), 12)
    assert right - left <= word[2] - word[0] + 2 * margin
    assert bottom - top <= word[3] - word[1] + 2 * margin


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_a_book_that_reads_upright_when_turned(tmp_path: Path, rotate: int) -> None:
    pages = ["one walrus\ntwo walruses here\nthe third line\nfour"]
    path = pdfs.book(tmp_path / "t.pdf", pages, rotate=rotate)
    picture = picture_of(path)
    drawn = pdfium.PdfDocument(path)[0]
    boxes = find_boxes(drawn, picture.text, picture.marks)
    assert len(boxes) == 2
    assert in_boxes(drawn, boxes) == WORD * 2
    assert all(box[2] - box[0] > box[3] - box[1] for box in boxes), "words lie"


@pytest.mark.parametrize("name", ["columns", "upwards", "numbers"])
def test_marks_stand_where_lines_are_drawn_in_another_order(tmp_path: Path, name: str) -> None:
    left = ["A bloom filter says that a key is", "absent or perhaps there, so that",
            "no disk is read for missing keys", "in most of the levels of a tree"]  # fmt: skip
    right = [line.replace("a", "o") for line in left]
    rows = zip(column(left), column(right, 310), strict=True)
    numbers = column([*"12345"], 50)
    calls = column([f"call({n}, walrus)" for n in range(5)], 70, font="Courier")
    lines = {
        "columns": [drawn for row in rows for drawn in row], "upwards": column(left)[::-1],
        "numbers": [drawn for row in zip(numbers, calls, strict=True) for drawn in row],
    }[name]  # fmt: skip
    path = typeset(tmp_path / "b.pdf", lines)
    (page,) = read_pdf(path, timeout=30, memory_mb=1024).pages
    drawn = pdfium.PdfDocument(path)[0]
    words = [match.span() for match in re.finditer(r"\w{3,}", page.text)]
    assert len(words) >= 5
    for mark in words:
        assert in_boxes(drawn, find_boxes(drawn, page.text, [mark])) == page.text[slice(*mark)]
    lacking = "\n".join(line.text for line in lines)  # as pdfium has it, and older libraries
    assert find_boxes(drawn, lacking, [(0, 1)])


def test_a_word_that_a_line_break_cuts_has_two_boxes(tmp_path: Path) -> None:
    path = pdfs.book(
        tmp_path / "k.pdf", ["트랜잭션 로그는 비동기 처리로 기록하고 스냅\n샷은 나중에 만든다."]
    )
    drawn = pdfium.PdfDocument(path)[0]
    (before, after) = find_boxes(
        drawn, "트랜잭션 로그는 비동기 처리로 기록하고 스냅샷은 나중에 만든다.", [(22, 25)]
    )
    assert (in_boxes(drawn, [before]), in_boxes(drawn, [after])) == ("스냅", "샷")
    assert before[3] <= after[1] + 0.01


def test_odd_characters_keep_no_other_word_from_its_mark(tmp_path: Path) -> None:
    path = pdfs.odd_text(tmp_path / "o.pdf")
    file = pdfium.PdfDocument(path)
    for name, page in zip(
        pdfs.ODD_LINES, read_pdf(path, timeout=30, memory_mb=1024).pages, strict=True
    ):
        drawn, last = file[page.number - 1], page.text.rindex("after")
        boxes = find_boxes(drawn, page.text, [(last, last + 5)])
        assert in_boxes(drawn, boxes) == "after", name


@pytest.mark.slow
def test_a_page_that_reads_otherwise_is_shown_without_marks(tmp_path: Path) -> None:
    picture = picture_of(red_word(tmp_path / "b.pdf", 0, _WHOLE, ""))
    other = replace(picture, text=f"{picture.text} and more")
    assert painted(other).tobytes() == painted(replace(picture, marks=())).tobytes()


# Words that were read from the picture: where they stand is said, not drawn

PLACES = {
    "비동기로": (40.0, 60.0, 120.0, 80.0),
    "락을": (130.0, 60.0, 170.0, 80.0),
    "푼다.": (200.0, 20.0, 240.0, 40.0),
}


def read_words(places: dict[str, tuple[float, float, float, float]]) -> tuple[Letters, ...]:
    """The words, their letters of one width."""
    words = []
    for word, (left, bottom, right, top) in places.items():
        step = (right - left) / len(word)
        words.append(
            tuple(
                (c, (left + n * step, bottom, left + (n + 1) * step, top))
                for n, c in enumerate(word)
            )
        )
    return tuple(words)


def in_points(page: pdfium.PdfPage, box: Box) -> list[float]:
    """The box on the picture in the page's points: by the corners of `on_picture`."""
    left, bottom, right, top = page.get_bbox()
    corners = [(x, y) for x in (left, right) for y in (bottom, top)]
    places = {on_picture(page, *corner): corner for corner in corners}
    origin, along, down = places[0, 0], places[1, 0], places[0, 1]
    found = [
        tuple(o + (a - o) * x + (d - o) * y for o, a, d in zip(origin, along, down, strict=True))
        for x, y in ((box[0], box[1]), (box[2], box[3]))
    ]
    (x0, x1), (y0, y1) = (sorted(values) for values in zip(*found, strict=True))
    return [x0, y0, x1, y1]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", ["", "10 5 280 190"])
@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("비동기", [(40, 60, 100, 80)]),
        ("로", [(100, 60, 120, 80)]),
        ("비동기로 락", [(40, 60, 120, 80), (130, 60, 150, 80)]),
        ("을\n푼다", [(150, 60, 170, 80), (200, 20, 800 / 3 - 40, 40)]),
    ],
)
def test_words_that_were_read_are_marked_where_they_stand(
    tmp_path: Path, rotate: int, crop: str, marked: str, expected: list[Box]
) -> None:
    """Whatever the PDF's own layer says; each by itself, for its line may climb."""
    page = pdfium.PdfDocument(red_word(tmp_path / "b.pdf", rotate, "0 0 300 200", crop))[0]
    text = "비동기로 락을\n푼다."
    start = text.index(marked)
    boxes = find_boxes(page, text, [(start, start + len(marked))], read_words(PLACES))
    assert len(boxes) == len(expected)
    for box, place in zip(boxes, expected, strict=True):
        assert in_points(page, box) == pytest.approx(list(place), abs=0.01)


def test_words_that_were_read_after_those_that_are_there(tmp_path: Path) -> None:
    """As of a page whose code is in a font without a map: both are marked by their own."""
    picture = picture_of(red_word(tmp_path / "b.pdf", 0, "0 0 300 200", ""))
    page = pdfium.PdfDocument(picture.path)[0]
    text = f"{picture.text}\n비동기로 락을 푼다."
    own, read = picture.marks[0], text.index("락을")
    words = read_words(PLACES)
    before, after = find_boxes(page, text, [own, (read, read + 2)], words)
    assert [before] == find_boxes(page, picture.text, [own])
    assert in_points(page, after) == pytest.approx([130, 60, 170, 80], abs=0.01)


def test_words_that_were_read_and_are_not_the_text(tmp_path: Path) -> None:
    picture = picture_of(red_word(tmp_path / "b.pdf", 0, "0 0 300 200", ""))
    page = pdfium.PdfDocument(picture.path)[0]
    words = read_words(PLACES)
    own = find_boxes(page, picture.text, picture.marks)
    assert len(own) == 1
    assert find_boxes(page, picture.text, picture.marks, words) == own
    for text in ("비동기로 락을 풀다.", "비동기로 락을", "그 비동기로 락을 푼다.", "한 글"):
        assert find_boxes(page, text, [(0, 3)], words) == []


@pytest.mark.slow
def test_marks_of_words_that_were_read_are_painted(tmp_path: Path) -> None:
    path = red_word(tmp_path / "b.pdf", 0, "0 0 300 200", "")
    picture = Picture(
        str(path), 1, 600, "비동기로 락을 푼다.", ((5, 7),), 30, 1024, read_words(PLACES)
    )
    assert marked_area(picture) == pytest.approx((260, 240, 340, 280), abs=2)
    assert replace(picture, words=()).digest != picture.digest


def word_with_red(path: Path, before: str, after: str, font: str, rotate: int, dark: bool) -> Path:
    """A page with one word, of which `WORD` is red."""
    ink, paper = (0.9, 0) if dark else (0.1, 1)
    lines = [
        f"{paper} g 0 0 300 200 re f BT /F 12 Tf {ink} g 1 0 0 1 40 100 Tm",
        f"({before}) Tj 1 0 0 rg ({WORD}) Tj {ink} g ({after}) Tj ET",
    ]
    page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Rotate {rotate} /Contents 4 0 R"
    page += " /Resources << /Font << /F 5 0 R >> >> >>"
    made = f"<< /Type /Font /Subtype /Type1 /BaseFont /{font} >>".encode()
    path.write_bytes(
        document([CATALOG, ONE_PAGE, page.encode(), stream("\n".join(lines).encode()), made])
    )
    return path


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("font", ["Helvetica", "Courier", "Times-Bold"])
@pytest.mark.parametrize(("before", "after"), [("MMW/", "/illi"), ("ill.", ""), ("", "-MWM")])
def test_a_part_of_a_word_is_marked_where_its_ink_is(
    tmp_path: Path, before: str, after: str, font: str, rotate: int
) -> None:
    """Only the box of the whole word is known: letters are of any width."""
    dark = rotate in (90, 180)
    page = pdfium.PdfDocument(word_with_red(tmp_path / "b.pdf", before, after, font, rotate, dark))[
        0
    ]
    textpage = page.get_textpage()
    boxes = [textpage.get_charbox(index) for index in range(textpage.count_chars())]
    text = before + WORD + after
    image = page.render(scale=2).to_pil().convert("RGB")
    red, green, _ = image.split()
    there = ImageChops.subtract(red, green).point(lambda v: 255 * (v > 100)).getbbox()
    mark = (len(before), len(before) + len(WORD))
    (box,) = find_boxes(page, text, [mark], read_words({text: around(boxes)}), image)
    assert there
    sides = (box[0] * image.width, box[1] * image.height,
             box[2] * image.width, box[3] * image.height)  # fmt: skip
    assert overlap(sides, there) > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 3), (400, 60)])
@pytest.mark.parametrize("text", ["i", "한글", "a" * 40, "가b-ᄏ.1é" * 5])
def test_a_part_is_in_its_word_whatever_there_is(size: tuple[int, int], text: str) -> None:
    noise = random.Random(repr((size, text))).randbytes(size[0] * size[1])
    for word in (Image.new("L", size, 255), Image.frombytes("L", size, noise)):
        for start in range(len(text)):
            left, top, right, bottom = find_part(word, text, start, start + 1)
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1


# The picture


@pytest.mark.slow
@pytest.mark.parametrize("width", [64, 1000, 2400])
def test_the_picture_is_as_wide_as_asked(tmp_path: Path, width: int) -> None:
    path = red_word(tmp_path / "b.pdf", 90, _WHOLE, "")
    assert painted(picture_of(path, width=width)).size == (width, ceil(width * 400 / 300))


@pytest.mark.slow
def test_letters_stay_readable_under_a_mark(tmp_path: Path) -> None:
    for paper, contrast in (("1 g", 100), ("0 g", 60)):
        picture = picture_of(red_word(tmp_path / "b.pdf", 0, _WHOLE, "", paper), "seal")
        area = painted(picture).crop(marked_area(picture)).convert("L")
        darkest, brightest = area.getextrema()
        assert brightest - darkest > contrast


@pytest.mark.slow
def test_a_tall_page_is_limited(tmp_path: Path) -> None:
    path = red_word(tmp_path / "b.pdf", 0, "0 0 10 14000", "")
    across, down = painted(picture_of(path, "nothing", 2400)).size
    assert across * down <= 25_000_000
    assert down > across


def test_the_digest_tells_pictures_apart(tmp_path: Path) -> None:
    picture = picture_of(red_word(tmp_path / "b.pdf", 0, _WHOLE, ""))
    others = [
        replace(picture, number=2), replace(picture, width=801), replace(picture, marks=()),
        replace(picture, path="other.pdf"),
    ]  # fmt: skip
    assert len({p.digest for p in (picture, *others)}) == 5
    assert replace(picture).digest == picture.digest


# What cannot be painted


def refusal(path: Path, number: int = 1, timeout: float = 30, memory_mb: int = 1024) -> str:
    before = children()
    with pytest.raises(BookBrainError) as error:
        Picture(str(path), number, 800, "", (), timeout, memory_mb).paint()
    assert error.value.hint
    assert children() <= before
    return error.value.message


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.slow
def test_what_is_no_page(tmp_path: Path) -> None:
    book = pdfs.book(tmp_path / "b.pdf", ["x"])
    assert "cannot be painted" in refusal(book, number=2)
    assert "cannot be painted" in refusal(tmp_path / "missing.pdf")
    assert "cannot be painted" in refusal(pdfs.lying_count(tmp_path / "l.pdf", 3), number=3)
    assert "cannot be painted" in refusal(pdfs.encrypted(tmp_path / "e.pdf"))


@pytest.mark.slow
def test_a_balloon(tmp_path: Path) -> None:
    assert "cannot be painted" in refusal(pdfs.balloon(tmp_path / "b.pdf"), memory_mb=300)


@pytest.mark.slow
def test_a_page_that_hangs(tmp_path: Path) -> None:
    assert refusal(pdfs.hang(tmp_path / "h.pdf"), timeout=3) == (
        "This page takes longer than 3 seconds to paint."
    )
