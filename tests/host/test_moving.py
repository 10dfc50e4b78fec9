"""A library moves to another server, of another Debian: the same answers, nothing bought."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from host.lab import Lab
from host.machine import Host
from host.server import WORD, succeeded
from host.serving import served
from support import pdfs
from support.openai_process import OpenAIProcess

pytestmark = pytest.mark.timeout(1500)

KEY, PORT = "sk-stand-in-0123456789", 9900
QUERIES = [
    *("queue timeout", "스냅샷 복구", "how to retry", "transaction log", "비동기 처리", "lock"),
    *("캐시 무효화", "consumer group", "인덱스", "replication lag"),
    *(pdfs.probe(seed, page) for seed in range(1, 6) for page in (0, 5, 11, 19)),
]


@contextmanager
def installed(lab: Lab, release: Path, suite: str) -> Iterator[Host]:
    """A host with a fresh server on it, and the stand-in for OpenAI at an address of its own."""
    with lab.host(suite, systemd=True) as host, served(release, f"{host.network.subnet}.1") as url:
        inside = ("ip", "netns", "exec", host.network.name)
        with OpenAIProcess(KEY, PORT, inside) as openai:
            succeeded(host.run("apt-get -qq update && apt-get -qq -y install curl >&2"))
            (host.root / "root/password").write_text(WORD + "\n")
            given = f"--source {url} --domain books.example.org --no-acme"
            given += " --user alice --password-file /root/password"
            install = f"curl -fsSL {url}/install.sh | bash -s -- {given}"
            succeeded(host.run(install, timeout=900))
            with (host.root / "etc/bookbrain/bookbrain.env").open("a") as settings:
                settings.write(f"OPENAI_BASE_URL={openai.url}\n")
                settings.write("BOOKBRAIN_EMBEDDING_DIMENSIONS=64\n")
            succeeded(host.run(f"bookbrain-admin key <<< {KEY}; systemctl restart bookbrain"))
            yield host


def bought(host: Host) -> int:
    """How many texts the stand-in was asked for."""
    asked = succeeded(host.run(f"curl -fsS http://127.0.0.1:{PORT}/_seen"))
    return sum(json.loads(asked)["requested"].values())


def answers(host: Host) -> list[object]:
    """The hits of all queries, with their scores, as the app answers."""
    urls = " ".join(f"http://127.0.0.1:8501/api/search?q={quote(query)}" for query in QUERIES)
    ask = f"curl -fsS --retry 30 --retry-all-errors --retry-delay 1 {urls}"
    text = succeeded(host.run(ask)).strip()
    found = []
    while text:
        answer, end = json.JSONDecoder().raw_decode(text)
        assert answer["degraded"] is None, answer
        found.append([answer["query"], answer["hits"]])
        text = text[end:].lstrip()
    assert len(found) == len(QUERIES) == 30
    return found


def test_from_debian_12_to_a_fresh_debian_13(lab: Lab, release: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.tar.zst"
    with installed(lab, release, "bookworm") as old:
        shelf = old.root / "root/shelf"
        shelf.mkdir()
        for seed in range(1, 6):
            pdfs.long_book(shelf / f"book{seed}.pdf", 20, seed=seed)
        succeeded(old.run("bookbrain add /root/shelf", timeout=300))
        books = json.loads(succeeded(old.run("bookbrain books --json")))
        expected = answers(old)
        succeeded(old.run("bookbrain-admin backup"))
        (archive,) = (old.root / "var/backups/bookbrain").iterdir()
        kept.write_bytes(archive.read_bytes())
    with installed(lab, release, "trixie") as new:
        (new.root / "root/kept.tar.zst").write_bytes(kept.read_bytes())
        said = succeeded(new.run("bookbrain-admin restore /root/kept.tar.zst --yes", timeout=300))
        assert "Books now: 5" in said
        assert bought(new) == 0
        assert json.loads(succeeded(new.run("bookbrain books --json"))) == books
        assert answers(new) == expected
        assert bought(new) == 0  # the questions of before are among the embeddings
