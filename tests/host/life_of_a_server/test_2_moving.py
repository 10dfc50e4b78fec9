"""A library moves here from the host before, which had another Debian: the same answers."""

import json

import pytest
from host.lab import Lab
from host.meaning import answers, embedding
from host.server import Server

pytestmark = pytest.mark.timeout(900)


def test_a_library_comes_from_another_server(server: Server, lab: Lab) -> None:
    archive, expected = lab.folder / "moving.tar.zst", lab.folder / "moving.json"
    if not archive.exists():
        pytest.skip("there was no host before this one")
    assert server.books() == []
    (server.host.root / "root/moving.tar.zst").write_bytes(archive.read_bytes())
    with embedding(server) as bought:
        said = server.run("bookbrain-admin restore /root/moving.tar.zst --yes", timeout=300)
        assert "Books now: 5" in said
        before = json.loads(expected.read_text())
        assert json.loads(server.run("bookbrain books --json 2>/dev/null")) == before["books"]
        assert answers(server) == before["answers"]
        assert bought() == 0  # the questions are among the embeddings
        for book in before["books"]:
            server.run(f"bookbrain remove {book['id']} --yes")
