"""Who gets in: a password, a cookie, and nothing else."""

import pytest
from host.server import DOMAIN, NEW_WORD, WORD, Server
from host.site import password

pytestmark = pytest.mark.timeout(1200)


def test_everything_wants_the_password(server: Server) -> None:
    for path in ("/", "/api/search?q=x", "/healthz/../", "/_stcore/health", "/healthz/x"):
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"):
            assert server.site.ask(path, method).status == 401, (path, method)
    assert server.site.ask("/healthz", "POST").status == 401
    assert server.site.ask("/healthz").body.decode().strip() in ("ok", "degraded")
    assert server.site.open_websocket() == 401


def test_http_leads_to_https(server: Server) -> None:
    answer = server.site.ask_plainly("/some/where")
    assert answer.status in (301, 308)
    assert answer.headers["location"] == f"https://{DOMAIN}/some/where"


def test_a_wrong_password_is_cheap(server: Server) -> None:
    before = server.cpu("caddy")
    for name in ("alice", "nobody"):
        for number in range(5):
            wrong = password(name, f"wrong {number}")
            assert server.site.ask("/", Authorization=wrong).status == 401
    assert (server.cpu("caddy") - before) / 10 < 0.3


def test_cookie_and_password_change(server: Server) -> None:
    right = password("alice", WORD)
    login = server.site.ask("/", Authorization=right)
    cookie = login.headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=Strict"} <= set(cookie.split("; "))
    assert "set-cookie" not in server.site.ask("/").headers
    pair = cookie.split(";")[0]
    assert server.site.open_websocket(Cookie=pair) == 101
    (server.host.root / "root/new").write_text(NEW_WORD + "\n")
    server.run("bookbrain-admin users passwd alice --password-file /root/new")
    assert server.site.open_websocket(Cookie=pair) == 401
    assert server.site.ask("/", Authorization=right).status == 401
    assert server.site.ask("/", Authorization=password("alice", NEW_WORD)).status == 200
    server.run("bookbrain-admin users passwd alice --password-file /root/password")
