"""Titles as they were meant, and titles that are none."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas
from support import pdfs
from support.raw_pdf import CATALOG, ONE_PAGE, document, page, stream

from bookbrain.formats.pdf import read_pdf
from bookbrain.formats.titles import as_meant, is_title, tidy

JUNK = [
    "", "123 - 4", "---", "untitled", "Untitled-1", "Untitled document", "untitled 2", "무제",
    "무제-1", "무제 3", "제목 없음", "제목없음", "제목 없음 (2)", "이름 없는 문서", "문서1",
    "문서 12", "새 문서", "빈 문서 1", "통합 문서1", "슬라이드 1", "프레젠테이션1",
    "PowerPoint 프레젠테이션", "PowerPoint Presentation", "powerpoint-präsentation",
    "Présentation PowerPoint", "Presentación de PowerPoint", "Document1", "Document 3",
    "Presentation1", "Book1", "Sheet1", "Slide 1", "unspecified", "unknown", "anonymous",
    "Unbenannt", "Sans titre 1", "無題", "名称未設定-1", "无标题文档", "Microsoft Word - thesis",
    "Microsoft Word - 3장.docx", "Microsoft PowerPoint - 3장 발표.pptx",
    "Microsoft Excel - Sheet1", "PowerPoint - lecture", "한글 - 보고서.hwp", "Microsoft Word",
    "Microsoft Word 문서", "한글 문서", "Hwp Document File", "실전 스프링.hwp", "보고서.hwpx",
    "발표.pptx", "book.indd", "layout.qxp", "talk.key", "draft.pages", "a.odt", "book.dvi",
    "thesis.tex", "MyBook.PDF", "report.doc [Compatibility Mode]", "원고.docx (호환 모드)",
    "a.qxd", "C:\\Users\\me\\Desktop\\book.hwpx", "D:/books/spring", "\\\\nas\\share\\book",
    "/home/me/book", "/Users/me/Documents/My Book", "~/texts/book one", "./out/book",
    "file:///tmp/x", "http://example.org/page", "https://example.org", "www.example.org",
    "example.org/a/b", "me@example.org", "about:blank", "D:20240501123000+09'00'", "2024-05-01",
    "2024.05.01.", "20240501 - 2", "2024년 5월 1일", "May 1, 2024", "1 May 2024",
    "Mon May  6 10:00:00 2024", "2024-05-01T10:00:00Z", "5/1/2024 10:30 AM", "2024년 5월",
    "f47ac10b-58cc-4372-a567-0e02b2c3d479", "{F47AC10B-58CC-4372-A567-0E02B2C3D479}",
    "d41d8cd98f00b204e9800998ecf8427e", "Print", "print job", "인쇄", "Scan", "Scan_20240501",
    "scan0001", "Scanned Document", "Scanned Documents",
    "Scanned from a Xerox Multifunction Printer", "스캔", "스캔 문서 2", "스캔한 이미지",
    "CamScanner 05-01-2024 10.30", "Full page photo", "IMG_0001", "image 3", "tmp12",
    "제목을 입력하세요", "제목을 입력하십시오.", "마스터 제목 스타일 편집", "클릭하여 제목 추가",
    "Click to add title", "Click to edit Master title style", "Type the document title",
    "[Type the document title]", "Your Title Here", "Title", "제목",
]  # fmt: skip
REAL = [
    "Document Object Model", "Print Culture", "Untitled Works of the Middle Ages",
    "1984 and After", "Documents of the Revolution", "The Presentation of Self in Everyday Life",
    "Presentation Zen", "Microsoft Word 2016 Step by Step", "Microsoft Excel 2019 Data Analysis",
    "Excel 2016", "PowerPoint Secrets", "PowerPoint 2019: The Missing Manual", "Node.js in Action",
    "Node.js", "Vue.js", "ASP.NET Core", "TCP/IP Illustrated", "A/B Testing", "OS/2", "I/O",
    "Node.js/Express", "HTTP: The Definitive Guide", "File Systems", "Mail and /etc",
    "C: A Reference Manual", "C", "R", "Go", "C++", "C# 12", "Scanner Darkly",
    "Scanning Electron Microscopy", "Scan Statistics", "Book of Kells", "Book 1", "Sheet Music",
    "Slide Rules", "Unknown Pleasures", "None of the Above", "Title IX", "Titles and Headings",
    "2001: A Space Odyssey", "August 1914", "May 68", "24 Hours", "9/11 and After",
    "March of the Penguins 2", "Unix in 24 Hours", "Image Processing", "Image 3D", "Temp Work",
    "Fax Machines", "스프링 부트 실전 활용 마스터", "문서화의 기술", "문서 객체 모델",
    "제목 없는 책의 역사", "제목을 잘 짓는 법", "슬라이드 만들기", "프레젠테이션",
    "프레젠테이션 젠", "무제한의 힘", "인쇄의 역사", "스캔 이론", "한글", "한글의 탄생",
    "한글 2020 배우기", "엑셀 2019", "통합 문서 관리", "운영체제", "리눅스 2024", "2024년 트렌드",
    "이것이 자바다", "Größe und Maß", "Éloge", "D-Day", "DEADBEEF", "Facade", "X.Org", "deal.II",
    "pdf", "Key Ideas", "Web 2.0",
]  # fmt: skip


@pytest.mark.parametrize("title", JUNK)
def test_what_is_no_title(title: str) -> None:
    assert not is_title(tidy(title))


@pytest.mark.parametrize("title", REAL)
def test_what_only_looks_like_none(title: str) -> None:
    assert is_title(tidy(title))


KOREAN = [
    "스프링 부트 실전 활용 마스터", "1장 시작하기", "2장 트랜잭션 관리", "강의 노트", "제1장 서론",
    "이것이 자바다", "운영체제(개정판)", "토비의 스프링 3.1 Vol.1", "부록 A. 설치",
    "리눅스 커널의 이해", "Java의 정석", "데이터베이스 개론", "목차", "찾아보기",
    "“객체지향”의 사실과 오해", "운영체제 ― 설계와 구현",
]  # fmt: skip
WESTERN = [
    "Über die Größe", "Änderungen", "Größe", "Füße und Öle", "ÄÖÜ", "ÄÄNI JA ÖÖ",
    "Éléments d’analyse", "À propos", "naïveté", "L’été à la plage", "ÉTÉ", "PROGRAMAÇÃO",
    "INTRODUÇÃO À PROGRAMAÇÃO", "OPÇÕES", "MAÇÃ", "INSTRUÇÕES E AÇÕES", "¿Qué es esto?", "Niño",
    "Señor Ñandú", "Ångström", "ÅÄÖ", "Åå", "ÆØÅ", "Þór", "«Àvui»", "½ hour", "3¼ × 2½",
    "20°C ± 1", "© 2024 Müller", "Œuvres complètes", "Łódź", "Straße — Köln", "Foo™ • Bar",
    "100 € für alle", "ÇÃO",
]  # fmt: skip


def taken_for_western(text: str, charset: str) -> str:
    """What a reader makes of a title's bytes that takes them for PDFDocEncoding."""
    path_free = {0x80: "•", 0x85: "–", 0x9F: "\0", 0xA0: "€", 0xAD: "\0"}
    return "".join(path_free.get(byte, chr(byte)) for byte in text.encode(charset))


