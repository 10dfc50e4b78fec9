"""How texts look: what is in a book can steer neither a terminal nor a document."""

import html
import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bookbrain.cli.command import fail
from bookbrain.cli.terminal import (
    note_reading,
    print_books,
    print_result,
    say,
    shown,
    shown_progress,
)
from bookbrain.errors import BookBrainError
from bookbrain.model import (
    Book,
    Clause,
    Hit,
    ReadAs,
    SearchResult,
    Why,
    dollars,
    printable,
    result_markdown,
)

# Clears the screen, sets the title of the window, a C1 control, a bell, turns text around.
HOSTILE = "a\x1b[2Jb\x1b]0;owned\x07c\x9b31md\x7fe\u202ef\ng\rh\x00i"


@pytest.fixture(autouse=True, scope="module")
def _english() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LC_ALL", "C.UTF-8")
        patch.setenv("TERM", "xterm-256color")
        yield


def _hit(**changes: object) -> Hit:
    values = {
        "rank": 1, "score": 0.8, "book_id": "0" * 64, "title": "Java", "file": "java.pdf",
        "page": 31, "page_label": "19", "chapter": "3.4", "snippet": "s", "text": "t",
        "why": Why(),
    } | changes  # fmt: skip
    return Hit(**values)  # type: ignore[arg-type]


def _result(*hits: Hit) -> SearchResult:
    return SearchResult("q", "keyword", None, 1.0, hits)


def _controls(text: str) -> list[str]:
    """What could steer a terminal, beside the ends of our own lines."""
    return [repr(c) for c in text if unicodedata.category(c)[0] == "C" and c != "\n"]


def _on_a_terminal(act: Callable[[], None]) -> str:
    """What `act` prints, on stdout and stderr, on a real pseudo-terminal."""
    ours, theirs = os.openpty()
    try:
        with (
            open(theirs, "w", encoding="utf-8") as terminal,
            redirect_stdout(terminal),
            redirect_stderr(terminal),
        ):
            act()
        return b"".join(_read(ours)).decode().replace("\r\n", "\n")
    finally:
        os.close(ours)


def _read(terminal: int) -> Iterator[bytes]:
    """All that was written; Linux ends a pseudo-terminal with EIO."""
    with suppress(OSError):
        while some := os.read(terminal, 65536):
            yield some


# What steers a terminal


@pytest.mark.slow
@given(st.text())
def test_a_printable_text_is_one_line_without_controls(text: str) -> None:
    made = printable(text)
    assert _controls(made) == []
    assert "\n" not in made
    assert len(made) == len(text)
    assert [a for a, b in zip(made, text, strict=True) if a != b] == ["?"] * sum(
        unicodedata.category(c)[0] == "C" for c in text
    )


def test_what_people_write_is_left_alone() -> None:
    text = "비동기 “처리” — C++/naïve 日本語 ½ 🎉 e\u0301"
    assert printable(text) == shown(text) == text


def test_nothing_in_a_hit_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hit = _hit(
        title=HOSTILE, file=HOSTILE, chapter=HOSTILE, page_label=HOSTILE,
        snippet=f"{HOSTILE}<mark>{HOSTILE}</mark>&#27;[5m&#x9b;1m",
    )  # fmt: skip
    print_result(_result(hit))
    out = capsys.readouterr().out
    assert _controls(out) == []
    assert "owned" in out, "the rest of it is shown"
    assert len(out.splitlines()) <= 8, "a line break of a name is none of ours"
    colours = re.compile(r"\x1b\[[\d;]*m")
    assert _controls(colours.sub("", _on_a_terminal(lambda: print_result(_result(hit))))) == []


def test_nothing_in_a_book_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    problem = f"page 1: {HOSTILE}"
    print_books([Book(HOSTILE, HOSTILE, HOSTILE, 3, 2, "now", (problem, problem))])
    out = capsys.readouterr().out
    assert _controls(out) == []
    assert len(out.splitlines()) == 3


