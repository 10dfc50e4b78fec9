"""Lines and words that the layout cut become whole again; code stays as it is."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookbrain.formats.page_text import HYPHEN, clean, join_hyphens, words_of
from bookbrain.formats.text import is_code, join_lines

ODD = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("\r\n\t\xad\u200b\u0301\ufffe\x02\xa0\ufb01\u1112\u1161\u11ab e"),
    )
)


class TestClean:
    @given(ODD)
    def test_twice_is_once(self, text: str) -> None:
        assert clean(clean(text)) == clean(text)

    @given(ODD)
    def test_what_is_left(self, text: str) -> None:
        cleaned = clean(text)
        assert unicodedata.is_normalized("NFC", cleaned)
        controls = {c for c in cleaned if unicodedata.category(c) == "Cc"}
        assert controls <= {"\n", HYPHEN}
        assert not set(cleaned) & set("\xad\u200b\u200d\ufeff\u202e\xa0\u3000\ufb01")

    @pytest.mark.parametrize(
        ("raw", "cleaned"),
        [
            ("e\ufb03cient \ufb02ow", "efficient flow"),
            ("one\r\ntwo\rthree\nfour", "one\ntwo\nthree\nfour"),
            (unicodedata.normalize("NFD", "비동기"), "비동기"),
            ("zero\u200bwidth\u200dspace\ufeff", "zerowidthspace"),
            ("\u1107\u200b\u1175", "비"),
            ("bell\x07 escape\x1b[31m", "bell escape[31m"),
            ("no\xa0break\u3000wide\ttab", "no break wide tab"),
            ("asyn\ufffechronous", "asyn\x02chronous"),
            ("asyn\xad\r\nchro\xadnous", "asyn\x02chronous"),
            ("\n\n  indented  \nend \n\n", "  indented\nend"),
            ("\u202efdp.exe\u202c", "fdp.exe"),
            (
                "\uf762\uf761\uf763\uf76b\uf770\uf772\uf765\uf773\uf773\uf775\uf772\uf765",
                "BACKPRESSURE",
            ),
            ("C\uf76f\uf772\uf762\uf761, \uf731\uf739\uf739\uf736 and \uf730", "CORBA, 1996 and 0"),
            ("\uf7c9t\uf7e9 \uf7e0 \uf6fa\uf775\uf776\uf772\uf765", "\uf7c9tÉ À ŒUVRE"),
            ("1\uf6f2\uf6f3 5\uf6eb \uf6dc\uf724", "1st 5d 1$"),
            ("LaTeX\uf645e [\uf645\uf643\uf643\uf64b/\uf643\uf64c]", "LaTeX2e [2008/09]"),
            ("\uf8f1\uf8f4", "\uf8f1\uf8f4"),
        ],
    )
    def test_examples(self, raw: str, cleaned: str) -> None:
        assert clean(raw) == cleaned


class TestHyphens:
    @pytest.mark.parametrize(
        ("text", "joined"),
        [
            ("an asyn\x02chronous call", "an asynchronous call"),
            ("an asyn\x02\nchronous call", "an asynchronous call"),
            ("well\x02\nknown; well; known", "well-known; well; known"),
            ("note\x02book; note; book; notebook", "notebook; note; book; notebook"),
            ("the Stefan\x02\nBoltzmann law", "the Stefan-Boltzmann law"),
            ("Java\x02\nScript and JavaScript", "JavaScript and JavaScript"),
            ("a dash\x02", "a dash-"),
            ("see x\x02\n1", "see x-\n1"),
        ],
    )
    def test_by_the_words_of_the_book(self, text: str, joined: str) -> None:
        assert join_hyphens(text, words_of(text)) == joined

    def test_halves_are_not_words_of_the_book(self) -> None:
        assert words_of("asyn\x02\nchronous and multi\x02pro\x02\ncessing here") == {"and", "here"}

    @given(ODD)
    def test_no_mark_is_left(self, text: str) -> None:
        cleaned = clean(text)
        assert HYPHEN not in join_hyphens(cleaned, words_of(cleaned))


def lines_of(*lines: str) -> str:
    return "\n".join(lines)


class TestLines:
    def test_a_paragraph_becomes_one_line(self) -> None:
        page = lines_of(
            "The scheduler picks the thread that has waited longest and gives it the",
            "processor for a slice of time, after which it goes back to the end of the",
            "queue.",
            "A new paragraph starts here and it too goes on to the very end of the line",
            "before it ends.",
        )
        assert join_lines([page]) == [
            lines_of(
                "The scheduler picks the thread that has waited longest and gives it the processor"
                " for a slice of time, after which it goes back to the end of the queue.",
                "A new paragraph starts here and it too goes on to the very end of the line before"
                " it ends.",
            )
        ]

    def test_korean_is_joined_inside_words_and_spaced_between_them(self) -> None:
        page = lines_of(
            "운영체제는 여러 프로그램이 동시에 실행되는 것처럼 보이도록 프로세",
            "스를 빠르게 바꾸어 가며 실행한다. 이것을 문맥 교환이라고 부르며 매우",
            "자주 일어난다.",
        )
        (text,) = join_lines([page])
        assert "프로세스를" in text
        assert "매우 자주" in text
        assert "\n" not in text

    def test_the_words_of_the_book_decide_before_kiwi(self) -> None:
        """쿼럼블록 is no word of Korean; this book uses it."""
        cut = lines_of(
            "여러 노드가 합의에 이르려면 과반수가 응답해야 하는데 이때 모인 것을 쿼럼",
            "블록이라고 부르고 이것이 없으면 아무것도 기록되지 않으므로 기다려야만",
            "한다.",
        )
        known = "그러므로 쿼럼블록이라고 부르고 있다."
        assert "쿼럼블록이라고" in join_lines([cut, known])[0]

    def test_code_and_lists_keep_their_lines(self) -> None:
        page = lines_of(
            "public static void main(String[] args) throws InterruptedException {",
            "    CompletableFuture<String> first = service.find(identifier, timeout);",
            "}",
            "1. The first item of a list that is long enough to reach the margin here",
            "2. The second item of a list that is long enough to reach the margin too",
            "• A bullet with so many words that it also goes on up to the right margin",
            "$ sudo apt-get install --no-install-recommends postgresql postgresql-client",
        )
        assert join_lines([page]) == [page]

    def test_short_lines_are_not_paragraphs(self) -> None:
        page = lines_of("Chapter 3", "The Kernel", "x" * 70, "y" * 70)
        assert join_lines([page])[0].startswith("Chapter 3\nThe Kernel\n")

    @given(st.lists(st.text("ab 가나.{\n-1", max_size=60), min_size=1, max_size=3))
    def test_nothing_is_lost_or_made_up(self, pages: list[str]) -> None:
        joined = join_lines(pages)
        assert len(joined) == len(pages)
        for before, after in zip(pages, joined, strict=True):
            assert re.sub(r"\s", "", after) == re.sub(r"\s", "", before)


@pytest.mark.parametrize(
    "line",
    [
        "int x = 5;",
        "    return values[i]",
        "$ ls -l",
        ">>> print(1)",
        "@Transactional",
        "SELECT name FROM book",
        "std::move(x)",
        "\\section{Kernel}",
        "foo(bar)",
        "<dependency>",
        "sudo systemctl restart caddy",
    ],
)
def test_code(line: str) -> None:
    assert is_code(line)


@pytest.mark.parametrize(
    "line",
    [
        "The kernel schedules threads (see chapter 4).",
        "비동기 처리를 하려면 콜백을 쓴다.",
        "It costs $5 or more.",
        "From here on, classes are our subject.",
        "",
    ],
)
def test_prose(line: str) -> None:
    assert not is_code(line)
