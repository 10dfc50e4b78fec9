"""What a claim may say, beside its quotations."""

import pytest

from bookbrain.answers.gate import Claim, SourcePage, Statement, Struck, judge
from bookbrain.answers.negation import contradicts
from bookbrain.model import Heading, Page, TextId
from bookbrain.store.rows import FoundPage

TEXT = (
    "Locks\nThe lemming queue is not thread safe; guard it with a mutex where threads share it. "
    "The walrus server keeps 9,007,199,254,740,993 records for 3 seconds after 5 retries.\n"
    "Waits\n락은 재진입할 수 있다. 큐는 스레드에 안전하지 않으므로 뮤텍스로 보호한다."
)


def source(text: str, number: int, book: str = "b") -> SourcePage:
    headings = (Heading(0, "Locks"), Heading(text.find("Waits"), "Waits"))
    page = Page(number, f"x{number}", "Before", text, headings)
    found = FoundPage(TextId(book * 64, "r"), f"Book {book}", f"{book}.pdf", page)
    return SourcePage(f"p{number}", found, text)


PAGES = [source(TEXT, 1), source("Nothing of it.", 2, "c")]
QUEUE = "The lemming queue is not thread safe; guard it with a mutex where threads share it."
WALRUS = "The walrus server keeps 9,007,199,254,740,993 records for 3 seconds after 5 retries."


def verdict(claim: str, quote: str = QUEUE, question: str = "Is it thread safe?") -> str:
    """ "" for a statement, else why it was struck."""
    judged = judge(Claim(claim, (("p2", quote),)), PAGES, question)
    return judged.reason if isinstance(judged, Struck) else ""


def test_a_statement_has_the_place_of_its_words_not_that_which_was_named() -> None:
    judged = judge(
        Claim("재진입할 수 있다.", (("p2", "락은 재진입할 수 있다."),)), PAGES, "락은 어떤가?"
    )
    assert isinstance(judged, Statement)
    (quote,) = judged.quotes
    assert (quote.page, quote.page_label, quote.chapter) == (1, "x1", "Waits")
    assert (quote.title, quote.file) == ("Book b", "b.pdf")


@pytest.mark.parametrize(
    "claim",
    [
        "The lemming queue is not thread safe.",
        "The lemming queue isn't thread safe.",
        "The lemming queue is unsafe to share between threads.",
        "Guard the lemming queue with a mutex where threads share it.",
        "A mutex must guard the lemming queue.",
    ],
)
def test_what_a_page_says_may_be_said_in_other_words(claim: str) -> None:
    assert verdict(claim) == ""


@pytest.mark.parametrize(
    ("claim", "quote", "reason"),
    [
        ("The lemming queue is thread safe.", QUEUE, "opposite"),
        ("The lemming queue is thread safe, p. xi.", QUEUE, "page"),
        ("See page xii: guard it with a mutex.", QUEUE, "page"),
        ("Guard it with a mutex, says 《The Book of Locks》.", QUEUE, "Book of Locks"),
        ("The lemming queue needs half a mutex.", QUEUE, "1/2"),
        ("The server keeps records for 5 seconds after 3 retries.", WALRUS, "5 second"),
        ("It keeps 9007199254740992 records.", WALRUS, "9007199254740992"),
        ("It keeps records for three minutes.", WALRUS, "3 minute"),
        ("It keeps records for 1O seconds.", WALRUS, "1 O"),
    ],
)
def test_what_turns_a_page_round_or_adds_to_it_is_struck(
    claim: str, quote: str, reason: str
) -> None:
    assert reason in verdict(claim, quote)


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("큐는 스레드에 안전하다.", "큐는 스레드에 안전하지 않으므로 뮤텍스로 보호한다."),
        ("서버는 삼십 초 동안 기록을 둔다.", WALRUS),
        ("서버는 삼백 번 다시 시도한다.", WALRUS),
        ("서버는 三 초 동안 기록을 둔다.", WALRUS),
        ("서버는 기록의 절반을 둔다.", WALRUS),
    ],
)
def test_the_same_holds_in_korean(claim: str, quote: str) -> None:
    assert verdict(claim, quote, "어떤가?")


def test_korean_numbers_are_read() -> None:
    assert verdict("서버는 삼 초, 곧 3초 동안 기록을 둔다.", WALRUS, "어떤가?") == ""
    assert verdict("서버는 다섯 번 다시 시도한 뒤 3초 동안 둔다.", WALRUS, "어떤가?") == ""