def test_nothing_in_an_error_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BaseException) as ended:
        fail(BookBrainError(f"{HOSTILE} is damaged.", f"Look at {HOSTILE}."))
    assert getattr(ended.value, "exit_code", None) == 1
    say(HOSTILE, err=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert _controls(err) == []
    assert [line[:7] for line in err.splitlines()] == ["Error: ", "Next:  ", "a?[2Jb?"]


def test_nothing_in_a_file_name_reaches_the_progress() -> None:
    def draw() -> None:
        with shown_progress() as progress:
            progress.begin(f"[red]{HOSTILE[:20]}\\", 1, 2)
            progress.step("reading", 3, 7)

    drawn = _on_a_terminal(draw)
    assert "\x1b[2Jb" not in drawn
    assert "[red]a?[2Jb?]0;owned" in drawn, "neither a control nor markup of ours"


# Citations


def _without_blank(text: str) -> bool:
    return bool(text.split())


_TEXT = st.one_of(st.text(), st.text("\\`*_[]<>#|~$&!-+.)(1=:\"' \n\tab가")).filter(_without_blank)


def _plain(text: str) -> str:
    return printable(" ".join(text.split()))


@pytest.mark.slow
@given(_TEXT, _TEXT, st.one_of(st.just(""), _TEXT), _TEXT)
def test_a_citation_says_what_the_book_says(
    quote: str, title: str, chapter: str, label: str
) -> None:
    quote = quote.replace("\n", " ")  # beside one there would be lines of code
    middle = len(quote) // 2
    snippet = f"{html.escape(quote[:middle])}<mark>{html.escape(quote[middle:])}</mark>"
    hit = _hit(title=title, chapter=chapter, page_label=label, snippet=snippet)
    tokens = MarkdownIt("commonmark").parse(result_markdown(_result(hit), "en"))
    assert [token.type for token in tokens] == [
        "blockquote_open",
        *("paragraph_open", "inline", "paragraph_close") * 2,
        "blockquote_close",
    ]
    first, second = (token.children or [] for token in tokens if token.type == "inline")
    assert {token.type for token in first} == {"text"}
    assert "".join(token.content for token in first) == _plain(quote)
    assert [token.type for token in second if token.type != "text"] == ["em_open", "em_close"]
    page = _plain(printable(f"p. {label}"))
    after = f", “{_plain(chapter)}”" if _plain(chapter) else ""
    assert "".join(t.content for t in second) == f"— {_plain(title)}{after}, {page}"


def test_citations_are_apart_and_without_controls() -> None:
    citation = result_markdown(
        _result(_hit(snippet="a <mark>b</mark>&lt;c"), _hit(title=HOSTILE)), "en"
    )
    first, second = citation.split("\n\n")
    assert first == "> a b\\<c\n>\n> — *Java*, “3\\.4”, p. 19"
    assert second.startswith("> s\n>\n> — *a?\\[2Jb?")
    assert _controls(citation) == []
    assert result_markdown(_result(), "en") == ""


# Highlights


def test_matches_are_highlighted_on_a_terminal_only(capsys: pytest.CaptureFixture[str]) -> None:
    result = _result(_hit(snippet="a &lt;b&gt; <mark>match</mark> c <mark>&amp;</mark>"))
    print_result(result)
    plain = capsys.readouterr().out
    assert "\x1b" not in plain
    assert "a <b> match c &\n" in plain
    seen = _on_a_terminal(lambda: print_result(result))
    assert re.search(r"a <b> \x1b\[1;33mmatch\x1b\[0m c \x1b\[1;33m&\x1b\[0m", seen)
    assert re.sub(r"\x1b\[[\d;]*m", "", seen) == plain


def test_no_colour_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    seen = _on_a_terminal(lambda: print_result(_result(_hit(snippet="<mark>match</mark>"))))
    assert not re.search(r"\x1b\[[\d;]*3\dm", seen)
    assert "match" in seen


def test_a_long_snippet_is_wrapped_and_indented(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(_result(_hit(snippet="낱말 " * 90)))
    lines = capsys.readouterr().out.splitlines()[2:]
    assert sum(line.count("낱말") for line in lines) == 90
    for line in filter(None, lines):
        assert line.startswith("    낱말")
        assert sum(2 if unicodedata.east_asian_width(c) == "W" else 1 for c in line) <= 80


@pytest.mark.parametrize(
    ("label", "said"),
    [("31", "Java  p. 31\n"), ("19", "Java  p. 19 (page 31 of the file)\n"), ("xii", "p. xii (")],
)
def test_the_printed_page_and_where_it_is_in_the_file(
    capsys: pytest.CaptureFixture[str], label: str, said: str
) -> None:
    print_result(_result(_hit(page_label=label)))
    assert said in capsys.readouterr().out


def test_nothing_to_show_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(_result())
    assert "bookbrain books" in capsys.readouterr().out
    print_books([])
    assert "bookbrain add" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tokens", "price", "said"),
    [
        (1000, 0.02, "$0.0000"),
        (12_345_678, 0.02, "$0.2469"),
        (50_000_000, 0.02, "$1.00"),
        (1_000_000_000, 0.13, "$130.00"),
        (5000, 0.0, "$0.0000"),
        (5000, None, ""),
    ],
)
def test_costs(tokens: int, price: float | None, said: str) -> None:
    assert dollars(tokens, price) == said


def test_how_a_query_was_read_is_said_with_the_other_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clauses = (Clause("without", "boot", "spring boot"), Clause("text", "nn", 'lspci -"nn"'))
    note_reading(ReadAs(clauses, plain=True))
    out, err = capsys.readouterr()
    assert out == ""
    assert [click.unstyle(line) for line in err.splitlines()] == [
        "without: boot · the other way: spring boot",
        'as text: -nn · the other way: lspci -"nn"',
        "No page has that as it was asked. These have some of the plain words.",
    ]
