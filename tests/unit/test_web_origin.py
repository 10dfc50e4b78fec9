"""Who may ask the app: by name, and from which page."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from support.coroutines import run_coroutine

from bookbrain.paths import Layout
from bookbrain.server.access import Address, with_address, write_site
from bookbrain.settings import Settings
from bookbrain.web.app import Names, OwnOrigin

NOWHERE = Settings(home=Path("/nowhere"))
THIS_MACHINE = Layout()
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
REBOUND = "evil.example"
VISIT = {
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
}


async def _answer(request: Request) -> Response:
    own = {"X-Frame-Options": "DENY"} if request.url.path == "/own" else {}
    return PlainTextResponse("here", headers=own)


async def _open(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def _client(
    settings: Settings = NOWHERE,
    host: str = "127.0.0.1",
    address: str = "127.0.0.1",
    layout: Layout = THIS_MACHINE,
) -> TestClient:
    routes = [
        Route("/{path:path}", _answer, methods=METHODS),
        WebSocketRoute("/{path:path}", _open),
    ]
    app = OwnOrigin(Starlette(routes=routes), Names(settings, host, address, layout))
    return TestClient(app, base_url="http://127.0.0.1:8501")


def _status(client: TestClient, host: str, path: str = "/", **more: str) -> int:
    return client.get(path, headers={"host": host} | more).status_code


def _opens(client: TestClient, **headers: str) -> bool:
    try:
        with client.websocket_connect("/_stcore/stream", headers=headers):
            return True
    except WebSocketDisconnect as refused:
        assert refused.code == 1008
        return False


# Names


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8501", "127.0.0.1", "127.8.9.1:8501", "localhost:8501", "localhost",
        "LOCALHOST:8501", "localhost.:8501", "localhost:9000", "[::1]:8501", "[::1]",
        "[0:0:0:0:0:0:0:1]:8501", "[::ffff:127.0.0.1]:8501",
    ],
)  # fmt: skip
def test_the_machine_s_own_names_at_any_port(host: str) -> None:
    assert _status(_client(), host) == 200
    assert _opens(_client(), host=host, origin=f"http://{host}")


@pytest.mark.parametrize(
    "host",
    [
        REBOUND, f"{REBOUND}:8501", "evil.example.", "localhost.evil.example", "evil.localhost",
        "127.0.0.1.evil.example:8501", "127.0.0.1%2eevil.example",
        "user@localhost",
        "localhost:8501@evil.example", "evil.example:8501:localhost", "localhost:", "localhost:x",
        "localhost,evil.example", "localhost evil.example", "localhost/", "http://localhost", "::1",
        "[localhost]", "[127.0.0.1]", "[::1", "", " ", ".", "*", "0.0.0.0", "[::]", "10.0.0.1",
        "203.0.113.7:8501", "[2001:db8::1]", "2130706433", "127.1", "0x7f000001", "testserver",
        "a" * 5000, "1." * 3000,
    ],
)  # fmt: skip
def test_no_other_name(host: str) -> None:
    client = _client()
    for path in ("/", "/healthz", "/api/books", "/book/x.pdf", "/_stcore/health", "/static/x.js"):
        assert _status(client, host, path) == 421
    for method in METHODS:
        answer = client.request(method, "/_stcore/upload_file/s/f", headers={"host": host})
        assert answer.status_code == 421
        assert "access-control-allow-origin" not in answer.headers
    assert not _opens(client, host=host)
    assert not _opens(client, host=host, origin=f"http://{host}")


def test_no_host_two_hosts_and_what_no_client_here_sends() -> None:
    app = _client().app
    for hosts in (
        [], ["localhost:8501", REBOUND], [REBOUND, "localhost"], ["localhost"] * 2,
        ["localhost\xa0"], ["l\xf6calhost"], ["localhost\0"],
    ):  # fmt: skip
        assert _raw_status(app, [(b"host", host.encode("latin-1")) for host in hosts]) == 421
    assert _raw_status(app, [(b"host", b"localhost")]) == 200


def _raw_status(app: Any, headers: list[tuple[bytes, bytes]]) -> int:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"",
        "headers": headers, "scheme": "http", "http_version": "1.0",
    }  # fmt: skip
    run_coroutine(app(scope, receive, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("host", "address", "given", "status"),
    [
        ("192.168.1.5", "192.168.1.5", "192.168.1.5:8501", 200),
        ("192.168.1.5", "192.168.1.5", "localhost:9000", 200),  # a tunnel
        ("192.168.1.5", "192.168.1.5", "192.168.1.6:8501", 421),
        ("192.168.1.5", "192.168.1.5", REBOUND, 421),
        ("Books.lan", "192.168.1.5", "books.lan:8501", 200),
        ("Books.lan", "192.168.1.5", "192.168.1.5:8501", 200),
        ("Books.lan", "192.168.1.5", "other.lan", 421),
        ("0.0.0.0", "0.0.0.0", "192.168.1.5:8501", 200),
        ("0.0.0.0", "0.0.0.0", "203.0.113.7", 200),
        ("0.0.0.0", "0.0.0.0", "books.lan:8501", 421),
        ("0.0.0.0", "0.0.0.0", REBOUND, 421),
        ("::", "::", "[2001:db8::1]:8501", 200),
        ("::", "::", "192.168.1.5:8501", 200),
        ("::", "::", REBOUND, 421),
        ("2001:DB8::1", "2001:db8::1", "[2001:db8:0::1]:8501", 200),
        ("fe80::1%eth0", "fe80::1%eth0", "[fe80::1%eth0]:8501", 200),  # the watchdog asks so
        ("localhost", "127.0.0.1", "127.0.0.1:8501", 200),
    ],
)
def test_what_it_listens_on(host: str, address: str, given: str, status: int) -> None:
    client = _client(host=host, address=address)
    assert _status(client, given) == status
    assert _opens(client, host=given, origin=f"http://{given}") == (status == 200)


def test_names_of_the_settings() -> None:
    names = ("books.example.org", "192.168.1.9", "xn--bcher-kva.example")
    client = _client(replace(NOWHERE, allowed_hosts=names))
    for host in ("books.example.org", "BOOKS.example.org.:443", "192.168.1.9:80", names[2]):
        assert _status(client, host) == 200
    for host in ("example.org", "x.books.example.org", "192.168.1.8", REBOUND):
        assert _status(client, host) == 421


def test_the_domain_of_the_site_as_it_is_now(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.etc.mkdir(parents=True)
    client = _client(Settings(home=layout.home), layout=layout)
    elsewhere = _client(Settings(home=tmp_path), layout=layout)
    assert _status(client, "one.example.org") == 421
    for domain, other in (("one.example.org", "two.example.org"), ("two.example.org", REBOUND)):
        write_site(layout, with_address(None, Address(domain, acme=False)))
        assert _status(client, domain) == 200
        assert _opens(client, host=domain, origin=f"https://{domain}")
        assert _status(client, other) == 421
        assert _status(elsewhere, domain) == 421
    for damaged in ("", "{", "[]", json.dumps({"domain": None}), json.dumps({"domain": ""})):
        layout.address.write_text(damaged)
        assert _status(client, "two.example.org") == 421
        assert _status(client, "") == 421
        assert _status(client, "127.0.0.1:8501") == 200


def test_the_refusal_names_the_setting_in_the_language_of_the_browser() -> None:
    client = _client()
    english = client.get("/", headers={"host": REBOUND})
    assert "BOOKBRAIN_ALLOWED_HOSTS" in english.text
    assert english.headers["cache-control"] == "no-store"
    assert english.headers["content-type"].startswith("text/plain")
    korean = client.get("/", headers={"host": REBOUND, "accept-language": "ko-KR,ko;q=0.9"})
    assert "BOOKBRAIN_ALLOWED_HOSTS" in korean.text
    assert "이 BookBrain의 이름이 아닙니다." in korean.text


# Pages of other sites


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://localhost:8501", True),
        ("HTTP://LOCALHOST:8501", True),
        ("https://localhost:8501", True),  # a proxy in front has the certificate
        ("http://localhost:8502", False),
        ("http://localhost", False),
        ("http://127.0.0.1:8501", False),
        (f"https://{REBOUND}", False),
        (f"http://{REBOUND}:8501", False),
        ("http://localhost:8501.evil.example", False),
        ("http://localhost:8501@evil.example", False),
        ("http://evil@localhost:8501", False),
        ("chrome-extension://localhost:8501", False),
        ("file://", False),
        ("http://[", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_our_own_pages_change_anything(origin: str, own: bool) -> None:
    client = _client()
    headers = {"host": "localhost:8501", "origin": origin}
    for method in METHODS:
        answer = client.request(method, "/api/search?q=x", headers=headers)
        assert answer.status_code == (200 if own else 403)
    assert _opens(client, **headers) == own


def test_a_port_may_be_left_out() -> None:
    client = _client(replace(NOWHERE, allowed_hosts=("books.example.org",)))
    for host, origin, own in (
        ("books.example.org:443", "https://books.example.org", True),
        ("books.example.org", "https://books.example.org:443", True),
        ("books.example.org", "http://books.example.org:80", True),
        ("books.example.org:443", "http://books.example.org", False),
        ("books.example.org:8443", "https://books.example.org", False),
    ):
        assert _opens(client, host=host, origin=origin) == own


def test_programs_say_nothing_of_where_they_are() -> None:
    for method in METHODS:
        assert _client().request(method, "/api/search?q=x").status_code == 200
    assert _opens(_client(), host="localhost:8501")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something-new"])
@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("no-cors", "image"), ("no-cors", "script"), ("no-cors", "style"), ("no-cors", "empty"),
        ("cors", "empty"), ("navigate", "iframe"), ("navigate", "embed"), ("navigate", "object"),
        ("websocket", "websocket"), ("", ""),
    ],
)  # fmt: skip
def test_other_sites_can_use_nothing_as_a_part_of_their_pages(
    site: str, mode: str, kind: str
) -> None:
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": kind}
    for path in ("/", "/books", "/api/search?q=x", "/page/x/1.png", "/book/x.pdf", "/static/x.js"):
        assert _client().get(path, headers=headers).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_links_of_other_sites_lead_to_pages_only(site: str) -> None:
    visit = VISIT | {"sec-fetch-site": site}
    for path in ("/", "/?q=x", "/read?book=x&page=3", "/books", "/book/x.pdf", "/page/x/1.png"):
        assert _client().get(path, headers=visit).status_code == 200
    for path in ("/api/search?q=x", "/%61pi/search?q=x", "/_stcore/health"):
        assert _client().get(path, headers=visit).status_code == 403
    form = visit | {"origin": "https://elsewhere.example"}
    assert _client().post("/", headers=form).status_code == 403
    assert _client().post("/", headers=visit).status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_pages_and_typed_addresses_reach_everything(site: str) -> None:
    headers = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    for path in ("/", "/api/search?q=x", "/page/x/1.png", "/static/x.js"):
        assert _client().get(path, headers=headers).status_code == 200


# What every answer says to browsers


def test_no_answer_can_be_framed_or_embedded() -> None:
    client = _client()
    for host in ("localhost", REBOUND):
        headers = client.get("/", headers={"host": host}).headers
        assert headers["content-security-policy"] == "frame-ancestors 'self'"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "SAMEORIGIN"


def test_what_an_answer_says_itself_stays() -> None:
    assert _client().get("/own").headers.get_list("x-frame-options") == ["DENY"]
