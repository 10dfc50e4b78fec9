"""A listing is copied as it is printed: from the page's text, from a hit, from Markdown."""

import ast
import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from support.raw_pdf import glyph_pages
from support.typeset import Drawn, column, typeset

from bookbrain.formats.pdf import read_pdf
from bookbrain.index.analyzer import terms
from bookbrain.library import Library
from bookbrain.listed import copied
from bookbrain.model import result_markdown, to_json
from bookbrain.settings import Settings

PYTHON = '''\
import json
from pathlib import Path


class Shelf:
    """Books on a disk."""

    def __init__(self, home):
        self.home = Path(home)  # where they are

    def titles(self, limit=10):
        found = []
        for path in sorted(self.home.glob("*.json")):
            if len(found) >= limit:
                break
            found.append(json.loads(path.read_text())["title"])

        return found


narrow = {"a":    1,
          "bc":   2}
path = "a" + \\
    "b"'''
YAML = """\
version: 3
services:
  web:
    image: nginx
    ports:
      - "80:80"
      - "443:443"
    command: |
      run --all
        --deep

  database:
    image: postgres   # the newest
name: well-
known: true"""
FLAT = "name: app\nversion: 3\nowner: nobody\nlicense: none"
SHELL = "tar -xzf backup.tar.gz \\\n    --directory /srv\nsystemctl restart bookbrain --now\nls -"
LISTINGS = {"python": PYTHON, "yaml": YAML, "flat": FLAT, "shell": SHELL}
BEFORE = "The listing shows how that is done, and what it is good for."
AFTER = "Whoever runs it will see that it does what was promised above."


def by_reportlab(path: Path, code: str) -> Path:
    return drawn(path, code)


def by_reportlab_with_numbers(path: Path, code: str) -> Path:
    return drawn(path, code, numbers=True)


def drawn(path: Path, code: str, *, numbers: bool = False) -> Path:
    lines = [
        Drawn(line, 90, 730 - 12 * n, "Courier", 9)
        for n, line in enumerate(code.split("\n"))
        if line
    ]
    margin = [
        Drawn(str(n + 1), 72, 730 - 12 * n, "Helvetica", 7) for n in range(len(code.split("\n")))
    ]
    rows = sorted([*lines, *(margin if numbers else [])], key=lambda line: (-line.y, line.x))
    after = Drawn(AFTER, 72, 730 - 12 * len(code.split("\n")) - 12)
    return typeset(path, [Drawn(BEFORE, 72, 760), *rows, after])


def by_hand(path: Path, code: str) -> Path:
    """In a font that says neither its name nor its pitch; all its letters are as wide."""
    path.write_bytes(glyph_pages([[[*line] for line in code.split("\n")]]))
    return path


def by_chromium(path: Path, code: str, *, tabs: bool = False) -> Path:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    if tabs:
        code = re.sub(" {4}", "\t", code)
    page = path.with_suffix(".html")
    page.write_text(f"<meta charset=utf-8><p>{BEFORE}</p><pre>{html.escape(code)}</pre><p>{AFTER}")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer")
    command = [chromium, *options, f"--print-to-pdf={path}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return path


PRODUCERS: list[Callable[[Path, str], Path]] = [
    by_reportlab, by_reportlab_with_numbers, by_hand, by_chromium,
]  # fmt: skip


def text_of(path: Path) -> str:
    """The text of its one page, as it is copied."""
    (page,) = read_pdf(path, timeout=60, memory_mb=1024).pages
    return copied(page.text)


@pytest.mark.slow
@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize("make", PRODUCERS)
def test_a_listing_is_in_the_text_of_its_page(
    tmp_path: Path, make: Callable[[Path, str], Path], name: str
) -> None:
    text = text_of(make(tmp_path / "book.pdf", LISTINGS[name]))
    listing = text.removeprefix(BEFORE).removesuffix(AFTER).strip("\n")
    assert listing == LISTINGS[name]


@pytest.mark.slow
def test_tabs_are_columns(tmp_path: Path) -> None:
    text = text_of(by_chromium(tmp_path / "book.pdf", PYTHON, tabs=True))
    code = text.removeprefix(BEFORE).removesuffix(AFTER).strip("\n")
    assert ast.dump(ast.parse(code)) == ast.dump(ast.parse(PYTHON))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "query"),
    [("python", "sorted home glob"), ("yaml", "image postgres"), ("flat", "nobody"),
     ("shell", "systemctl")],
)  # fmt: skip
@pytest.mark.parametrize("make", [by_reportlab, by_reportlab_with_numbers, by_chromium])
def test_a_listing_is_copied_from_a_hit(
    tmp_path: Path, make: Callable[[Path, str], Path], name: str, query: str
) -> None:
    book = make(tmp_path / "book.pdf", LISTINGS[name])
    with Library(Settings(tmp_path / "library")) as library:
        library.add([book])
        result = library.search(query)
    (hit,) = json.loads(to_json(result))["hits"]
    snippet = html.unescape(re.sub("</?mark>", "", hit["snippet"]))
    before, *lines = snippet.split("\n")
    after = lines.pop()
    tokens = MarkdownIt("commonmark").parse(result_markdown(result, "en"))
    fences = [token.content for token in tokens if token.type == "fence"]
    assert [("\n".join(lines)), f"{LISTINGS[name]}\n"] == [LISTINGS[name], *fences]
    assert BEFORE.endswith(before.strip("… "))
    assert AFTER.startswith(after.strip("… "))
    assert LISTINGS[name] in hit["text"]


