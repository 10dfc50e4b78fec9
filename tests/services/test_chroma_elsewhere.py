"""A Chroma server behind TLS and a token: there, lost, made again, and back."""

import json
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.caddy import CADDIES, running
from support.chroma_server import ChromaServer
from support.openai_process import OpenAIProcess
from support.shelf import Shelf, wait_for
from support.stand_in import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TOKEN = "ck-a-token-of-theirs"
_SITE = """
{{
	admin off
	skip_install_trust
	auto_https disable_redirects
	http_port {http}
}}
https://localhost:{https} {{
	tls internal
	@known header {header}
	handle @known {{
		reverse_proxy 127.0.0.1:{chroma}
	}}
	respond "who are you?" 401
}}
"""


@dataclass(frozen=True)
class Elsewhere:
    """Where it is, the certificate that vouches for it, and the server behind."""

    url: str
    trusted: Path
    server: ChromaServer

    def answers(self) -> bool:
        try:
            return bool(self.ask("heartbeat"))
        except OSError:  # Caddy has no certificate yet
            return False

    def ask(self, path: str, **body: str) -> bytes:
        """What its API answers."""
        request = urllib.request.Request(
            f"{self.url}/api/v2/{path}", json.dumps(body).encode() if body else None,
            {"X-Chroma-Token": TOKEN, "Authorization": f"Bearer {TOKEN}",
             "Content-Type": "application/json"},
        )  # fmt: skip
        trust = ssl.create_default_context(cafile=self.trusted)
        with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
            return bytes(answer.read())


HEADERS = (f"X-Chroma-Token {TOKEN}", f'Authorization "Bearer {TOKEN}"')


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Elsewhere]:
    caddy = CADDIES["newest"]
    if not caddy.exists():
        pytest.skip(f"no {caddy}")
    plain, https = free_ports(2)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with ChromaServer(folder) as server:
        site = folder / "Caddyfile"
        site.write_text(
            _SITE.format(
                http=plain,
                https=https,
                header=getattr(request, "param", HEADERS[0]),
                chroma=server.port,
            )
        )
        command = [str(caddy), "run", "--config", str(site), "--adapter", "caddyfile"]
        root = folder / ".local/share/caddy/pki/authorities/local/root.crt"
        with running(command, folder / "caddy.log", https):
            wait_for(root.exists, "who signs its certificate")
            there = Elsewhere(f"https://localhost:{https}", root, server)
            wait_for(there.answers, "its certificate")
            there.ask("tenants/default_tenant/databases", name="manuals")
            yield there


@pytest.mark.parametrize("elsewhere", HEADERS, indirect=True)
def test_add_search_lose_make_again_and_come_back(
    shelf: Shelf, openai: OpenAIProcess, elsewhere: Elsewhere, english: list[Path]
) -> None:
    shelf.env.pop("CHROMA_URL", None)
    shelf.add(english[0])
    (home := shelf.home / "credentials").mkdir(exist_ok=True)
    (home / "chroma-token").write_text(f"{TOKEN}\n")
    shelf.env |= {
        "CHROMA_URL": elsewhere.url, "CHROMA_DATABASE": "manuals",
        "SSL_CERT_FILE": str(elsewhere.trusted),
    }  # fmt: skip
    # There: one command, and nothing is bought.
    assert "rebuild" in shelf.search("lock queue")["degraded"]
    openai.forget()
    shelf.run("rebuild")
    assert openai.requests == []
    assert shelf.search("lock queue")["degraded"] is None
    assert "2 added" in shelf.add(*english[1:]).out
    assert shelf.search("lock queue")["degraded"] is None
    (collection,) = json.loads(
        elsewhere.ask("tenants/default_tenant/databases/manuals/collections")
    )
    assert collection["name"].startswith("bookbrain-")
    # Lost: the server, then what was in it.
    elsewhere.server.kill()
    answer = shelf.search("lock queue")
    assert answer["hits"]
    assert "Chroma" in answer["degraded"]
    elsewhere.server.start()
    assert shelf.search("lock queue")["degraded"] is None
    path = f"tenants/default_tenant/databases/manuals/collections/{collection['name']}"
    request = urllib.request.Request(f"{elsewhere.server.url}/api/v2/{path}", method="DELETE")
    urllib.request.urlopen(request, timeout=30).close()
    assert "rebuild" in shelf.search("lock queue")["degraded"]
    openai.forget()
    shelf.run("rebuild")
    assert shelf.search("lock queue")["degraded"] is None
    # Back.
    for name in ("CHROMA_URL", "CHROMA_DATABASE", "SSL_CERT_FILE"):
        del shelf.env[name]
    shelf.run("rebuild")
    assert shelf.search("lock queue")["degraded"] is None
    assert not any(served.texts > 1 for served in openai.requests)  # nothing but queries


WRONG = {
    "token": ({"CHROMA_TOKEN": "ck-guessed"}, "Set CHROMA_TOKEN."),
    "certificate": ({"SSL_CERT_FILE": ""}, "SSL_CERT_FILE"),
    "database": ({"CHROMA_DATABASE": "none"}, "Database [none] not found"),
    "tenant": ({"CHROMA_TENANT": "nobody"}, "Tenant [nobody] not found"),
}


def test_what_is_wrong_is_said_and_nothing_is_bought(
    shelf: Shelf, openai: OpenAIProcess, elsewhere: Elsewhere, english: list[Path]
) -> None:
    shelf.env |= {
        "CHROMA_URL": elsewhere.url, "CHROMA_TOKEN": TOKEN, "CHROMA_DATABASE": "manuals",
        "SSL_CERT_FILE": str(elsewhere.trusted),
    }  # fmt: skip
    for settings, said in WRONG.values():
        done = shelf.add(english[0], code=69, **settings)
        assert f"Chroma at {elsewhere.url}" in done.err
        assert said in done.err
        assert "guessed" not in done.err
        assert not openai.requested
    assert "1 added" in shelf.add().out
    for settings, _ in WRONG.values():
        answer = shelf.search("lock queue", **settings)
        assert answer["hits"]
        assert "Chroma" in answer["degraded"]
