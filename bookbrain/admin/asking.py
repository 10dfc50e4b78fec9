"""What the programs of the machine, its files and its services answer."""

import http.client
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from bookbrain.children import run_program

_SECONDS = 20  # for a program
_PATIENCE = 5.0  # seconds for a service on this machine
_MOST = 100  # characters of an answer


def output_of(*command: str) -> str | None:
    """What the command prints; None where there is no such program, or it fails."""
    try:
        ended = run_program(command, timeout=_SECONDS)
    except OSError:
        return None
    return ended.stdout if ended.code == 0 else None


def text_of(path: Path) -> str:
    """The text of a file, "" without one."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Answer(NamedTuple):
    """An HTTP status and how the body begins; 0 and why, when nobody answered."""

    status: int
    text: str


def answer_of(url: str) -> Answer:
    """What GET on `url` answers; proxies are not asked."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        return answer_on(kind(parts.hostname or "", parts.port, timeout=_PATIENCE), parts.path)
    except ValueError as error:  # a port that is none
        return Answer(0, str(error))


def answer_on(connection: http.client.HTTPConnection, path: str) -> Answer:
    """What GET on `path` answers; closes the connection."""
    try:
        connection.request("GET", path or "/", headers={"Connection": "close"})
        response = connection.getresponse()
        return Answer(response.status, response.read(_MOST).decode(errors="replace").strip())
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, str(error))
    finally:
        connection.close()


def chroma_answers(url: str) -> bool:
    """Whether the Chroma server at `url` lives."""
    base = url.rstrip("/").removesuffix("/api/v2")
    return answer_of(f"{base}/api/v2/heartbeat").status == 200
