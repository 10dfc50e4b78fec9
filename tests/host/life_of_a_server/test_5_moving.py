"""A library moves here from the other host, which has another Debian: the same answers."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from host.lab import Lab
from host.meaning import answers, embedding
from host.server import Server

pytestmark = pytest.mark.timeout(1800)

HOME, ASIDE = "/var/lib/bookbrain", "/var/lib/aside"
STOP = "systemctl stop bookbrain bookbrain-ingest bookbrain-ocr"


@contextmanager
def nothing_yet(server: Server) -> Iterator[None]:
    """The library is as after an installation; then as it was."""
    server.run(f"{STOP}; mv -T {HOME} {ASIDE} && systemd-tmpfiles --create --prefix={HOME}")
    server.run("systemctl start bookbrain")
    server.wait("the site", server.is_up)
    try:
        yield
    finally:
        server.run(f"{STOP}; rm -r {HOME} && mv -T {ASIDE} {HOME}")
        server.run("systemctl start bookbrain")
        server.wait("the site", server.is_up)


def test_a_library_comes_from_another_server(
    server: Server, lab: Lab, request: pytest.FixtureRequest
) -> None:
    archive, none_comes = lab.folder / "bookworm.tar.zst", lab.folder / "bookworm.over"
    if server.suite == "bookworm":
        none_comes.touch()  # or it was there before
        pytest.skip("the other host takes what this one made")
    if all(item.name != "test_it_can_move[bookworm]" for item in request.session.items):
        pytest.skip("no other host was chosen")
    server.wait("the library", lambda: archive.exists() or none_comes.exists(), 1200)
    assert archive.exists(), "the other host made none"
    shutil.copyfile(archive, server.host.root / "root/moving.tar.zst")
    before = json.loads((lab.folder / "bookworm.tar.json").read_text())
    with nothing_yet(server), embedding(server) as bought:
        assert server.books() == []
        said = server.run("bookbrain-admin restore /root/moving.tar.zst --yes", timeout=300)
        assert "Books now: 5" in said
        assert json.loads(server.run("bookbrain books --json 2>/dev/null")) == before["books"]
        assert answers(server) == before["answers"]
        assert bought() == 0  # the questions are among the embeddings
