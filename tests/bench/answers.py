"""Answers of a good model over a shelf: what comes, and how soon a statement is there.

    PYTHONPATH=tests python tests/bench/answers.py [--books 20] [--pages 120]

Two books, one English, one Korean, have the facts; the others are prose. The model is scripted: it
claims what stands on the pages that it is given, and then something that stands nowhere, or nothing
where it sees no fact. Timed is, in `bookbrain serve`, from the piece of the reply that completes
the first claim until its event is read. Exits 1 where a fact lacks its page, or an answer comes
that the books do not have.
"""

import argparse
import http.client
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter

from support import pdfs
from support.app import App, serving
from support.chat_server import ChatServer, Given, claims
from support.prose import technical_pages
from support.shelf import Shelf

ANIMALS = (
    "walrus", "narwhal", "otter", "puffin", "marmot", "lemming", "badger", "heron", "ferret",
    "gopher", "stoat", "weasel", "ibex",
)  # fmt: skip
KOREAN_ANIMALS = (
    "수달", "너구리", "두루미", "고라니", "반달곰", "청설모", "산양", "참매", "재규어", "큰고니",
    "물범", "담비",
)  # fmt: skip
# A question, the words of its page, what the model says.
FACTS = {
    f"Which port does the {animal} server listen on?": (
        f"Unless told otherwise, the {animal} server listens on port {4100 + number} for clients.",
        f"The {animal} server listens on port {4100 + number}.",
    )
    for number, animal in enumerate(ANIMALS)
} | {
    f"{animal} 큐의 기본 크기는 얼마인가?": (
        f"{animal} 큐의 기본 크기는 {1100 + number}개이며 설정으로 바꿀 수 있다.",
        f"{animal} 큐의 기본 크기는 {1100 + number}개이다.",
    )
    for number, animal in enumerate(KOREAN_ANIMALS)
}
WITHOUT = tuple(f"Who wrote the {animal} server?" for animal in ANIMALS[:8]) + tuple(
    f"{animal} 큐의 라이선스는 무엇인가?" for animal in KOREAN_ANIMALS[:7]
)
NOWHERE = ("It was written by hand in 1999.", "It was written by hand in 1999, says the preface.")


@dataclass(frozen=True, slots=True)
class Heard:
    """The statements of an answer, as text, file and page; `ms` from the end of the first claim in
    the model's reply to the first statement, None without one."""

    statements: list[tuple[str, str, int]]
    ms: float | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--books", type=int, default=20)
    parser.add_argument("--pages", type=int, default=120)
    options = parser.parse_args()
    with TemporaryDirectory() as folder, ChatServer(good_model) as server:
        model = {"BOOKBRAIN_CHAT_MODEL": "good", "BOOKBRAIN_CHAT_URL": server.url}
        with Shelf(Path(folder) / "library", **model) as shelf:
            shelf.add(*make_books(Path(folder), options.books, options.pages))
            with serving(shelf) as app:
                hear(app, server, "What loads once?")
                heard = {question: hear(app, server, question) for question in (*FACTS, *WITHOUT)}
    return judge(heard)


def make_books(folder: Path, books: int, pages: int) -> list[Path]:
    made = []
    for number in range(books):
        language = "ko" if number % 2 else "en"
        prose = technical_pages(pages, number, language)
        own = [f for f, _ in FACTS.values() if ("가" <= f[0] <= "힣") == (language == "ko")]
        if number < 2:
            for place, fact in enumerate(own):
                prose[3 * place + 2] += f"\n\n{fact}\n"
        made.append(pdfs.book(folder / f"{number}.pdf", prose, title=f"Book {number}"))
    return made


def good_model(given: Given) -> str:
    fact, said = FACTS.get(given.question, ("", ""))
    page = next((i for i, t in given.pages.items() if fact and fact in " ".join(t.split())), None)
    return claims((said, [(page, fact)]), (NOWHERE[0], [(page, NOWHERE[1])])) if page else claims()


def hear(app: App, server: ChatServer, question: str) -> Heard:
    """Ask by HTTP, and read events as they come."""
    complete: list[float] = []

    def note(sent: str) -> None:
        if '"}, ' in sent and not complete:  # the first claim is closed, the next one begins
            complete.append(perf_counter())

    server.before_piece = note
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=120)
    body = json.dumps({"question": question})
    connection.request("POST", "/api/ask", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    statements, first, event = [], None, ""
    for line in response:
        name, _, value = line.decode().strip().partition(": ")
        if name == "event":
            event = value
        elif name == "data" and event == "statement":
            first = first or perf_counter()
            said = json.loads(value)
            statements.append((said["text"], said["quotes"][0]["file"], said["quotes"][0]["page"]))
    connection.close()
    taken = max(first - complete[0], 0.0) * 1000 if first and complete else None
    return Heard(statements, taken)


def judge(heard: dict[str, Heard]) -> int:
    """Print the table; 1 where an answer is not as it has to be."""
    right = 0
    for question, (fact, said) in FACTS.items():
        korean = "가" <= fact[0] <= "힣"
        own = [f for f, _ in FACTS.values() if ("가" <= f[0] <= "힣") == korean]
        wanted = [(said, f"{int(korean)}.pdf", 3 * own.index(fact) + 3)]
        right += heard[question].statements == wanted
    refused = sum(heard[question].statements == [] for question in WITHOUT)
    times = [one.ms for one in heard.values() if one.ms is not None]
    cuts = quantiles(times, n=100, method="inclusive")
    print("| facts with their page | not in the books, and said so | p50 ms | p95 ms | most ms |")
    print("| --- | --- | --- | --- | --- |")
    print(f"| {right} of {len(FACTS)} | {refused} of {len(WITHOUT)} | {cuts[49]:.0f} | "
          f"{cuts[94]:.0f} | {max(times):.0f} |")  # fmt: skip
    return int(right < len(FACTS) or refused < len(WITHOUT))


if __name__ == "__main__":
    sys.exit(main())
