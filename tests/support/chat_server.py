"""A stand-in for a chat model: a real HTTP server on loopback that streams what a test says.

`reply` makes the words of an answer of what was asked; `asked` has each request. `fault` is how it
goes wrong: see `Fault`.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal

from support.stand_in import LoopbackServer

Fault = Literal[
    "",
    "hang",  # nothing at all
    "thinks",  # comments for ever, which keep the connection busy, and no word
    "drip",  # a character now and then, for ever
    "stops",  # half of the answer, then silence
    "cut",  # half of the answer, then the connection closes
    "length",  # half of the answer, and "length" for its end
    "endless",  # two megabytes of words
    "one_line",  # two megabytes without a new line
    "garbage",  # what is no event
    "no_schema",  # 400 for `response_format`, as many servers answer
    "no_such_field",  # 500 that names it, as llama.cpp's Python server answers
    "error",  # an error in the stream
    "redirect",  # 307 to another address
    "lies",  # a usage that cannot be
]


@dataclass(frozen=True, slots=True)
class Given:
    """What a request gave the model: its pages by id, its question, the claims to mend."""

    pages: dict[str, str]
    books: dict[str, str]
    question: str
    not_verified: list[dict[str, Any]]

    def id_of(self, words: str) -> str:
        """The page that has these words."""
        return next((i for i, text in self.pages.items() if words in text), "p1")


Reply = Callable[[Given], str]


def claims(*said: tuple[str, Sequence[tuple[str, str]]]) -> str:
    """A reply in JSON: of each claim its text and its quotations, with the page that it names."""
    return json.dumps(
        {
            "claims": [
                {"quotes": [{"page": p, "quote": q} for p, q in quotes], "claim": text}
                for text, quotes in said
            ]
        },
        ensure_ascii=False,
    )


def lines(*said: tuple[str, Sequence[tuple[str, str]]]) -> str:
    """The same in lines."""
    return "".join(
        "".join(f'QUOTE {page}: "{quote}"\n' for page, quote in quotes) + f"CLAIM: {text}\n"
        for text, quotes in said
    )


def read_prompt(asked: dict[str, Any]) -> Given:
    """Of the lines of JSON in a request."""
    rows = [json.loads(row) for row in asked["messages"][1]["content"].split("\n")]
    pages = {row["id"]: row["text"] for row in rows if "id" in row}
    books = {row["id"]: row["book"] for row in rows if "id" in row}
    question = next(row["question"] for row in rows if "question" in row)
    struck = next((row["not verified"] for row in rows if "not verified" in row), [])
    return Given(pages, books, question, struck)


class ChatServer(LoopbackServer):
    """`url` is what BOOKBRAIN_CHAT_URL is set to. `queries` are what it answers where it is asked
    what to look for."""

    daemon_threads = True

    def __init__(self, reply: Reply = lambda given: claims()) -> None:
        self.reply = reply
        self.queries: list[str] = []
        self.fault: Fault = ""
        self.status = 200
        self.usage: dict[str, Any] | None = {"prompt_tokens": 1000, "completion_tokens": 100}
        self.seconds = 0.02  # between two pieces of what drips
        self.piece = 7  # characters
        self.to = ""
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.before_piece: Callable[[str], None] = lambda sent: None
        super().__init__(_Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def prompts(self) -> list[Given]:
        """What it was given to answer."""
        return [read_prompt(one) for one in self.asked if not is_for_queries(one)]


def is_for_queries(asked: dict[str, Any]) -> bool:
    return bool(re.search("short queries", asked["messages"][0]["content"]))


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.keys.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
        server.asked.append(asked)
        refusals = {"no_schema": 400, "no_such_field": 500}
        refused = refusals.get(server.fault, 0) if "response_format" in asked else 0
        if refused or server.status != 200:
            self._refuse(refused or server.status)
        elif server.fault == "redirect":
            self.send_response(307)
            self.send_header("Location", server.to)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif server.fault == "hang":
            server.stopping.wait()
        elif is_for_queries(asked):
            self._begin()
            self._say(json.dumps({"queries": server.queries}, ensure_ascii=False))
            self._end("stop")
        else:
            self._begin()
            self._answer(server.reply(read_prompt(asked)))

    def _refuse(self, status: int) -> None:
        what = "response_format" if status == 500 and self.server.status == 200 else "thing"
        body = json.dumps({"error": {"message": f"no \x1b[2J such {what}", "code": None}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def _answer(self, words: str) -> None:
        server = self.server
        half = words[: len(words) // 2]
        match server.fault:
            case "thinks":
                while not server.stopping.wait(server.seconds):
                    self._write(b": still here\n\n")
            case "drip":
                while not server.stopping.wait(server.seconds):
                    self._say(" ")
            case "stops":
                self._say(half)
                server.stopping.wait()
            case "cut":
                self._say(half)
            case "length":
                self._say(half)
                self._end("length")
            case "endless":
                for _ in range(2000):
                    self._say("x" * 1000)
                self._end("stop")
            case "one_line":
                self._write(b"data: " + b"x" * (1 << 24))
            case "garbage":
                self._write(b"data: {not json\n\ndata: 7\n\n")
            case "error":
                self._say(half)
                self._event({"error": {"message": "out of \x1b[2Jmemory"}})
            case _:
                self._say(words)
                self._end("stop")

    def _say(self, words: str) -> None:
        for start in range(0, len(words), size := max(self.server.piece, len(words) // 500)):
            self.server.before_piece(words[:start])
            piece = words[start : start + size]
            self._event({"choices": [{"index": 0, "delta": {"content": piece}}]})

    def _end(self, reason: str) -> None:
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        usage = {"prompt_tokens": -5, "completion_tokens": 1e99, "total_tokens": "many"}
        if self.server.usage is not None:
            self._event(
                {
                    "choices": [],
                    "usage": usage if self.server.fault == "lies" else self.server.usage,
                }
            )
        self._write(b"data: [DONE]\n\n")

    def _event(self, value: object) -> None:
        self._write(f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode())

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
