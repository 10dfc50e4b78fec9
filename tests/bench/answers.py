"""Answers of a good model over a shelf: what comes, and how soon a statement is there.

    PYTHONPATH=tests python tests/bench/answers.py [--books 20] [--pages 120]
    PYTHONPATH=tests python tests/bench/answers.py --manuals

Two books, one English, one Korean, have the facts; the others are prose. With `--manuals` the books
are five of Debian's, and the questions those of `tests/golden/answers.jsonl`, 25 with and 15
without an answer. The model is scripted: it claims what stands on the pages that it is given, and
then something that stands nowhere, or nothing where it sees no fact. Timed is, in `bookbrain
serve`, from the piece of the reply that completes the first claim until Chromium shows it. Exits 1
where a fact lacks its page, or an answer comes that the books do not have.
"""

import argparse
import http.client
import json
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import sleep, time

from playwright.sync_api import Page, sync_playwright
from support import pdfs
from support.app import App, serving
from support.chat_server import ChatServer, Given, claims
from support.debian_books import PACKAGES, fetch, needed
from support.prose import technical_pages
from support.shelf import Shelf

PACE = 0.01  # seconds for a piece of the reply, as from a quick model: a hundred a second
GOLDEN = Path(__file__).parents[1] / "golden" / "answers.jsonl"
# When the first statement is shown; 0 where there is none in ten seconds.
_WATCH = """() => {
  window.until = new Promise((resolve) => {
    const look = () => {
      const there = document.querySelector(".statement");
      if (there && there.getClientRects().length) return resolve(Date.now());
      if (performance.now() > 10000) return resolve(0);
      requestAnimationFrame(look);
    };
    look();
  });
}"""
ANIMALS = (
    "walrus", "narwhal", "otter", "puffin", "marmot", "lemming", "badger", "heron", "ferret",
    "gopher", "stoat", "weasel", "ibex",
)  # fmt: skip
KOREAN_ANIMALS = (
    "수달", "너구리", "두루미", "고라니", "반달곰", "청설모", "산양", "참매", "재규어", "큰고니",
    "물범", "담비",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """The words of a page, what the model says of them, and where they stand."""

    quote: str
    claim: str
    file: str
    pages: tuple[int, ...]


Questions = dict[str, Fact | None]  # None for what the books do not say


def of_animals() -> Questions:
    """What two made books say."""
    found: Questions = {}
    for number, animal in enumerate(ANIMALS):
        found[f"Which port does the {animal} server listen on?"] = Fact(
            f"By default, the {animal} server listens on port {4100 + number} for clients.",
            f"The {animal} server listens on port {4100 + number}.", "0.pdf", (3 * number + 3,),
        )  # fmt: skip
    for number, animal in enumerate(KOREAN_ANIMALS):
        found[f"{animal} 큐의 기본 크기는 얼마인가?"] = Fact(
            f"{animal} 큐의 기본 크기는 {1100 + number}개이며 설정으로 바꿀 수 있다.",
            f"{animal} 큐의 기본 크기는 {1100 + number}개이다.", "1.pdf", (3 * number + 3,),
        )  # fmt: skip
    found |= {f"Who wrote the {animal} server?": None for animal in ANIMALS[:8]}
    return found | {f"{animal} 큐의 라이선스는 무엇인가?": None for animal in KOREAN_ANIMALS[:7]}


def of_manuals() -> Questions:
    """Those of the golden file."""
    found: Questions = {}
    for line in GOLDEN.read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        place = said["quoted"][0] if "quoted" in said else None
        found[said["question"]] = place and Fact(
            said["quote"], said["claim"], place["book"], tuple(place["pages"])
        )
    return found


NOWHERE = ("It was written by hand in 1999.", "It was written by hand in 1999, says the preface.")


@dataclass(frozen=True, slots=True)
class Heard:
    """The statements of an answer, as text, file and page; `ms` from the end of the first claim in
    the model's reply to the first statement on the screen, None without one."""

    statements: list[tuple[str, str, int]]
    ms: float | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--books", type=int, default=20)
    parser.add_argument("--pages", type=int, default=120)
    parser.add_argument("--manuals", action="store_true")
    options = parser.parse_args()
    questions = of_manuals() if options.manuals else of_animals()
    with ExitStack() as until_end:
        folder = Path(until_end.enter_context(TemporaryDirectory()))
        server = until_end.enter_context(ChatServer(lambda given: good_model(questions, given)))
        model = {"BOOKBRAIN_CHAT_MODEL": "good", "BOOKBRAIN_CHAT_URL": server.url}
        shelf = until_end.enter_context(Shelf(folder / "library", **model))
        if options.manuals:
            shelf.add(*manuals(questions))
        else:
            shelf.add(*make_books(folder, questions, options.books, options.pages))
        app = until_end.enter_context(serving(shelf))
        playwright = until_end.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        until_end.callback(browser.close)
        page = browser.new_page(base_url=f"http://127.0.0.1:{app.port}", locale="en-US")
        hear(app, page, server, "What loads once?")
        heard = {question: hear(app, page, server, question) for question in questions}
    return judge(questions, heard)


def manuals(questions: Questions) -> list[Path]:
    with needed():
        found = {path.name: path for package in PACKAGES for path in fetch(package)}
    return [found[name] for name in sorted({fact.file for fact in questions.values() if fact})]


def make_books(folder: Path, questions: Questions, books: int, pages: int) -> list[Path]:
    made = []
    for number in range(books):
        prose = technical_pages(pages, number, "ko" if number % 2 else "en")
        for fact in questions.values():
            if fact and fact.file == f"{number}.pdf":
                prose[fact.pages[0] - 1] += f"\n\n{fact.quote}\n"
        made.append(pdfs.book(folder / f"{number}.pdf", prose, title=f"Book {number}"))
    return made


def good_model(questions: Questions, given: Given) -> str:
    fact = questions.get(given.question)
    if not fact:
        return claims()
    there = (i for i, text in given.pages.items() if fact.quote in " ".join(text.split()))
    if not (page := next(there, None)):
        return claims()
    return claims((fact.claim, [(page, fact.quote)]), (NOWHERE[0], [(page, NOWHERE[1])]))


def hear(app: App, page: Page, server: ChatServer, question: str) -> Heard:
    """Ask by HTTP, and where there is an answer on the screen."""
    complete: list[float] = []

    def note(sent: str) -> None:
        sleep(PACE)
        if '"}, ' in sent and not complete:  # the first claim is closed, the next one begins
            complete.append(time())

    if not (statements := _asked(app, question)):
        return Heard(statements, None)
    server.before_piece = note
    page.goto("/ask")
    page.evaluate(_WATCH)
    page.get_by_role("textbox").fill(question)
    page.keyboard.press("Enter")
    shown = page.evaluate("until")
    server.before_piece = lambda sent: None
    return Heard(statements, max(shown - complete[0] * 1000, 0.0) if shown else None)


def _asked(app: App, question: str) -> list[tuple[str, str, int]]:
    """The statements."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=120)
    body = json.dumps({"question": question})
    connection.request("POST", "/api/ask", body, {"Content-Type": "application/json"})
    statements, event = [], ""
    for line in connection.getresponse():
        name, _, value = line.decode().strip().partition(": ")
        if name == "event":
            event = value
        elif name == "data" and event == "statement":
            said = json.loads(value)
            statements.append((said["text"], said["quotes"][0]["file"], said["quotes"][0]["page"]))
    connection.close()
    return statements


def judge(questions: Questions, heard: dict[str, Heard]) -> int:
    """Print the table; 1 where an answer is not as it has to be."""
    facts = {question: fact for question, fact in questions.items() if fact}
    wrong = [question for question, fact in facts.items() if not _is_right(fact, heard[question])]
    without = questions.keys() - facts.keys()
    refused = sum(heard[question].statements == [] for question in without)
    times = [one.ms for one in heard.values() if one.ms is not None]
    cuts = quantiles(times, n=100, method="inclusive")
    print("| facts with their page | no answer, and said so | p50 ms | p95 ms | most ms |")
    print("| --- | --- | --- | --- | --- |")
    print(f"| {len(facts) - len(wrong)} of {len(facts)} | {refused} of {len(without)} | "
          f"{cuts[49]:.0f} | {cuts[94]:.0f} | {max(times):.0f} |")  # fmt: skip
    print(*(f"not answered: {question}" for question in wrong), sep="\n")
    return int(bool(wrong) or refused < len(without))


def _is_right(fact: Fact, heard: Heard) -> bool:
    places = [(fact.claim, fact.file, page) for page in fact.pages]
    return len(heard.statements) == 1 and heard.statements[0] in places


if __name__ == "__main__":
    sys.exit(main())
