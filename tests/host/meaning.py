"""Search by meaning on a host: a stand-in for OpenAI inside of it, and what is found by it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from host.server import Server
from support.openai_process import OpenAIProcess
from support.prose import probe

KEY, PORT = "sk-stand-in-0123456789", 9900
QUERIES = [
    *("queue timeout", "스냅샷 복구", "how to retry", "transaction log", "비동기 처리", "lock"),
    *("캐시 무효화", "consumer group", "인덱스", "replication lag"),
    *(probe(seed, page) for seed in range(1, 6) for page in range(4)),
]


@contextmanager
def embedding(server: Server) -> Iterator[Callable[[], int]]:
    """The server has a key, until the block ends; yields how many texts were embedded so far."""
    settings = server.host.root / "etc/bookbrain/bookbrain.env"
    before = settings.read_text()
    with OpenAIProcess(KEY, PORT, ("ip", "netns", "exec", server.host.network.name)) as openai:
        settings.write_text(
            f"{before}OPENAI_BASE_URL={openai.url}\nBOOKBRAIN_EMBEDDING_DIMENSIONS=64\n"
        )
        server.run(f"bookbrain-admin key <<< {KEY}; systemctl restart bookbrain")
        server.wait("the site", server.is_up)
        yield lambda: _bought(server)
        settings.write_text(before)
        server.run("bookbrain-admin key --remove; systemctl restart bookbrain")
        server.wait("the site", server.is_up)


def _bought(server: Server) -> int:
    seen = json.loads(server.run(f"curl -fsS http://127.0.0.1:{PORT}/_seen"))
    return sum(seen["requested"].values())


def answers(server: Server) -> list[object]:
    """The hits of thirty queries with their scores, found by keyword and by meaning."""
    urls = " ".join(f"http://127.0.0.1:8501/api/search?q={quote(query)}" for query in QUERIES)
    text = server.run(f"curl -fsS {urls}").strip()
    found: list[object] = []
    while text:
        answer, end = json.JSONDecoder().raw_decode(text)
        assert answer["degraded"] is None, answer
        found.append([answer["query"], answer["hits"]])
        text = text[end:].lstrip()
    assert len(found) == len(QUERIES) == 30
    return found