def test_what_the_listings_say() -> None:
    """They are what the tests above take them for."""
    assert yaml.safe_load(YAML)["services"]["web"]["ports"] == ["80:80", "443:443"]
    assert yaml.safe_load(FLAT)["version"] == 3
    names = {node.name for node in ast.walk(ast.parse(PYTHON)) if isinstance(node, ast.ClassDef)}
    assert names == {"Shelf"}


class TestWhatIsNone:
    def read(self, path: Path, lines: Sequence[Drawn]) -> str:
        return text_of(typeset(path, lines))

    def test_numbers_of_lines_are_no_words(self, tmp_path: Path) -> None:
        text = text_of(by_reportlab_with_numbers(tmp_path / "book.pdf", PYTHON))
        assert "17" not in terms(text)

    @pytest.mark.parametrize("step", [2, 10])
    def test_numbers_that_do_not_count_lines_stay(self, tmp_path: Path, step: int) -> None:
        lines = [f'{step * n} PRINT "LINE"' for n in range(1, 6)]
        assert self.read(tmp_path / "b.pdf", column(lines, font="Courier")) == "\n".join(lines)

    @pytest.mark.parametrize("first", [0, 1, 8])
    def test_numbers_of_steps_and_choices_stay(self, tmp_path: Path, first: int) -> None:
        words = ["open a shelf", "take a book", "read it", "put it back"]
        lines = [f"{n} {word}" for n, word in enumerate(words, first)]
        assert self.read(tmp_path / "b.pdf", column(lines, font="Courier")) == "\n".join(lines)

    def test_numbers_of_lines_in_the_font_of_the_text_stand_apart(self, tmp_path: Path) -> None:
        lines = [f"{n:2}  {line}" for n, line in enumerate(FLAT.split("\n"), 8)]
        assert self.read(tmp_path / "b.pdf", column(lines, font="Courier")) == FLAT

    def test_prose_in_other_fonts_flows(self, tmp_path: Path) -> None:
        prose = [
            "The lock is held while the page is written, and nobody reads",
            "it meanwhile; so a reader sees all of a change or nothing of",
            "it, whatever happens to the machine.",
        ]
        assert self.read(tmp_path / "b.pdf", column(prose)) == " ".join(prose)

    def test_a_name_in_a_line_of_prose_is_none(self, tmp_path: Path) -> None:
        lines = [
            Drawn("malloc", 60, 700, "Courier"),
            Drawn("gives memory that nobody cleared, and", 100, 700),
            Drawn("free", 60, 686, "Courier"),
            Drawn("takes it back so that others may have it.", 88, 686),
        ]  # fmt: skip
        assert "cleared, and free takes" in self.read(tmp_path / "b.pdf", lines)

    def test_korean_prose_that_begins_with_a_name(self, tmp_path: Path) -> None:
        lines = [
            Drawn("malloc", 60, 700, "Courier"),
            Drawn("은 아무도 지우지 않은 메모리를 돌려주며 그것을", 96, 700),
            Drawn("free", 60, 686, "Courier"),
            Drawn("로 돌려주어야 다른 곳에서 다시 쓸 수 있게 된다.", 84, 686),
        ]  # fmt: skip
        assert "\n" not in self.read(tmp_path / "b.pdf", lines)


def test_a_comment_in_another_font_is_of_the_listing(tmp_path: Path) -> None:
    lines = [
        Drawn("def get(key):", 60, 700, "Courier"),
        Drawn("# ", 84, 688, "Courier"), Drawn("제목을 찾는다", 96, 688),
        Drawn("return titles[key]", 84, 676, "Courier"),
    ]  # fmt: skip
    code = "def get(key):\n    # 제목을 찾는다\n    return titles[key]"
    assert text_of(typeset(tmp_path / "b.pdf", lines)) == code
