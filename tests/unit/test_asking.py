"""Questions to a library: what is read, how answers come, and what is said without one."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.testclient import TestClient
from support import pdfs
from support.chat_server import ChatServer, Given, claims, is_for_queries
from support.prose import technical_pages
from support.shelf import wait_for

from bookbrain.answers.answer import Answer, Reading
from bookbrain.answers.gate import Statement
from bookbrain.cli import main
from bookbrain.errors import BusyError, ConfigError, InputError, UnavailableError
from bookbrain.library import Library
from bookbrain.settings import ChatSettings, Settings
from bookbrain.web.answer_stream import ask_route
from bookbrain.web.app import Names, OwnOrigin
from bookbrain.web.shelf import Shelf

# A page each; a question, the words that answer it, and what a good model says.
ENGLISH = {
    "How large is the default heap of the walrus server?": (
        "The walrus server starts with a heap of 256 MB unless another size is given.",
        "By default, the walrus server has a heap of 256 MB.",
    ),
    "Which option makes the narwhal compiler warn about unused imports?": (
        "With --warn-unused the narwhal compiler reports every import that is never used.",
        "`--warn-unused` makes the narwhal compiler report unused imports.",
    ),
    "What does the otter cache do when it is full?": (
        "When the otter cache is full, it evicts the entry that was used least recently.",
        "A full otter cache evicts the least recently used entry.",
    ),
    "How often does the puffin scheduler run?": (
        "The puffin scheduler wakes up every 15 seconds and looks for jobs that are due.",
        "The puffin scheduler runs every 15 seconds.",
    ),
    "Which port does the marmot broker listen on?": (
        "Unless configured otherwise, the marmot broker listens on port 5,672 for clients.",
        "The marmot broker listens on port 5672.",
    ),
    "Is the lemming queue safe to use from several threads?": (
        "The lemming queue is not thread safe; guard it with a mutex where threads share it.",
        "The lemming queue is not thread safe and must be guarded with a mutex.",
    ),
    "Why is badger hashing slow on purpose?": (
        "Badger hashing is slow on purpose: it makes guessing passwords expensive.",
        "Badger hashing is slow because that makes guessing passwords expensive.",
    ),
    "What is the largest message of the heron protocol?": (
        "A message of the heron protocol may not exceed 1,048,576 bytes, its header included.",
        "Messages of the heron protocol have at most 1048576 bytes, with their header.",
    ),
    "How do I roll back a migration in ferret?": (
        "Run ferret migrate --down to roll back the last migration; its data is kept.",
        "`ferret migrate --down` rolls back the last migration.",
    ),
    "Which exception does gopher raise for a missing key?": (
        "For a missing key gopher raises KeyAbsentError, which is a LookupError.",
        "gopher raises KeyAbsentError for a missing key.",
    ),
    "How many replicas does the stoat cluster keep?": (
        "The stoat cluster keeps three replicas of every block, on different racks.",
        "It keeps 3 replicas of each block.",
    ),
    "What does SIGUSR1 do to the weasel daemon?": (
        "On SIGUSR1 the weasel daemon writes its statistics to /var/log/weasel.stats.",
        "SIGUSR1 makes the weasel daemon write its statistics to /var/log/weasel.stats.",
    ),
    "What fraction of requests does the ibex sampler trace?": (
        "The ibex sampler traces 0.5 % of all requests; the rest is only counted.",
        "The ibex sampler traces 0.5% of all requests.",
    ),
    "하마 서버의 기본 힙 크기는?": (
        "The hippo server reserves 512 megabytes for its heap when it starts.",
        "hippo 서버는 시작할 때 힙으로 512MB를 잡는다.",
    ),
}  # fmt: skip
KOREAN = {
    "수달 캐시는 가득 차면 어떻게 하나?": (
        "수달 캐시는 가득 차면 가장 오래 쓰지 않은 항목을 버린다.",
        "수달 캐시는 가득 차면 가장 오래 쓰지 않은 항목을 버린다.",
    ),
    "너구리 큐의 기본 크기는 얼마인가?": (
        "너구리 큐의 기본 크기는 1,000개이며 설정으로 바꿀 수 있다.",
        "너구리 큐는 기본으로 1000개까지 담는다.",
    ),
    "두루미 프로토콜의 시간 제한은?": (
        "두루미 프로토콜은 응답을 30초 동안 기다린 뒤 연결을 끊는다.",
        "두루미 프로토콜은 30초를 기다린 뒤 연결을 끊는다.",
    ),
    "고라니 컴파일러의 경고를 끄는 옵션은?": (
        "고라니 컴파일러의 경고는 --no-warn 옵션으로 끈다.",
        "`--no-warn` 옵션으로 고라니 컴파일러의 경고를 끈다.",
    ),
    "반달곰 스케줄러는 몇 가지 정책을 쓰나?": (
        "반달곰 스케줄러에는 두 가지 정책이 있으며 실행 중에도 바꿀 수 있다.",
        "반달곰 스케줄러의 정책은 2가지이다.",
    ),
    "청설모 데이터베이스의 로그는 어떻게 기록되나?": (
        "청설모 데이터베이스의 로그는 비동기 방식으로 디스크에 기록된다.",
        "청설모 데이터베이스는 로그를 비동기 방식으로 디스크에 기록한다.",
    ),
    "How long does the mountain-goat (산양) connection wait?": (
        "산양 연결은 최대 45초 동안 응답을 기다린다.",
        "The connection waits up to 45 seconds for a response.",
    ),
    "참매 함수는 무엇을 돌려주나?": (
        "참매 함수는 찾지 못하면 -1을 돌려준다.",
        "참매 함수는 찾지 못하면 -1을 돌려준다.",
    ),
    "재규어 서버를 다시 시작하는 명령은?": (
        "재규어 서버는 jaguarctl restart 명령으로 다시 시작한다.",
        "`jaguarctl restart` 명령으로 재규어 서버를 다시 시작한다.",
    ),
    "큰고니 색인은 언제 다시 만들어지나?": (
        "큰고니 색인은 매주 일요일 새벽에 다시 만들어진다.",
        "큰고니 색인은 매주 일요일 새벽에 다시 만들어진다.",
    ),
    "물범 암호화의 키 길이는?": (
        "물범 암호화는 길이가 256비트인 키를 쓴다.",
        "물범 암호화의 키는 256비트이다.",
    ),
}
FACTS = ENGLISH | KOREAN
WITHOUT = [
    "Who invented the walrus server?", "What is the price of a stoat cluster?",
    "How does the otter cache encrypt its entries?", "Which license has the gopher library?",
    "When was the heron protocol standardised?", "Can puffin run on Windows?",
    "What colour is the weasel logo?", "Does the marmot broker support MQTT?",
    "How is Kubernetes installed?", "What is the capital of France?",
    "수달 캐시는 누가 만들었나?", "너구리 큐의 라이선스는?", "두루미 프로토콜의 버전은 몇인가?",
    "고라니 컴파일러는 윈도에서 되나?", "김치는 어떻게 담그나?",
]  # fmt: skip


def _book(path: Path, facts: dict[str, tuple[str, str]], seed: int, title: str) -> Path:
    """A page for each fact, with other prose around it."""
    filler = technical_pages(len(facts), seed, "ko" if "가" <= title[0] <= "힣" else "en")
    pages = [
        f"{prose.splitlines()[0]}\n\n{fact}\n\n" + "\n".join(prose.splitlines()[1:8])
        for prose, (fact, _) in zip(filler, facts.values(), strict=True)
    ]
    return pdfs.book(path, pages, title=title, outline=[(0, "One", 0), (0, "Two", 5)],
                     labels=[f"{n}" for n in range(11, 11 + len(pages))])  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asking")
    with Library(Settings(home=folder / "library")) as library:
        report = library.add(
            [
                _book(folder / "animals.pdf", ENGLISH, 1, "Animals"),
                _book(folder / "dongmul.pdf", KOREAN, 2, "동물"),
            ]
        )
        assert report.count("added") == 2
    return folder / "library"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(good_model) as running:
        running.piece = 40
        yield running


def good_model(given: Given) -> str:
    """It answers what it knows to be on the pages, as they say it."""
    if given.question not in FACTS:
        return claims()
    fact, said = FACTS[given.question]
    page = next((i for i, text in given.pages.items() if fact in " ".join(text.split())), None)
    return claims((said, [(page, fact)])) if page else claims()


def settings_of(home: Path, server: ChatServer, **chat: float) -> Settings:
    return Settings(home=home, chat=ChatSettings("good", server.url, **chat))  # type: ignore[arg-type]


def asked(library: Library, question: str) -> Answer:
    (answer,) = (event for event in library.ask(question) if isinstance(event, Answer))
    return answer


def command(home: Path, server: ChatServer, *arguments: str, **more: str) -> Result:
    env = {
        "BOOKBRAIN_HOME": str(home),
        "BOOKBRAIN_CHAT_MODEL": "good",
        "BOOKBRAIN_CHAT_URL": server.url,
        "HOME": str(home.parent),  # where the question is kept
    }
    return CliRunner().invoke(main, ["ask", *arguments], env=env | more)


@pytest.mark.slow
def test_a_good_model_is_heard_with_every_fact_and_its_page(home: Path, server: ChatServer) -> None:
    assert len(FACTS) + len(WITHOUT) == 40
    heard = {}
    server.queries = ["hippo server heap", "산양 연결"]  # of the two in the other language
    with Library(settings_of(home, server)) as library:
        for question in FACTS:
            answer = asked(library, question)
            heard[question] = [(one.text, one.quotes[0].quote) for one in answer.statements]
            if answer.statements:
                (quote,) = answer.statements[0].quotes
                facts = ENGLISH if quote.file == "animals.pdf" else KOREAN
                assert quote.page == [*facts].index(question) + 1
                assert quote.page_label == str(quote.page + 10)
                assert quote.chapter == ("One" if quote.page < 6 else "Two")
    assert heard == {question: [(said, fact)] for question, (fact, said) in FACTS.items()}


@pytest.mark.slow
def test_what_the_books_do_not_say_is_said_with_the_nearest_pages(
    home: Path, server: ChatServer
) -> None:
    with Library(settings_of(home, server)) as library:
        for question in WITHOUT:
            answer = asked(library, question)
            assert answer.statements == ()
            assert answer.left_out == 0
            assert answer.stopped == ""
            assert answer.nearest or server.prompts()[-1].question != question
    done = command(home, server, WITHOUT[0])
    assert done.exit_code == 0
    assert "Your books do not say." in done.output
    assert "Animals, “One”, p. 1" in done.output


def test_the_answer_is_in_the_language_of_the_question(home: Path, server: ChatServer) -> None:
    question = "Which port does the marmot broker listen on?"
    fact = FACTS[question][0]
    server.reply = lambda given: claims(
        ("마멋 브로커는 5672번 포트에서 기다린다.", [(given.id_of(fact[:30]), fact)])
    )
    with Library(settings_of(home, server)) as library:
        answer = asked(library, question)
    assert answer.statements == ()
    assert answer.left_out == 1
    (_, again) = server.prompts()
    assert "language" in again.not_verified[0]["reason"]


# What is read


def test_queries_of_the_model_are_asked_for_where_they_help_only(
    home: Path, server: ChatServer
) -> None:
    with Library(settings_of(home, server)) as library:
        asked(library, "How often does the puffin scheduler run on which pages of this book?")
        assert [is_for_queries(one) for one in server.asked] == [False]
        server.asked.clear()
        server.queries = [f"walrus {n}" for n in range(9)] + ["otter cache", "\x00", "-"]
        answer = asked(library, "What is the difference between the otter cache and walrus heap?")
        assert [is_for_queries(one) for one in server.asked] == [True, False]
    assert 1 < len(answer.queries) <= 5
    assert "otter" in "".join(server.prompts()[-1].pages.values())


@pytest.mark.slow
def test_no_book_crowds_out_the_others(home: Path, server: ChatServer, tmp_path: Path) -> None:
    with Library(Settings(home=tmp_path / "library")) as library:
        for name, count in (("many", 9), ("one", 1), ("two", 2)):
            pages = [
                f"The walrus {name} sleeps on ice, part {n}, {name * 3}." for n in range(count)
            ]
            library.add([pdfs.book(tmp_path / f"{name}.pdf", pages, title=name)])
    with Library(settings_of(tmp_path / "library", server)) as library:
        asked(library, "Where does the walrus sleep?")
    books = list(server.prompts()[0].books.values())
    assert books[:7].count("many") <= 4
    assert {"one", "two"} <= set(books[:7])


@pytest.mark.slow
@pytest.mark.parametrize("window", [1500, 2048, 4096, 16384])
def test_pages_are_cut_to_what_the_model_can_read(
    window: int, server: ChatServer, tmp_path: Path
) -> None:
    """The words that were found stay; a quotation is looked for on the whole page all the same."""
    needle = "The needle of the haystack is 17 centimetres long and quite sharp."
    prose = [page.replace("\n", " ") for page in technical_pages(6, 5, "en")]
    pages = [
        "\n".join([prose[n], prose[n], needle if n == 3 else "Hay.", prose[n]]) for n in range(6)
    ]
    with Library(Settings(home=tmp_path / "library")) as library:
        library.add([pdfs.book(tmp_path / "hay.pdf", pages, title="Hay")])
    server.reply = lambda given: claims(
        ("The needle is 17 centimetres long.", [(given.id_of("needle of the hay"), needle)])
    )
    with Library(settings_of(tmp_path / "library", server, window=window)) as library:
        answer = asked(library, "How long is the needle of the haystack?")
    assert [one.text for one in answer.statements] == ["The needle is 17 centimetres long."]
    sent = server.asked[-1]
    characters = sum(len(message["content"]) for message in sent["messages"])
    assert characters / 3 + sent["max_tokens"] <= window + 300  # three characters are a token
    assert any("needle of the hay" in text for text in server.prompts()[-1].pages.values())


# How it comes


def test_a_statement_is_there_before_the_next_one_is_written(
    home: Path, server: ChatServer
) -> None:
    (first, second) = ("What does the otter cache do when it is full?",
                       "How often does the puffin scheduler run?")  # fmt: skip
    words = claims(*[(FACTS[q][1], [("p1", FACTS[q][0])]) for q in (first, second)])
    heard, seen = Flag(), []
    server.reply, server.piece = (lambda given: words), 10
    border = words.index(FACTS[second][0])

    def wait(sent: str) -> None:
        if len(sent) > border and not heard.is_set():
            assert heard.wait(30)

    server.before_piece = wait
    with Library(settings_of(home, server)) as library:
        for event in library.ask("otter cache full; puffin scheduler run"):
            seen.append(type(event))
            if isinstance(event, Statement):
                heard.set()
    assert seen == [Reading, Statement, Statement, Answer]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hang", "stops", "cut", "endless"])
def test_a_search_is_not_touched_by_an_endpoint_that_fails(
    fault: str, home: Path, server: ChatServer
) -> None:
    server.fault = fault  # type: ignore[assignment]
    settings = settings_of(home, server, first=0.5, pause=0.5, seconds=30.0)
    with Library(settings) as asking, Library(settings) as searching:
        events = asking.ask("How often does the puffin scheduler run?")
        thread = Thread(target=_fail, args=(events,))
        thread.start()
        assert searching.search("puffin scheduler", mode="keyword").hits
        thread.join(30)
        assert not thread.is_alive()
        assert asking.search("puffin scheduler", mode="keyword").hits


def _fail(events: Iterator[object]) -> None:
    with pytest.raises(UnavailableError):
        list(events)


def test_what_was_verified_before_the_end_came_is_shown_with_what_ended_it(
    home: Path, server: ChatServer
) -> None:
    fact, said = FACTS["What does the otter cache do when it is full?"]
    server.reply = lambda given: claims((said, [("p1", fact)]), ("x" * 600, [("p1", "y" * 600)]))
    for fault, line in (("cut", "broke off"), ("length", "ran out of tokens")):
        server.fault = fault  # type: ignore[assignment]
        done = command(home, server, "otter cache")
        assert said in done.output
        assert line in done.output
        assert done.exit_code == (69 if fault == "cut" else 0)
        answer = json.loads(command(home, server, "--json", "otter cache").stdout)
        assert [one["text"] for one in answer["statements"]] == [said]
        assert line in answer["stopped"] + answer["remark"]


# What is refused


def test_without_a_model_it_is_off_and_says_what_it_would_take(home: Path) -> None:
    with Library(Settings(home=home)) as library, pytest.raises(ConfigError) as raised:
        next(library.ask("What is it?"))
    assert "BOOKBRAIN_CHAT_MODEL" in raised.value.hint
    done = CliRunner().invoke(main, ["ask", "what"], env={"BOOKBRAIN_HOME": str(home)})
    assert done.exit_code == 78
    assert "BOOKBRAIN_CHAT_MODEL" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("question", ["", "  ", "?!", "-", "\x00", "x" * 2001])
def test_what_asks_nothing_is_refused_before_anything_is_paid(
    question: str, home: Path, server: ChatServer
) -> None:
    with Library(settings_of(home, server)) as library, pytest.raises(InputError):
        next(library.ask(question))
    assert server.asked == []


def test_only_books_that_are_named_are_read(home: Path, server: ChatServer) -> None:
    question = "What does the otter cache do when it is full?"
    done = command(home, server, question, "--book", "dongmul.pdf")
    assert "Your books do not say." in done.output
    done = command(home, server, question, "--book", "animals.pdf")
    assert FACTS[question][1] in done.output
    assert command(home, server, question, "--book", "none.pdf").exit_code == 65


def test_over_the_limit_nothing_is_asked(home: Path, server: ChatServer) -> None:
    more = {
        "BOOKBRAIN_CHAT_PRICE": "1", "BOOKBRAIN_CHAT_PRICE_WRITTEN": "1",
        "BOOKBRAIN_CHAT_BUDGET": "0.0001",
    }  # fmt: skip
    done = command(home, server, "How often does the puffin scheduler run?", **more)
    assert done.exit_code == 75
    assert "BOOKBRAIN_CHAT_BUDGET" in done.stderr
    assert server.asked == []


def test_no_question_and_no_page_is_logged(
    home: Path, server: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bookbrain")
    question = "What does the otter cache do when it is full?"
    with Library(replace(settings_of(home, server), log_queries=True)) as library:
        assert asked(library, question).statements
        server.status = 500
        with pytest.raises(UnavailableError):
            list(library.ask(question))
    ours = [r for r in caplog.records if r.name.startswith("bookbrain")]
    said = " ".join(f"{r.getMessage()} {vars(r)}" for r in ours)
    assert "answered tokens=1100" in said
    assert "otter" not in said


def test_a_model_is_not_listened_to_when_nobody_waits_for_the_answer(
    home: Path, server: ChatServer
) -> None:
    server.fault = "drip"
    settings = settings_of(home, server, seconds=300.0)
    left = Flag()
    with Library(settings) as library:
        for event in library.ask("puffin and otter", wanted=lambda: not left.is_set()):
            if isinstance(event, Reading):
                left.set()
    assert left.is_set()
    assert len(server.prompts()) == 1


# The API


@pytest.fixture
def client(home: Path, server: ChatServer) -> Iterator[TestClient]:
    settings = settings_of(home, server)
    shelf = Shelf(settings)
    app = OwnOrigin(Starlette(routes=[ask_route(shelf)]), Names(settings, "localhost", "127.0.0.1"))
    with TestClient(app, base_url="http://localhost") as made:
        yield made
    shelf.close()


def test_the_api_refuses_what_is_no_question(client: TestClient, server: ChatServer) -> None:
    for body in (
        b"", b"{", b"[]", b"7", b'{"question": 7}', b'{"question": "x", "books": "y"}',
        b"[" * 60_000,
        b'{"question": "x", "books": [7]}', b'{"question": ""}', b'{"question": "' + b"x" * 70_000,
        b"\xff\xfe", b'{"questions": "x"}', b'{"question": "x", "books": ["no-such-book"]}',
    ):  # fmt: skip
        answer = client.post("/api/ask", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 404), (body[:40], answer.text)
        assert answer.json()["hint"]
    korean = client.post("/api/ask", json={"question": "", "language": "ko"}).json()
    assert korean["error"] == "질문이 없습니다."
    form = client.post("/api/ask", data={"question": "What is it?"})
    assert form.status_code == 400
    assert server.asked == []


def test_a_page_of_another_site_cannot_ask(client: TestClient, server: ChatServer) -> None:
    for headers, status in (
        ({"origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"host": "evil.example"}, 421),
    ):
        answer = client.post("/api/ask", json={"question": "otter"}, headers=headers)
        assert answer.status_code == status
    assert server.asked == []


def test_a_fault_in_the_middle_is_the_last_event(client: TestClient, server: ChatServer) -> None:
    server.fault = "cut"
    text = client.post("/api/ask", json={"question": "How often does puffin run?"}).text
    events = [event.split("\n")[0] for event in text.strip().split("\n\n")]
    assert events == ["event: reading", "event: answer", "event: error"]
    body = {"question": "How often does puffin run?", "language": "ko"}
    korean = client.post("/api/ask", json=body).text.strip().split("\n\n")
    said = [json.loads(event.partition("data: ")[2]) for event in korean]
    assert said[1]["stopped"] == said[2]["error"]
    assert not said[2]["error"].isascii()
    assert not said[2]["hint"].isascii()
    server.fault, server.status = "", 401
    answer = client.post("/api/ask", json={"question": "puffin and otter?"})
    assert (answer.status_code, "API key" in answer.json()["error"]) == (500, True)


@pytest.mark.slow
def test_few_are_answered_at_a_time_and_searches_go_on(home: Path, server: ChatServer) -> None:
    server.fault = "hang"
    shelf = Shelf(settings_of(home, server, first=20.0))
    threads = []
    try:
        for _ in range(4):
            threads.append(Thread(target=_ask_in_vain, args=(shelf,), daemon=True))
            threads[-1].start()
        wait_for(lambda: len(server.asked) == 4, "four questions")
        with pytest.raises(BusyError), shelf.lasting_library():
            pass
        with shelf.library() as library:
            assert library.search("puffin", mode="keyword").hits
    finally:
        server.stopping.set()
        for thread in threads:
            thread.join(30)
        shelf.close()


def _ask_in_vain(shelf: Shelf) -> None:
    with pytest.raises(UnavailableError), shelf.lasting_library() as library:
        list(library.ask("How often does the puffin scheduler run?"))
