"""What a chat model replies, read as it comes: JSON, or lines where an endpoint cannot do that.

    {"claims": [{"quotes": [{"page": "p1", "quote": "…"}], "claim": "…"}]}

    QUOTE p1: …
    CLAIM: …

A claim is read when it is complete; what is neither is passed over.
"""

import json
import re
from collections.abc import Iterator

from bookbrain.answers.gate import Claim

MOST_CLAIMS = 24
_LONGEST = 1 << 16  # characters that are read
_QUOTE = re.compile(r"\W{0,4}QUOTE\W{0,4}\s\W{0,3}(?P<page>\w{1,12})\W{0,3}?:\s*(?P<words>.+)")
_CLAIM = re.compile(r"\W{0,4}CLAIM\W{0,3}?:\W{0,3}?\s+(?P<words>.+)")
# Where a reply begins; what is said before is none of it.
_BEGIN = re.compile(r"^\s*(?:(?P<json>[\[{])|\W{0,4}(?:QUOTE|CLAIM)\b)", re.MULTILINE)
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


class Reply:
    """The claims of one reply, fed piece by piece. What some models think before is none."""

    def __init__(self) -> None:
        self._text = ""
        self._read = 0  # characters of it
        self._json: bool | None = None  # None until it has begun
        self._depth: list[int] = []  # where each open object of JSON begins
        self._in_string = self._escaped = False
        self._quotes: list[tuple[str, str]] = []
        self._count = 0

    def feed(self, piece: str) -> Iterator[Claim]:
        """The claims that this piece completes."""
        self._text = (self._text + piece)[:_LONGEST]
        if self._json is None:
            self._begin()
        if self._json is not None:
            yield from self._bounded(self._objects() if self._json else self._lines(end=False))

    def end(self) -> Iterator[Claim]:
        """The last claim of a reply in lines, which nothing follows."""
        if not self._json:
            yield from self._bounded(self._lines(end=True))

    def _bounded(self, claims: Iterator[Claim]) -> Iterator[Claim]:
        for claim in claims:
            self._count += 1
            if self._count <= MOST_CLAIMS:
                yield claim

    def _begin(self) -> None:
        if "<think" in self._text[:80]:
            if "</think>" not in self._text:
                return
            self._text = _THOUGHT.sub("", self._text, count=1)
        if match := _BEGIN.search(self._text, self._read):
            self._json = match["json"] is not None
            self._read = match.start()
        else:
            self._read = self._text.rfind("\n", self._read) + 1 or self._read

    def _objects(self) -> Iterator[Claim]:
        """Each object of JSON that is a claim, as it is closed."""
        while self._read < len(self._text):
            character, place = self._text[self._read], self._read
            self._read += 1
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif character == "\\":
                    self._escaped = True
                elif character == '"':
                    self._in_string = False
            elif character == '"':
                self._in_string = True
            elif character == "{":
                self._depth.append(place)
            elif character == "}" and self._depth:
                start = self._depth.pop()
                if len(self._depth) < 2 and (claim := _claim_of(self._text[start : place + 1])):
                    yield claim

    def _lines(self, *, end: bool) -> Iterator[Claim]:
        while (stop := self._text.find("\n", self._read)) >= 0 or (end and self._rest()):
            line = self._text[self._read : stop if stop >= 0 else None]
            self._read = stop + 1 if stop >= 0 else len(self._text)
            if match := _QUOTE.match(line):
                self._quotes.append((match["page"], match["words"]))
            elif match := _CLAIM.match(line):
                yield Claim(match["words"].strip(), tuple(self._quotes))
                self._quotes = []

    def _rest(self) -> str:
        return self._text[self._read :]


def _claim_of(text: str) -> Claim | None:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    words, quotes = said.get("claim"), said.get("quotes")
    if not isinstance(words, str) or not isinstance(quotes, list):
        return None
    pairs = [
        (_id(quote.get("page")), quote["quote"])
        for quote in quotes
        if isinstance(quote, dict) and isinstance(quote.get("quote"), str)
    ]
    return Claim(words, tuple(pairs))


def _id(said: object) -> str:
    text = str(said).strip("[]() ") if isinstance(said, str | int) else ""
    return f"p{text}" if text.isdecimal() else text


def read_queries(reply: str, most: int) -> list[str]:
    """The queries in a reply to the question what to look for; none where it has none."""
    start, end = reply.find("{"), reply.rfind("}")
    try:
        said = json.loads(reply[start : end + 1]) if start >= 0 else None
    except (ValueError, RecursionError):
        return []
    queries = said.get("queries") if isinstance(said, dict) else None
    found = [" ".join(q.split()) for q in queries or [] if isinstance(q, str)] if isinstance(
        queries, list) else []  # fmt: skip
    return list(dict.fromkeys(q[:200] for q in found if q))[:most]
