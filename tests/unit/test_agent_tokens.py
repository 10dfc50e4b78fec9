"""Tokens for editors and agents: how they are kept, and whom the app lets in with one."""

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from support.coroutines import run_coroutine

from bookbrain.admin import main
from bookbrain.errors import ConfigError, InputError
from bookbrain.paths import Layout
from bookbrain.server.access import Site, write_site
from bookbrain.server.agent_tokens import add_token, is_valid, read_tokens, remove_token
from bookbrain.server.caddy import Machine
from bookbrain.web.agent_endpoint import TokenDoor

ROOT = Path(__file__).parents[2]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    made.etc.mkdir(parents=True)
    write_site(made, Site("books.example.org", "owner@example.org"))
    return made


def run(layout: Layout, *arguments: str, code: int = 0) -> Result:
    done = CliRunner(env={"LC_ALL": "C.UTF-8"}).invoke(
        main, ["tokens", *arguments], obj=Machine(layout)
    )
    assert done.exit_code == code, done.output
    return done


# How they are kept


def test_a_token_is_shown_once_and_kept_as_a_hash(layout: Layout) -> None:
    done = run(layout, "add", "laptop")
    token = done.stdout.strip()
    assert len(token) > 40
    assert "https://books.example.org/mcp only" in done.stderr
    assert token not in done.stderr
    for path in layout.etc.rglob("*"):
        assert token not in path.read_text()
    assert stat.S_IMODE(layout.agent_tokens.stat().st_mode) == 0o640
    listed = run(layout, "list").output
    assert listed.startswith("laptop ")
    assert token not in listed
    assert read_tokens(layout)[0].digest not in listed + repr(read_tokens(layout))


def test_tokens_come_and_go_by_name(layout: Layout) -> None:
    assert "tokens add NAME" in run(layout, "list").stderr
    first, second = (run(layout, "add", name).stdout.strip() for name in ("a", "b"))
    assert first != second
    assert is_valid(layout, first)
    assert is_valid(layout, second)
    assert "within ten seconds" in run(layout, "remove", "a").output
    assert not is_valid(layout, first)
    assert is_valid(layout, second)
    assert "There is no token a" in run(layout, "remove", "a", code=65).stderr
    assert "tokens remove b" in run(layout, "add", "b", code=65).stderr
    assert is_valid(layout, second)


def test_a_caddyfile_of_before_that_the_owner_edited_is_named(layout: Layout) -> None:
    (layout.etc / "Caddyfile").write_text("(bookbrain_app) {\n}\n")
    assert "knows no tokens" in run(layout, "add", "a").stderr
    (layout.etc / "Caddyfile").write_text((ROOT / "Caddyfile").read_text())
    assert "knows no tokens" not in run(layout, "add", "b").stderr


def test_without_a_site_there_is_nothing_to_open(layout: Layout) -> None:
    layout.site.unlink()
    assert "bookbrain-admin site" in run(layout, "add", "laptop", code=78).stderr
    assert not layout.agent_tokens.exists()


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\nb", "한글", "x" * 65, "\x1b[2J"])
def test_names_that_are_refused(layout: Layout, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name"):
        add_token(layout, name)


@pytest.mark.parametrize("other", [
    "", " ", "{token} ", "{token}x", "{cut}", "{digest}", "{upper}", "laptop", "\x00", "한글",
    "\ud800", "x" * 100_000,
])  # fmt: skip
def test_nothing_else_is_valid(layout: Layout, other: str) -> None:
    assert not is_valid(layout, other)
    token = add_token(layout, "laptop")
    digest = read_tokens(layout)[0].digest
    given = other.format(token=token, cut=token[:-1], digest=digest, upper=token.upper())
    assert not is_valid(layout, given)


@pytest.mark.parametrize("text", [
    "", "x", "[]", "{}", '{"tokens": [{}]}', '{"tokens": 7}', '{"tokens": ["x"]}', "[" * 100_000,
    '{"tokens": [{"name": "a", "digest": null, "added": "x"}]}',
    '{"tokens": [{"name": "a", "digest": "", "added": "x"}]}',
])  # fmt: skip
def test_of_a_damaged_file_nobody_is_let_in_and_nothing_is_lost(layout: Layout, text: str) -> None:
    layout.agent_tokens.write_text(text)
    for work in (
        lambda: is_valid(layout, ""),
        lambda: add_token(layout, "a"),
        lambda: remove_token(layout, "a"),
    ):
        with pytest.raises(ConfigError):
            work()
    assert layout.agent_tokens.read_text() == text
    assert client(layout).head("/mcp/token", headers=bearer("x")).status_code == 401


# Whom the app lets in


async def _agents(scope: Scope, receive: Receive, send: Send) -> None:
    """What is behind the door: here it only says that somebody has come in."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def client(layout: Layout | None) -> TestClient:
    door = TokenDoor(_agents, layout)
    return TestClient(
        Starlette(routes=[Route("/mcp/token", door, methods=["GET", "POST", "HEAD"])])
    )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_only_a_token_opens(layout: Layout, method: str) -> None:
    token = add_token(layout, "laptop")
    for headers in (
        {}, bearer(""), bearer("x"), bearer(f"{token}x"), {"Authorization": token},
        {"Authorization": f"Basic {token}"}, {"Cookie": f"token={token}"}, {"X-Token": token},
    ):  # fmt: skip
        answer = client(layout).request(method, f"/mcp/token?token={token}", headers=headers)
        assert (answer.status_code, answer.text) == (401, "")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="BookBrain"'
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = client(layout).request(
            method, "/mcp/token", headers={"Authorization": f"{scheme} {token}"}
        )
        assert (answer.status_code, answer.text) == ((204, "") if method == "HEAD" else (200, "in"))


def test_two_tokens_at_once_are_none(layout: Layout) -> None:
    token = add_token(layout, "laptop")
    for other in ("Bearer x", f"Bearer {token}", "Basic eA=="):
        headers = [("Authorization", f"Bearer {token}"), ("Authorization", other)]
        for order in (headers, headers[::-1]):
            assert client(layout).post("/mcp/token", headers=order).status_code == 401


def test_where_there_is_no_server_no_token_opens() -> None:
    for token in ("", "x"):
        assert client(None).post("/mcp/token", headers=bearer(token)).status_code == 401


# Who is in already


async def _stream(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


async def _long(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


@pytest.mark.slow
@pytest.mark.parametrize(("behind", "status"), [(_stream, 200), (_long, 401)])
def test_what_is_under_way_ends_with_the_right_to_it(
    layout: Layout, behind: Callable[..., object], status: int
) -> None:
    token = add_token(layout, "laptop")
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def attend() -> None:
        headers = [(b"authorization", f"Bearer {token}".encode())]
        scope = {"type": "http", "method": "POST", "path": "/mcp/token", "headers": headers}
        attending = asyncio.ensure_future(TokenDoor(behind, layout)(scope, receive, send))
        await asyncio.wait({attending}, timeout=0.1)
        assert not attending.done()
        remove_token(layout, "laptop")
        await asyncio.wait_for(attending, 10)

    run_coroutine(attend())
    assert sent[0]["status"] == status
    assert sent[-1]["type"] == "http.response.body"
    assert not sent[-1].get("more_body", False)
