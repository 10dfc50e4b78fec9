"""The sample book is what its source builds, reads as its source reads, and tells the truth."""

import importlib.util
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pypdfium2
import pytest
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from bookbrain.errors import UnavailableError
from bookbrain.formats.pdf import read_pdf
from bookbrain.ocr.choice import NO_TEXT
from bookbrain.ocr.page_scan import PageScan
from bookbrain.ocr.tesseract import find_tesseract

ROOT = Path(__file__).parents[2]
HANDBOOK = ROOT / "bookbrain" / "sample" / "handbook.pdf"


def _load_builder() -> ModuleType:
    path = ROOT / "packaging" / "handbook" / "build.py"
    spec = importlib.util.spec_from_file_location("handbook_builder", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


builder = _load_builder()
SOURCE = SyntaxTreeNode(
    MarkdownIt("commonmark").enable("table").parse(builder.SOURCE.read_text(encoding="utf-8"))
)


def _plain(node: SyntaxTreeNode) -> str:
    if node.type in ("text", "code_inline"):
        return node.content
    return " " if node.type == "softbreak" else "".join(map(_plain, node.children))


_SCANNED = [
    _plain(node)
    for node in SyntaxTreeNode(MarkdownIt().parse(builder.SCANNED.read_text("utf-8"))).walk()
    if node.type == "inline"
]


def _command_lines() -> Iterator[str]:
    for node in SOURCE.walk():
        if node.type == "fence" and node.info == "sh":
            yield from (line for line in node.content.splitlines() if line.startswith("bookbrain "))
        if node.type == "code_inline" and node.content.startswith("bookbrain "):
            yield node.content


@pytest.fixture(scope="module")
def handbook() -> Iterator[pypdfium2.PdfDocument]:
    with pypdfium2.PdfDocument(HANDBOOK) as document:
        yield document


@pytest.fixture(scope="module")
def pages(handbook: pypdfium2.PdfDocument) -> list[list[str]]:
    """The lines of each page, white space made single."""
    texts = [page.get_textpage().get_text_range() for page in handbook]
    return [[" ".join(line.split()) for line in text.splitlines()] for text in texts]


def test_the_committed_pdf_is_of_this_source(handbook: pypdfium2.PdfDocument) -> None:
    assert builder.source_digest() in handbook.get_metadata_value("Creator"), (
        "handbook.md or scan.md has changed: run packaging/handbook/build.py"
    )
    assert handbook.get_metadata_value("Title") == "BookBrain Handbook · 북브레인 안내서"
    assert handbook.get_metadata_value("Author") == "BookBrain contributors"
    assert HANDBOOK.stat().st_size < 300_000


@pytest.mark.slow
def test_the_build_is_the_committed_pdf_byte_for_byte(handbook: pypdfium2.PdfDocument) -> None:
    if missing := builder.missing():
        pytest.skip(f"{missing[0]} is not installed (Debian: fonts-nanum, qpdf)")
    if handbook.get_metadata_value("Creator") != builder.provenance():
        pytest.skip("the PDF was built with other releases of reportlab, Pillow, pdfium or qpdf")
    assert builder.build() == HANDBOOK.read_bytes()
    assert builder.build() == HANDBOOK.read_bytes(), "a second build in one process differs"


def test_page_labels_are_the_printed_numbers(
    handbook: pypdfium2.PdfDocument, pages: list[list[str]]
) -> None:
    labels = [handbook.get_page_label(index) for index in range(len(handbook))]
    front = labels.index("1")
    assert labels[:front] == ["i", "ii", "iii"]
    assert labels[front:] == [str(number + 1) for number in range(len(labels) - front)]
    assert [page[-1] for page in pages[1:-1]] == labels[1:-1]


def test_the_outline_has_every_heading_on_its_page(
    handbook: pypdfium2.PdfDocument, pages: list[list[str]]
) -> None:
    headings = [node for node in SOURCE.children if node.type == "heading" and node.tag != "h1"]
    *entries, scan = handbook.get_toc()
    assert (scan.get_title(), scan.get_dest().get_index()) == (_SCANNED[0], len(pages) - 1)
    assert [(entry.level, entry.get_title()) for entry in entries] == [
        (int(node.tag[1]) - 2, _plain(node)) for node in headings
    ]
    for entry in entries:
        assert entry.get_title() in pages[entry.get_dest().get_index()]


@pytest.mark.slow
def test_the_last_page_is_a_scan_of_its_source(pages: list[list[str]]) -> None:
    assert pages[-1] == []
    text = read_pdf(HANDBOOK, timeout=60, memory_mb=1024)
    assert [page.number for page in text.pages if page.problem] == [len(pages)]
    assert text.pages[-1].problem == NO_TEXT
    try:
        engine = find_tesseract()
    except UnavailableError as error:
        pytest.skip(str(error))
    found = engine.recognise(PageScan(str(HANDBOOK), len(pages)))
    words = " ".join(_SCANNED).replace("·", "").split()
    read = found.text.split()
    assert sum(word in read for word in words) >= 0.9 * len(words)
    assert read[-1] == text.pages[-1].label == str(int(text.pages[-2].label) + 1)


def test_every_paragraph_can_be_read_back(pages: list[list[str]]) -> None:
    text = " ".join(line for page in pages for line in page[:-1])
    paragraphs = [_plain(node) for node in SOURCE.walk() if node.type == "inline"]
    assert any("낱말을 제외하려면" in paragraph for paragraph in paragraphs)
    assert any("To exclude a word" in paragraph for paragraph in paragraphs)
    assert [paragraph for paragraph in paragraphs if paragraph not in text] == []


def test_every_line_of_code_is_a_line_of_text(pages: list[list[str]]) -> None:
    lines = {line for page in pages for line in page}
    code = [node.content.splitlines() for node in SOURCE.walk() if node.type == "fence"]
    assert {" ".join(line.split()) for block in code for line in block} <= lines


@pytest.mark.parametrize("line", sorted(set(_command_lines())))
def test_the_command_line_is_one_that_bookbrain_knows(line: str) -> None:
    from bookbrain.cli import main

    words = shlex.split(line, comments=True)[1:]
    redirection = next((i for i, word in enumerate(words) if word in (">", ">>", "|")), None)
    context = click.Context(main, info_name="bookbrain", **main.context_settings)
    _, command, arguments = main.resolve_command(context, words[:redirection])
    assert command
    parser = command.make_parser(click.Context(command, parent=context))
    _, left_over, _ = parser.parse_args(list(arguments))
    assert left_over == []
