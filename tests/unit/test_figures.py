"""Numbers and names of a claim are in its quotations, or it is not shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookbrain.answers.figures import unsupported
from bookbrain.answers.names import in_marks, names_of, unsupported_names


@pytest.mark.parametrize(
    ("claim", "quotes"),
    [
        ("The limit is 1,000 rows.", "a limit of 1000 rows"),
        ("The limit is 1 000 rows.", "a limit of 1,000 rows"),
        ("The limit is 1_000.", "a limit of 1000"),
        ("5만 행까지", "up to 50,000 rows"),
        ("2.5 million rows", "2,500,000 rows"),
        ("It has two modes.", "there are 2 modes"),
        ("It has 2 modes.", "there are two modes"),
        ("twenty-five jobs", "25 jobs"),
        ("기본값은 30초이다.", "the default is 30 seconds"),
        ("30 seconds", "기본값은 30초이다."),
        ("세 가지 방법이 있다.", "There are three ways."),
        ("waits 5 seconds", "timeout (in seconds): 5"),
        ("It returns -1.", "returns −1 on failure"),
        ("jobs 3-5", "3–5 jobs"),
        ("80x24 characters", "80x24 characters"),
        ("version 3.11.2", "since 3.11.2"),
        ("50% of it", "50 percent of it"),
        ("the 3rd one", "the third one"),
        ("No one knows, one of them said.", "nobody knows"),
        ("2024-01-05 at 10:30", "2024-01-05 10:30"),
        ("x² grows", "x² grows"),
        ("port 8080", "localhost:8080"),
        ("3-5 jobs", "from 3 to 5 jobs"),
        ("서버 세 대", "서버 3대"),
        ("열두 번 시도한다", "12 retries"),
        ("스물네 시간", "24 hours"),
        ("삼 초 기다린다", "waits 3 seconds"),
        ("다음 세대의 사회 이 개념", "the next generation"),
        ("이 초기값", "the default"),
    ],
)
def test_a_number_is_known_by_its_value(claim: str, quotes: str) -> None:
    assert unsupported(claim, quotes) == []


@pytest.mark.parametrize(
    ("claim", "quotes"),
    [
        ("The limit is 1,000.", "a limit of 100"),
        ("The limit is 100.", "a limit of 1,000"),
        ("The limit is 000.", "a limit of 1,001"),
        ("five retries", "3 retries"),
        ("다섯 번 시도한다", "3 retries"),
        ("서버 세 대", "서버 다섯 대"),
        ("서버 세 대", "서버 5대"),
        ("네 바이트", "여덟 바이트"),
        ("세 바이트", "8바이트"),
        ("열두 번", "세 번"),
        ("스무 번", "다섯 번"),
        ("열여섯 개", "네 개"),
        ("삼십 회", "다섯 회"),
        ("삼 초를 기다린다", "오 초를 기다린다"),
        ("삼 년", "오 년"),
        ("5%", "5 files"),
        ("5 ms", "5 seconds"),
        ("5 minutes", "5 seconds"),
        ("5초", "5 minutes"),
        ("10 MB", "10 KB"),
        ("10 Mb", "10 MB"),
        ("10k", "10 files"),
        ("5 million", "5 rows"),
        ("5 thousand", "5 million"),
        ("5", "5 million"),
        ("hundreds of files", "some files"),
        ("a dozen files", "2 files"),
        ("version 3.11.2", "version 3.11"),
        ("version 3.11", "version 3.11.2"),
        ("1.5", "15"),
        ("returns 1", "returns -1"),
        ("returns -1", "returns 1"),
        ("x² grows", "x2 grows"),
        ("½ of it", "1 of 2"),
        ("５ jobs", "6 jobs"),
        ("٣ jobs", "4 jobs"),
        ("2025", "2024"),
        ("at 30:10", "at 10:30"),
        ("3,5 seconds", "5 retries in 3 seconds"),
        ("on 2024-05-01", "on 2024-01-05"),
        ("from 5-3", "3 to 5"),
    ],
)
def test_another_number_is_not(claim: str, quotes: str) -> None:
    assert unsupported(claim, quotes)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Use `make -j` and SIGTERM.", ["make -j", "SIGTERM"]),
        ("CompletableFuture.thenCompose() and os.path", ["CompletableFuture.thenCompose()",
                                                         "os.path"]),
        ("in /etc/passwd, with --keep-going or -j", ["/etc/passwd", "--keep-going", "-j"]),
        ("C++, UTF-8, x86, max_jobs", ["C++", "UTF-8", "x86", "max_jobs"]),
        ("@Transactional, $HOME, .PHONY, \\section", ["@Transactional", "$HOME", ".PHONY",
                                                      "\\section"]),
        ("https://evil.example/x says", ["https://evil.example/x"]),
        ("SIGTERM을 보낸다", ["SIGTERM"]),
        ("Well-known words, e.g. read/write and don’t, are none. It ends so.", []),
    ],
)  # fmt: skip
def test_code_is_told_by_its_shape(text: str, names: list[str]) -> None:
    assert list(names_of(text)) == names


@pytest.mark.parametrize(
    ("claim", "quotes"),
    [
        ("Send SIGKILL.", "Send SIGTERM."),
        ("Use `foo`.", "Use `foobar`."),
        ("Use `Foo`.", "Use foo."),
        ("thenapply? thenApply!", "thenCompose"),
        ("Set max_jobs.", "Set MAX_JOBS."),
        ("Use --force.", "Use --force-all."),
        ("Use -k.", "Use -K."),
        ("See https://evil.example.", "See the manual."),
        ("It is in /etc/shadow.", "It is in /etc/shadow-."),
        ("`rm -rf /tmp`", "rm -r /tmp"),
    ],
)
def test_a_name_is_its_letters_in_their_case(claim: str, quotes: str) -> None:
    assert unsupported_names(claim, quotes)


def test_names_that_are_quoted_are_known() -> None:
    quotes = "Call foo.bar() with max_jobs, --jobs=4 or SIGTERM in /etc/make.conf; see `make -j`."
    for claim in ("`make -j`", "max_jobs", "SIGTERM", "/etc/make.conf", "foo.bar()", "--jobs=4"):
        assert unsupported_names(f"It is {claim}.", quotes) == [], claim


def test_what_a_claim_has_in_quotation_marks_is_seen() -> None:
    said = 'It says "never do this" and “that”, 「이것」 and ‘so it is’; don\'t.'
    assert list(in_marks(said)) == ["never do this", "that", "이것", "so it is"]


@given(st.text(max_size=120), st.text(max_size=120))
def test_any_text_is_taken(claim: str, quotes: str) -> None:
    unsupported(claim, quotes)
    unsupported_names(claim, quotes)
    assert unsupported(claim, claim) == []