@pytest.mark.parametrize("title", KOREAN)
def test_korean_bytes(title: str) -> None:
    if "―" not in title and "“" not in title:
        assert as_meant(taken_for_western(title, "cp949")) == title
    assert as_meant(title) == title


@pytest.mark.parametrize("title", WESTERN)
def test_western_titles_stay(title: str) -> None:
    assert as_meant(title) == title


@pytest.mark.parametrize("charset", ["gbk", "euc-jp", "shift-jis"])
@pytest.mark.parametrize(
    "title", ["程序设计语言", "計算機入門", "データ構造とアルゴリズム", "操作系统"]
)
def test_what_is_not_certainly_korean_stays(title: str, charset: str) -> None:
    try:
        raw = title.encode(charset).decode("latin-1")
    except UnicodeEncodeError:
        return  # not a charset for this title
    assert as_meant(raw) == raw


def _in_bytes(title: bytes, bookmark: bytes) -> bytes:
    def text(data: bytes) -> bytes:
        return b"(%s)" % b"".join(b"\\%03o" % byte for byte in data)

    return document(
        [
            CATALOG[:-2] + b"/Outlines 6 0 R >>",
            ONE_PAGE,
            page(
                b"4 0 R", b"/Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
            ),
            stream(b"BT /F 12 Tf 60 700 Td (some words) Tj ET"),
            b"<< /Title %s >>" % text(title),
            b"<< /Type /Outlines /First 7 0 R /Last 7 0 R /Count 1 >>",
            b"<< /Title %s /Parent 6 0 R /Dest [3 0 R /Fit] >>" % text(bookmark),
        ],
        b" /Info 5 0 R",
    )