@pytest.mark.parametrize(
    ("question", "claim", "fits"),
    [
        ("What is it?", "Guard the queue with a mutex.", True),
        ("What is it?", "뮤텍스로 보호한다.", False),
        ("무엇인가?", "뮤텍스로 보호한다.", True),
        ("무엇인가?", "Guard the queue with a mutex.", False),
        ("CompletableFuture.thenCompose 뭐야?", "뮤텍스로 보호한다.", True),
        ("X Window에서 screensaver를 끄는 command는?", "뮤텍스로 보호한다.", True),
        ("X Window에서 screensaver를 끄는 command는?", "Guard it with a mutex.", False),
        ("What does 산양 mean in the book?", "Guard the queue with a mutex.", True),
        ("make -j?", "Guard the queue with a mutex.", True),
        ("What is it?", "用互斥锁保护队列。", False),
        ("Explain the word 이해 in Linux의 history.", "Guard the queue with a mutex.", True),
        ("???", "뮤텍스로 보호한다.", True),
    ],
)
def test_a_claim_speaks_as_the_question_does(question: str, claim: str, fits: bool) -> None:
    assert ("language" in verdict(claim, QUEUE, question)) is not fits


@pytest.mark.parametrize(
    ("claim", "quote", "expected"),
    [
        ("It is safe to call.", "It is not safe to call.", True),
        ("It is not safe to call.", "It is safe to call.", True),
        ("It never blocks the reader.", "It blocks the reader.", True),
        ("It supports both.", "It does not only support this, it supports both.", False),
        ("The interface keeps the index in memory.",
         "The interface does not keep the index in memory.", True),
        ("Important data stays in the index.", "Important data does not stay in the index.", True),
        ("The package includes the drivers.", "The package does not include the drivers.", True),
        ("서비스는 재시작 뒤에 캐시를 유지한다.",
         "서비스는 재시작 뒤에 캐시를 유지하지 않는다.", True),
        ("비동기 모드에서는 순서를 보장한다.", "비동기 모드에서는 순서를 보장하지 않는다.", True),
        ("root 계정을 사용하세요.", "root 계정을 사용하지 마세요.", True),
        ("root 계정을 사용하세요.", "root 계정을 사용하지 말 것.", True),
        ("비밀번호를 코드에 넣는다.", "비밀번호를 코드에 넣으면 안된다.", True),
        ("제안된 방법은 빠르다.", "제안된 방법은 빠르다.", False),
        ("서버에서 여기까지 마운트한다.", "서버에서 여기까지 마운트한다.", False),
        ("이 옵션은 지원되지 않는다.", "이 옵션은 미지원이다.", False),
        ("저장소에서 설치해야 한다.", "목록에 없으므로 저장소에서 설치해야 한다.", False),
        ("목록에 있으므로 저장소에서 설치한다.", "목록에 있지 않으므로 저장소에서 설치한다.", True),
        ("캐시는 데이터를 보존한다.", "캐시는 빠르지만 데이터를 보존하지 않는다.", True),
        ("이 함수는 스레드에 안전하다.", "이 함수는 편리하지만 스레드에 안전하지 않다.", True),
        ("PostgreSQL은 읽기를 막는다.", "PostgreSQL은 MVCC를 쓰므로 읽기를 막지 않는다.", True),
        ("mutex는 재진입할 수 있다.", "mutex는 빠르지만 재진입할 수 없다.", True),
        ("파일이 없으므로 오류가 난다.", "파일이 존재하지 않으면 오류가 난다.", False),
        ("스레드에 안전하지 않으므로 뮤텍스로 보호해야 한다.",
         "스레드에 안전하지 않은 큐는 뮤텍스로 보호해야 한다.", False),
        ("저장소에서 설치한다.", "목록에 있지 않으면 저장소에서 설치하지 않는다.", True),
        ("The server does not keep it.", "The server does not keep it.", False),
        ("Unused imports are reported.", "It reports imports that are never used.", False),
        ("The cache evicts old entries.", "Entries nobody uses are evicted: old ones.", False),
    ],
)  # fmt: skip
def test_near_copies_that_differ_by_a_not_contradict(
    claim: str, quote: str, expected: bool
) -> None:
    assert contradicts(claim, [quote]) is expected