@pytest.mark.parametrize("charset", ["cp949", "utf-8"])
@pytest.mark.parametrize("title", KOREAN)
def test_a_book_whose_titles_are_in_bytes(tmp_path: Path, title: str, charset: str) -> None:
    if charset == "utf-8" and {0x9F, 0xAD, 0x7F} & set(title.encode()):
        pytest.skip("bytes that PDFDocEncoding has no character for: what they were is not known")
    path = tmp_path / "b.pdf"
    path.write_bytes(_in_bytes(title.encode(charset), f"{title} 2".encode(charset)))
    book = read_pdf(path, timeout=30, memory_mb=1024)
    assert book.title == title
    assert [heading.title for heading in book.pages[0].headings] == [f"{title} 2"]


@pytest.mark.parametrize("title", WESTERN[:6])
def test_a_book_with_a_western_title(tmp_path: Path, title: str) -> None:
    path = pdfs.book(tmp_path / "b.pdf", ["words"], title=title)
    assert read_pdf(path, timeout=30, memory_mb=1024).title == title


def test_a_title_is_kept_composed(tmp_path: Path) -> None:
    title = unicodedata.normalize("NFD", "스프링 부트 é")
    path = pdfs.book(tmp_path / "b.pdf", ["words"], title=title)
    assert read_pdf(path, timeout=30, memory_mb=1024).title == unicodedata.normalize("NFC", title)


def _printed(path: Path, title: str, pages: Sequence[Sequence[tuple[str, float]]]) -> str:
    """The title of a book with this title in its metadata and these lines, each in its size."""
    canvas = Canvas(str(path), invariant=1)
    canvas.setTitle(title)
    for lines in pages:
        height = 780.0
        for text, size in lines:
            height -= 1.3 * size
            canvas.setFont("Helvetica", size)
            canvas.drawString(60, height, text)
        canvas.showPage()
    canvas.save()
    return read_pdf(path, timeout=30, memory_mb=1024).title


BODY = [("This page talks about ordinary things in many words, line after line.", 10.0)] * 20


@pytest.mark.parametrize("junk", ["untitled", "Microsoft Word - x", "C:\\a\\b.hwp", "2024-05-01"])
def test_the_largest_line_takes_its_place(tmp_path: Path, junk: str) -> None:
    cover = [("Rocks and Minerals", 28.0), ("A. Author", 14.0)]
    assert _printed(tmp_path / "b.pdf", junk, [cover, BODY]) == "Rocks and Minerals"


def test_a_title_may_have_two_lines_and_come_twice(tmp_path: Path) -> None:
    cover = [("Rocks and", 28.0), ("Minerals", 28.0), ("A. Author", 14.0)]
    assert _printed(tmp_path / "b.pdf", "untitled", [cover, cover, BODY]) == "Rocks and Minerals"


def test_a_good_title_is_not_exchanged(tmp_path: Path) -> None:
    assert _printed(tmp_path / "b.pdf", "Stones", [[("Rocks", 28.0), *BODY]]) == "Stones"


@pytest.mark.parametrize(
    "pages",
    [
        [BODY],
        [[("Rocks", 12.0), *BODY]],  # hardly larger
        [[("Chapter One", 28.0), *BODY], [("Chapter Two", 28.0), *BODY]],
        [[("1 Introduction", 28.0), *BODY]],
        [[("제1장 서론", 28.0), *BODY]],
        [[("the end of a sentence", 28.0), *BODY]],
        [[("x = y + z (&) - 3", 28.0), *BODY]],
        [[("T", 40.0), *BODY]],  # the first letter of a paragraph
        [[("2024", 28.0), *BODY]],
        [[("untitled", 28.0), *BODY]],
        [[("http://example.org/", 28.0), *BODY]],
        [[(f"Line {n} of a page that is set large for all of us", 20.0) for n in range(9)]],
        [[("large", 28.0)] * 9 + BODY],
        [[]],
    ],
)  # fmt: skip
def test_without_a_plain_title_the_file_gives_it(
    tmp_path: Path, pages: Sequence[Sequence[tuple[str, float]]]
) -> None:
    assert _printed(tmp_path / "b.pdf", "untitled", pages) == ""


def test_a_page_with_an_empty_label_is_not_called_like_another(tmp_path: Path) -> None:
    path = pdfs.book(tmp_path / "b.pdf", ["words"] * 5, labels=["", "", "1", "2", "3"])
    pages = read_pdf(path, timeout=30, memory_mb=1024).pages
    assert [page.label for page in pages] == ["", "", "1", "2", "3"]
    assert len({str(page.place) for page in pages}) == 5
    assert pages[0].place == "page 1 of the file"


def test_an_empty_label_is_the_number_where_that_is_free(tmp_path: Path) -> None:
    path = pdfs.book(tmp_path / "b.pdf", ["words"] * 3, labels=["", "ii", "iii"])
    pages = read_pdf(path, timeout=30, memory_mb=1024).pages
    assert [page.label for page in pages] == ["1", "ii", "iii"]
