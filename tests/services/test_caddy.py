"""The site behind a real Caddy, Debian's and the newest: who gets through, what a change leaves."""

import base64
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.caddy import CADDIES, PASSWORD, ROOT, CaddySite, caddy_site, running
from support.shelf import wait_for
from support.stand_in import free_ports
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bookbrain.errors import InputError
from bookbrain.paths import Layout
from bookbrain.server.access import (
    NOBODY,
    Address,
    Site,
    check_new_name,
    read_site,
    with_address,
    write_site,
)
from bookbrain.server.caddy import send
from bookbrain.server.caddyfile import is_chosen, site_piece, with_socket
from bookbrain.web.answer_stream import STREAM_HEADERS
from bookbrain.web.uploads import LARGEST

QUERY = "what-was-searched-for"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("caddy"),  # one server for all of them
]

_APP = """
import asyncio, json, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute

HEADERS = json.loads(sys.argv[2])

async def mirror(request):
    if request.url.path == "/redirect":
        return Response(status_code=307, headers={"Location": "/?q=" + request.url.query})
    if request.url.path == "/mcp/token":  # as the app: a token is valid, or it is not
        given = request.headers.getlist("authorization")
        if given != ["Bearer right"]:
            return Response(status_code=401)
        if request.method == "HEAD":
            return Response(status_code=204)
        if request.headers.get("x-slow"):
            await asyncio.sleep(5)
    if request.url.path == "/api/ask":
        async def events():
            yield b"event: reading\\ndata: " + b"x" * 700 + b"\\n\\n"
            await asyncio.sleep(5)
            yield b"event: answer\\ndata: {}\\n\\n"
        return StreamingResponse(events(), headers=HEADERS, media_type="text/event-stream")
    if request.url.path == "/slow":
        await asyncio.sleep(5)
    return JSONResponse({"path": request.url.path, "query": request.url.query,
                         "size": len(await request.body()),
                         "headers": request.headers.items()}, headers={"X-Frame-Options": "x"})

async def echo(socket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
app = Starlette(routes=[WebSocketRoute("/{path:path}", echo),
                        Route("/{path:path}", mirror, methods=METHODS)])
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


@dataclass(frozen=True)
class Answer:
    code: int
    headers: http.client.HTTPMessage
    text: str


@dataclass(frozen=True)
class Server(CaddySite):
    """A machine with the owner's other sites, a Caddy, and an app behind it."""

    app_port: int

    @property
    def site(self) -> Site:
        site = read_site(self.machine.layout)
        assert site
        return site

    @property
    def cookie(self) -> str:
        """What a browser in which ann is signed in has."""
        return self.cookie_of("ann")

    def cookie_of(self, name: str) -> str:
        user = self.site.user(name)
        assert user
        return f"bookbrain={user.session}"

    def ask(self, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPSConnection(
            "localhost", self.https, timeout=20, context=_any()
        )
        return _ask(connection, path, method, headers)

    def ask_http(self, host: str, path: str = "/") -> Answer:
        connection = http.client.HTTPConnection("localhost", self.http, timeout=20)
        return _ask(connection, path, "GET", {"Host": host})

    def echo(self, text: str, **headers: str) -> str:
        """What a WebSocket answers; raises InvalidStatus when it is not opened."""
        with self.stream(**headers) as opened:
            opened.send(text)
            return str(opened.recv(timeout=20))

    def stream(self, **headers: str) -> ClientConnection:
        url = f"wss://localhost:{self.https}/_stcore/stream"
        return connect(url, ssl=_any(), additional_headers=headers, proxy=None, open_timeout=60)

    @contextmanager
    def open_page(self, **headers: str) -> Iterator[ClientConnection]:
        """A stream that has answered; another where it was that of a Caddy about to go."""
        with ExitStack() as opened:
            for _ in range(3):
                stream = opened.enter_context(self.stream(**headers))
                with suppress(ConnectionClosed):
                    stream.send("there")
                    assert stream.recv(timeout=20) == "there"
                    break
            yield stream

    @contextmanager
    def logged(self) -> Iterator[list[str]]:
        """Filled with the lines of the access log that come meanwhile, when the block ends."""
        before, lines = len(self.log.read_text()), []
        yield lines
        self.ask(f"/the-end-of-{before}", Cookie=self.cookie)
        wait_for(lambda: f"the-end-of-{before}" in self.log.read_text()[before:], "the log", 20)
        text = self.log.read_text()[before:]
        lines += [line for line in text.splitlines() if '"handled request"' in line]

    def files(self) -> dict[str, bytes]:
        root = self.machine.layout.top
        return {str(p): p.read_bytes() for p in (root / "etc").rglob("*") if p.is_file()}

    def ticks(self) -> int:
        """CPU time that Caddy has taken, in clock ticks."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


def _any() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _ask(
    connection: http.client.HTTPConnection, path: str, method: str, headers: dict[str, str]
) -> Answer:
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())
    finally:
        connection.close()


def basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def is_try(line: str) -> bool:
    """Whether our filter for fail2ban takes this line of Caddy's for a try, from this machine."""
    text = (ROOT / "packaging/fail2ban/filter.conf").read_text()
    patterns = re.search(r"^failregex = (.*(?:\n +\^.*)*)", text, re.MULTILINE)
    assert patterns
    address = r"(?:127\.0\.0\.1|::)"
    return any(
        re.search(pattern.strip().replace("<ADDR>", address), f"host caddy[7]: {line}")
        for pattern in patterns[1].splitlines()
    )


def _app(folder: Path, port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", _APP, str(port), json.dumps(STREAM_HEADERS)]
    return running(command, folder / "app.log", port)


@pytest.fixture(scope="module", params=CADDIES)
def caddy(request: pytest.FixtureRequest) -> str:
    """The program."""
    path = CADDIES[request.param]
    if not path.exists():
        pytest.skip(f"no {path}: tests/run fetches it")
    return str(path)


@pytest.fixture(scope="module")
def server(caddy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves localhost for the user ann."""
    folder = tmp_path_factory.mktemp("server")
    (app,) = free_ports()
    with _app(folder, app), caddy_site(folder, caddy, app) as site:
        yield Server(site.machine, site.https, site.http, site.process, site.log, app)


@pytest.fixture
def ann() -> dict[str, str]:
    return {"Authorization": basic("ann", PASSWORD)}


# Who gets through


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/", "/api/search?q=x", "/page/1/2.png", "/healthz/", "/healthz/x"]
)
def test_nothing_opens_without_a_password(server: Server, method: str, path: str) -> None:
    answer = server.ask(path, method)
    assert (answer.code, answer.text) == (401, "")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="BookBrain"'
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("headers", [
    {},
    {"Cookie": "bookbrain="},
    {"Cookie": "bookbrain=x"},
    {"Cookie": "{cookie}x"},
    {"Cookie": "x{cookie}"},
    {"Authorization": basic("ann", "wrong password")},
    {"Authorization": basic("eve", PASSWORD)},
    {"Authorization": basic("ann", "")},
    {"Authorization": "Basic ="},
    {"Authorization": f"Bearer {PASSWORD}"},
])  # fmt: skip
def test_neither_do_other_credentials(server: Server, headers: dict[str, str]) -> None:
    headers = {name: value.replace("{cookie}", server.cookie) for name, value in headers.items()}
    answer = server.ask(**headers)
    assert answer.code == 401
    assert "Set-Cookie" not in answer.headers
    with pytest.raises(InvalidStatus) as refused:
        server.echo("x", **headers)
    assert refused.value.response.status_code == 401


def test_a_refusal_does_not_tell_whether_there_is_such_a_user(server: Server) -> None:
    known = server.ask(Authorization=basic("ann", "wrong password"))
    unknown = server.ask(Authorization=basic("eve", "wrong password"))
    for answer in (known, unknown):
        del answer.headers["Date"]
    assert (sorted(known.headers.items()), known.text) == (
        sorted(unknown.headers.items()), unknown.text
    )  # fmt: skip


def test_the_state_of_health_is_open_to_read(server: Server) -> None:
    assert server.ask("/healthz").code == 200
    assert server.ask("/healthz", "HEAD").code == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert server.ask("/healthz", method).code == 401
    for path in ("/healthz?q=1", "/HealthZ", "//healthz", "/books/../healthz", "/%68ealthz"):
        answer = server.ask(path)
        if answer.code != 401:
            seen = json.loads(answer.text)
            assert (seen["path"], seen["query"]) == ("/healthz", ""), path


def test_the_password_opens(server: Server, ann: dict[str, str]) -> None:
    answer = server.ask("/x?q=1", **ann, Cookie=f"a=1; {server.cookie}; b=2")
    assert answer.code == 200
    seen = json.loads(answer.text)
    assert (seen["path"], seen["query"]) == ("/x", "q=1")
    headers = dict(seen["headers"])
    assert "authorization" not in headers
    assert headers["cookie"] == "a=1; bookbrain=-; b=2"
    assert headers["x-forwarded-proto"] == "https"
    assert "cookie" not in dict(json.loads(server.ask(**ann).text)["headers"])


def test_the_answer_is_hardened(server: Server, ann: dict[str, str]) -> None:
    wrong = {"Authorization": basic("ann", "wrong password")}
    for headers in (server.ask(**credentials).headers for credentials in (ann, wrong, {})):
        assert headers["Strict-Transport-Security"] == "max-age=31536000"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers.get_all("X-Frame-Options") == ["SAMEORIGIN"]
        assert headers["Content-Security-Policy"] == "frame-ancestors 'self'"
        assert "Server" not in headers
        assert "Via" not in headers
        assert "X-Tried" not in headers


def test_the_cookie_opens_a_websocket(server: Server, ann: dict[str, str]) -> None:
    given = server.ask(**ann).headers["Set-Cookie"].split("; ")
    assert given[0] == server.cookie
    assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/"} <= set(given)
    assert server.echo("책", Cookie=f"_streamlit_xsrf=1; {given[0]}") == "책"
    assert server.echo("book", **ann) == "book"
    assert server.ask(Cookie=given[0]).code == 200


@contextmanager
def somebody(server: Server, name: str) -> Iterator[dict[str, str]]:
    """One more user for a while; his credentials."""
    server.admin("users", "add", name, "--password-file", "-", given=f"{PASSWORD} {name}\n")
    try:
        yield {"Authorization": basic(name, f"{PASSWORD} {name}")}
    finally:
        if server.site.user(name):
            server.admin("users", "remove", name)


@pytest.mark.parametrize("by", ["Cookie", "Authorization"])
@pytest.mark.parametrize("change", ["remove", "passwd"])
def test_an_open_page_ends_with_the_right_to_it(server: Server, change: str, by: str) -> None:
    with somebody(server, "bob") as his:
        headers = his if by == "Authorization" else {"Cookie": server.cookie_of("bob")}
        with server.open_page(**headers) as bobs, server.open_page(Cookie=server.cookie):
            given = () if change == "remove" else ("--password-file", "-")
            server.admin("users", change, "bob", *given, given="another password\n")
            with pytest.raises(ConnectionClosed):
                bobs.recv(timeout=10)
        with pytest.raises(InvalidStatus):
            server.echo("x", **headers)
        # Whoever else was thrown out by that comes in again with what his browser has.
        assert server.echo("x", Cookie=server.cookie) == "x"


def test_events_come_one_by_one(server: Server, ann: dict[str, str]) -> None:
    """Also to a browser that takes compressed ones."""
    connection = http.client.HTTPSConnection("localhost", server.https, context=_any(), timeout=20)
    started = time.monotonic()
    connection.request("POST", "/api/ask", headers={**ann, "Accept-Encoding": "gzip, zstd"})
    first = connection.getresponse().read1(1 << 16)
    assert first.startswith(b"event: reading")
    assert time.monotonic() - started < 4, "it did not wait for the last one"
    connection.close()


def test_a_kept_connection_ends_with_the_right_to_it(server: Server) -> None:
    with somebody(server, "bob") as his:
        connection = http.client.HTTPSConnection("localhost", server.https, context=_any())
        connection.request("GET", "/", headers=his)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
        server.admin("users", "remove", "bob")
        try:
            connection.request("GET", "/", headers=his)
            assert connection.getresponse().status == 401
        except (OSError, http.client.HTTPException):
            pass  # Caddy has closed it
        finally:
            connection.close()


@pytest.mark.parametrize("name", ["default", "a.b", "@x", "bob"])
def test_everybody_has_a_session_of_his_own(server: Server, name: str) -> None:
    with somebody(server, name) as his:
        assert server.ask(**his).headers["Set-Cookie"].split(";")[0] == server.cookie_of(name)
        assert server.cookie_of(name) != server.cookie


def test_an_address_without_a_name(server: Server, ann: dict[str, str]) -> None:
    server.admin("site", "--domain", "127.0.0.1")
    try:
        connection = http.client.HTTPSConnection("127.0.0.1", server.https, context=_any())

        def certified() -> bool:
            with suppress(ssl.SSLError):
                return _ask(connection, "/", "GET", ann).code == 200
            return False

        wait_for(certified, "the certificate that Caddy makes", 20)
    finally:
        server.admin("site", "--domain", "localhost")


# Users


def test_a_new_password_ends_the_old_one_and_its_session(server: Server) -> None:
    server.admin("users", "add", "carl", "--password-file", "-", given="first password\n")
    cookie, anns = server.cookie_of("carl"), server.cookie
    assert server.ask(Authorization=basic("carl", "first password")).code == 200
    assert server.ask(Cookie=cookie).code == 200
    done = server.admin("users", "passwd", "carl", "--password-file", "-", given="2nd password\n")
    assert "password\n" not in done.output
    assert server.ask(Authorization=basic("carl", "first password")).code == 401
    assert server.ask(Authorization=basic("carl", "2nd password")).code == 200
    with pytest.raises(InvalidStatus):
        server.echo("x", Cookie=cookie)
    cookie = server.cookie_of("carl")
    assert server.echo("x", Cookie=cookie) == "x"
    assert server.admin("users", "list").output == "ann\ncarl\n"
    server.admin("users", "remove", "carl")
    assert server.ask(Authorization=basic("carl", "2nd password")).code == 401
    assert server.ask(Cookie=cookie).code == 401
    assert server.ask(Cookie=anns).code == 200
    assert server.admin("users", "list").output == "ann\n"
    server.admin("users", "remove", "ann", code=65)


def test_one_session_for_all_comes_over(server: Server) -> None:
    """As the first release kept it."""
    path = server.machine.layout.site
    values = json.loads(path.read_text())
    values["session"] = values["users"][0].pop("session")
    path.write_text(json.dumps(values))
    server.admin("site", "--renew")
    assert server.ask(Cookie=f"bookbrain={values['session']}").code == 401
    given = server.ask(Authorization=basic("ann", PASSWORD)).headers["Set-Cookie"]
    assert given.split(";")[0] == server.cookie
    assert server.echo("x", Cookie=server.cookie) == "x"
    before = server.files()
    assert "Nothing had to be changed." in server.admin("site", "--renew").output
    assert server.files() == before


@pytest.mark.parametrize("name", ["b", "bo", "bob", "a.b_c@d-e", "@x", "-x"])
def test_every_name_works(server: Server, name: str) -> None:
    server.admin("users", "add", "--password-file", "-", "--", name, given=f"{PASSWORD} {name}\n")
    try:
        assert server.ask(Authorization=basic(name, f"{PASSWORD} {name}")).code == 200
        assert server.ask(Authorization=basic(name, PASSWORD)).code == 401
    finally:
        server.admin("users", "remove", "--", name)


def test_names_are_not_told_by_the_clock(server: Server) -> None:
    """Measured is what the clock would show: the time that Caddy works on a guess."""

    def cost(*credentials: str, times: int = 8) -> int:
        before = server.ticks()
        for number in range(times):
            connection = http.client.HTTPSConnection("localhost", server.https, context=_any())
            connection.putrequest("GET", "/")
            for text in credentials:
                name, word = text.format(time.monotonic_ns(), number).split(":")
                connection.putheader("Authorization", basic(name, word))
            connection.endheaders()
            assert connection.getresponse().status == 401
            connection.close()
        return server.ticks() - before

    with somebody(server, "a"), somebody(server, "bo"):
        known = [cost(f"{name}:wrong {{0}}") for name in ("ann", "a", "bo")]
        assert max(known) < 8 * 0.3 * os.sysconf("SC_CLK_TCK")
        for unknown in (
            cost("eve:wrong {0}"), cost("an:wrong {0}"), cost("annn:{0}"), cost(":{0}"),
            cost("!none:{0}"), cost("eve:wrong {0}", "ann:x {0}"),
        ):  # fmt: skip
            assert min(known) / 2 < unknown < max(known) * 2
        # What was tried before costs nobody anything.
        word = time.monotonic_ns()
        for name in ("ann", "eve"):
            cost(f"{name}:{word}", times=1)
            assert cost(f"{name}:{word}") < min(known) / 2


def test_nobody_has_a_password(server: Server) -> None:
    for word in ("", "!none", NOBODY.password, "\0", "." * 31):
        assert server.ask(Authorization=basic(NOBODY.name, word)).code == 401
    with pytest.raises(InputError):
        check_new_name(server.site, NOBODY.name)


_LONG = 60_000  # the journal cuts lines at 48 kB


@pytest.mark.parametrize("path", ["/", f"/{'x' * _LONG}", "/%22%7b" * 99, '/"<&'], ids=range(4))
@pytest.mark.parametrize("headers", [
    {},
    {"User-Agent": "x" * _LONG},
    {f"X-{'y' * _LONG}": "z"},
    {"Host": f"localhost:{'0' * _LONG}"},
    {"User-Agent": '"status":200,"remote_ip":"192.0.2.1"'},
], ids=range(5))  # fmt: skip
def test_every_try_is_one_short_line_of_the_log(
    server: Server, path: str, headers: dict[str, str]
) -> None:
    answers = []
    with server.logged() as lines:
        for name in ("ann", "eve"):
            wrong = basic(name, f"{time.monotonic_ns()}")
            answers.append(server.ask(path, "DELETE", Authorization=wrong, **headers).code)
    assert set(answers) <= {401, 431}  # the newest takes no such headers
    assert len([line for line in lines if is_try(line)]) == answers.count(401)
    assert max(map(len, lines)) < 4000


def test_nothing_else_is_taken_for_a_try(server: Server, ann: dict[str, str]) -> None:
    with server.logged() as lines:
        for headers in (ann, {"Cookie": server.cookie}, {"Cookie": "bookbrain=x"}, {}):
            for path in ("/", "/healthz", '/"status":401,"X-Refused":["wrong"]'):
                for method in ("GET", "POST", "M" * 50_000):
                    server.ask(path, method, **headers)
        server.ask_http("other.localhost")
    assert not [line for line in lines if is_try(line)]
    # Who does not know the password writes nothing into the journal but his tries.
    assert {json.loads(line)["status"] for line in lines} == {200}


def hang_up(server: Server, path: str, credentials: str) -> None:
    """Ask for something and do not wait for the answer."""
    with (
        socket.create_connection(("localhost", server.https), 20) as plain,
        _any().wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        head = f"Host: localhost\r\nAuthorization: {credentials}"
        secure.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
        with suppress(TimeoutError):
            secure.settimeout(2 if "slow" in path else 0.001)
            secure.recv(1)


def test_who_does_not_wait_for_the_answer_has_tried_too(
    server: Server, ann: dict[str, str]
) -> None:
    before = len(server.log.read_text())
    server.ask(**ann)  # now this password is known
    hang_up(server, "/slow", ann["Authorization"])
    for number in range(20):
        hang_up(server, f"/{number}", basic("ann", f"{time.monotonic_ns()}"))

    def asked() -> list[str]:
        lines = server.log.read_text()[before:].splitlines()
        return [line for line in lines if '"handled request"' in line]

    wait_for(lambda: len(asked()) == 22, "the log", 20)
    tried = [json.loads(line)["request"]["uri"] for line in asked() if is_try(line)]
    assert sorted(tried, key=len) == sorted((f"/{number}" for number in range(20)), key=len)
    (slow,) = (json.loads(line) for line in asked() if '"/slow"' in line)
    assert slow["status"] in (0, 499)


# Tokens


def test_a_token_opens_its_path_alone(server: Server) -> None:
    answer = server.ask(
        "/mcp?q=1", "POST", Authorization="Bearer right", Cookie=server.cookie + "x"
    )
    assert answer.code == 200
    seen = json.loads(answer.text)
    headers = dict(seen["headers"])
    assert (seen["path"], headers["authorization"]) == ("/mcp/token", "Bearer right")
    assert headers["cookie"] == "bookbrain=-"
    assert "X-Tried" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    for path in ("/", "/api/search?q=x", "/mcp/token", "/mcp/x"):
        assert server.ask(path, "POST", Authorization="Bearer right").code == 401
    wrong = server.ask("/mcp", "POST", Authorization="Bearer wrong")
    assert (wrong.code, wrong.text) == (401, "")
    assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="BookBrain"'
    assert "X-Tried" not in wrong.headers


@pytest.mark.parametrize("token", ["wrong", "", "right2", "x" * 9000, "right, Bearer right"])
@pytest.mark.parametrize("headers", [
    {},
    {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"},
    {"User-Agent": "x" * _LONG},
    {f"X-{'y' * 9000}": "z"},
    {"Connection": "authorization"},
    {"Connection": "Upgrade", "Upgrade": "websocket"},
], ids=range(6))  # fmt: skip
def test_a_token_that_is_none_is_a_try(server: Server, token: str, headers: dict[str, str]) -> None:
    answers = []
    with server.logged() as lines:
        for method in ("POST", "GET", "HEAD"):
            for scheme in ("Bearer", "bEARER"):
                answer = server.ask("/mcp", method, Authorization=f"{scheme} {token}", **headers)
                answers.append(answer.code)
    assert set(answers) <= {401, 431}  # the newest takes no such headers
    assert len([line for line in lines if is_try(line)]) == answers.count(401)
    assert max(map(len, lines)) < 4000
    assert not any("wrong" in json.loads(line)["request"]["uri"] for line in lines)


def test_who_does_not_wait_has_tried_a_token_too(server: Server) -> None:
    before = len(server.log.read_text())
    for _ in range(10):
        hang_up(server, "/mcp", "Bearer wrong")
    slow = "Bearer right\r\nX-Slow: yes"
    hang_up(server, "/mcp?slow", slow)

    def asked() -> list[str]:
        lines = server.log.read_text()[before:].splitlines()
        return [line for line in lines if '"handled request"' in line]

    wait_for(lambda: len(asked()) == 11, "the log", 20)
    assert len([line for line in asked() if is_try(line)]) == 10


# How many at once


def comparing(server: Server) -> int:
    """Passwords that are compared now: open connections to the socket where that is done."""
    path = str(server.machine.layout.sign_in_socket)
    fields = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
    return sum(line[-1] == path and line[5] == "03" for line in fields)  # 03: connected


def test_one_password_is_compared_at_a_time(server: Server) -> None:
    """And who is signed in gets answers while the others wait for theirs."""
    most, answers, guesses = 0, 0, 40

    def guess(number: int) -> int:
        return server.ask(Authorization=basic("ann", f"{time.monotonic_ns()} {number}")).code

    with ThreadPoolExecutor(guesses) as pool:
        codes = [pool.submit(guess, number) for number in range(guesses)]
        while not all(code.done() for code in codes):
            most = max(most, comparing(server))
            assert server.ask(Cookie=server.cookie).code == 200
            answers += not all(code.done() for code in codes)
    assert [code.result() for code in codes] == [401] * guesses
    assert most == 1
    assert answers > guesses


def test_a_change_while_many_wait(server: Server) -> None:
    with ThreadPoolExecutor(20) as pool:
        wrong = [basic("ann", f"{time.monotonic_ns()} {number}") for number in range(20)]
        codes = [pool.submit(server.ask, Authorization=text) for text in wrong]
        while not comparing(server):
            assert not all(code.done() for code in codes)
        with somebody(server, "bob") as his:
            assert server.ask(**his).code == 200
    assert [code.result().code for code in codes] == [401] * 20


def test_nobody_else_has_passwords_compared(server: Server) -> None:
    path = server.machine.layout.sign_in_socket
    assert path.stat().st_mode & 0o022 == 0  # who may not write cannot connect


def test_an_open_page_does_not_keep_others_from_signing_in(
    server: Server, ann: dict[str, str]
) -> None:
    with server.stream(**ann) as first, server.stream(**ann) as second:
        for stream in (first, second):
            stream.send("there")
            assert stream.recv(timeout=20) == "there"
        assert server.ask(**ann).code == 200
        assert server.ask(Authorization=basic("ann", "wrong password")).code == 401


# Changes


def test_what_changes_nothing_is_not_done(server: Server) -> None:
    before = server.machine.layout.site_piece.stat().st_mtime_ns
    done = server.admin("site", "--domain", "localhost", "--no-acme")
    assert "Nothing had to be changed." in done.output
    assert "https://localhost/" in done.output
    assert server.machine.layout.site_piece.stat().st_mtime_ns == before


@pytest.mark.parametrize(("found", "instead", "code", "told"), [
    (r"\Z", "books.example.org {\n}\n", 1, "ambiguous site"),  # Caddy does not understand it
    ("admin .*", "admin off", 78, "systemctl restart caddy"),  # nothing can be changed
    ("import .*", "", 78, "import {etc}/Caddyfile"),  # ours is not imported
])  # fmt: skip
def test_a_caddyfile_with_which_nothing_changes(
    server: Server, ann: dict[str, str], found: str, instead: str, code: int, told: str
) -> None:
    path = server.machine.layout.caddyfile
    whole = path.read_text()
    path.write_text(re.sub(found, instead, whole))
    before = server.files()
    try:
        done = server.admin("site", "--domain", "books.example.org", code=code)
        assert told.format(etc=server.machine.layout.etc) in done.stderr
        assert server.files() == before
    finally:
        path.write_text(whole)
    assert server.ask(**ann).code == 200


def test_what_caddy_does_not_load_leaves_all_as_before(
    server: Server, ann: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "root.pem"
    root.write_text("no certificate")
    before = server.files()
    address = ("--domain", "books.example.org", "--email", "a@example.org", "--acme")
    done = server.admin("site", *address, "--acme-root", str(root), code=1)
    assert "root.pem" in done.stderr
    assert server.files() == before
    assert server.ask(**ann).code == 200


def test_a_caddy_that_is_not_there(server: Server) -> None:
    before = server.files()
    socket = server.machine.layout.caddy_socket
    socket.rename(f"{socket}.away")
    try:
        done = server.admin("site", "--domain", "x.localhost.test", code=69)
        assert "systemctl restart caddy" in done.stderr
        assert server.files() == before
    finally:
        Path(f"{socket}.away").rename(socket)


# Who may have Caddy do what

_OTHER = ':8080 {\n\trespond "the other site"\n}\n'


@pytest.mark.parametrize("text", [
    _OTHER,
    f"# Mine.\n\n  # {{\n{_OTHER}",
    f"\n{{\n\temail owner@example.org\n}}\n{_OTHER}",
    f"# Mine.\n{{ # options\n\temail owner@example.org\n\tdebug\n}}\n{_OTHER}",
    f"{{\r\n\temail owner@example.org\r\n}}\r\n{_OTHER}",
    f"{{\n}}\n{_OTHER}",
    f"(mine) {{\n\tencode gzip\n}}\n{_OTHER}",
], ids=range(7))  # fmt: skip
def test_the_admin_api_moves_to_a_socket(server: Server, tmp_path: Path, text: str) -> None:
    caddy, socket, file = server.machine.caddy, tmp_path / "admin.sock", tmp_path / "Caddyfile"

    def adapted() -> dict[str, Any]:
        return json.loads(caddy.adapted(file)) or {}

    file.write_bytes(text.encode())
    before = adapted()
    assert not is_chosen(json.dumps(before))
    file.write_bytes(with_socket(text, socket).encode())
    after = adapted()
    assert after["admin"].pop("listen") == f"unix/{socket}"
    assert (after.pop("admin") or None, after) == (before.pop("admin", None), before)


@pytest.mark.parametrize("own", ["localhost:2020", "off", "unix//run/x", "localhost:2019"])
def test_an_admin_option_of_the_owner_stays(server: Server, tmp_path: Path, own: str) -> None:
    options = tmp_path / "options"
    for text in (f"{{\n\tadmin {own}\n}}\n", f"import {options}\n"):
        options.write_text(f"{{\n\tadmin {own}\n}}\n")
        (tmp_path / "Caddyfile").write_text(text)
        assert is_chosen(server.machine.caddy.adapted(tmp_path / "Caddyfile"))


@pytest.mark.skipif(
    os.geteuid() != 0, reason="run it as root: a port is trusted as root's or Caddy's"
)
def test_an_admin_api_at_a_port(caddy: str, tmp_path: Path) -> None:
    port, app = free_ports(2)
    with caddy_site(tmp_path, caddy, app, admin=f"127.0.0.1:{port}") as site:
        site.admin("users", "add", "bob", "--password-file", "-", given=f"{PASSWORD}\n")
        assert site.admin("users", "list").output == "ann\nbob\n"
        assert "Nothing had to be changed." in site.admin("site", "--renew").output


@pytest.mark.skipif(os.geteuid() != 0, reason="run it as root: only root becomes another user")
def test_secrets_go_to_nobody_elses_port(server: Server, tmp_path: Path) -> None:
    """Where Caddy does not run, anybody can listen at its port."""
    (port,) = free_ports()
    listening = (
        "import os, socket; os.setgid(65534); os.setuid(65534); "
        f"s = socket.create_server(('127.0.0.1', {port})); s.listen()\n"
        "while True: print(s.accept()[0].recv(9999), flush=True)"
    )
    with running([sys.executable, "-c", listening], tmp_path / "log", port):
        assert send(f"127.0.0.1:{port}", {"secret": "session"}) is None
        time.sleep(0.2)
    assert "session" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("own", [False, True])
def test_caddy_knows_the_certificate_authority(server: Server, own: bool, tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.touch()
    other = Address(acme_directory="https://ca/dir", acme_root=str(root)) if own else Address()
    site = with_address(None, Address("books.example.org", "owner@example.org"))
    caddy, layout = server.machine.caddy, Layout(tmp_path)
    layout.site_piece.parent.mkdir(parents=True)
    shutil.copy(ROOT / "Caddyfile", layout.etc)
    piece = site_piece(with_address(site, other), caddy.version(), layout.sign_in_socket)
    layout.site_piece.write_text(piece)
    config = json.loads(caddy.adapted(layout.etc / "Caddyfile"))
    (policy,) = config["apps"]["tls"]["automation"]["policies"]
    assert policy["subjects"] == ["books.example.org"]
    assert {issuer["email"] for issuer in policy["issuers"]} == {"owner@example.org"}
    if own:
        (issuer,) = policy["issuers"]
        assert (issuer["ca"], issuer["trusted_roots_pem_files"]) == ("https://ca/dir", [str(root)])


def test_our_caddyfile_is_fine_before_there_is_a_site(server: Server, tmp_path: Path) -> None:
    shutil.copy(ROOT / "Caddyfile", tmp_path)
    assert json.loads(server.machine.caddy.adapted(tmp_path / "Caddyfile")) is not None


# Beside it


def test_the_other_sites_answer_as_before(server: Server) -> None:
    assert server.ask_http("other.localhost").text == "the other site"
    assert server.ask_http("127.0.0.1").text == "the default site"
    answer = server.ask_http("localhost", "/a?b=c")
    assert (answer.code, answer.headers["Location"]) == (308, "https://localhost/a?b=c")


@pytest.mark.parametrize("size", [320_000_000, 999_999_999, 10**9, 10**12])
def test_too_large_an_upload(server: Server, ann: dict[str, str], size: int) -> None:
    assert size > LARGEST + 2**20  # what the app takes gets through
    head = {"Host": "localhost", "Content-Length": str(size), **ann}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    with (
        socket.create_connection(("localhost", server.https), 20) as plain,
        _any().wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(f"POST /up HTTP/1.1\r\n{lines}\r\n".encode())
        with suppress(OSError):
            secure.sendall(bytes(2**19))  # Caddy, as Go, swallows some of what it refuses
        assert secure.recv(100).startswith(b"HTTP/1.1 413 ")


def test_an_upload(server: Server, ann: dict[str, str]) -> None:
    connection = http.client.HTTPSConnection("localhost", server.https, timeout=20, context=_any())
    connection.request("POST", "/up", bytes(5_000_000), ann)
    assert json.loads(connection.getresponse().read())["size"] == 5_000_000
    connection.close()


def test_an_app_that_is_down(server: Server, ann: dict[str, str], tmp_path: Path) -> None:
    (port,) = free_ports()
    other = replace(server.site, upstream=f"127.0.0.1:{port}")
    before = server.site
    write_site(server.machine.layout, other)
    server.admin("site", "--no-acme")
    try:
        answer = server.ask(f"/?q={QUERY}", **ann)
        assert (answer.code, answer.headers["Retry-After"]) == (503, "10")
        assert "does not answer yet" in answer.text
        assert "아직 응답하지 않습니다" in answer.text
        assert answer.headers["Strict-Transport-Security"]
        assert server.ask().code == 401
        assert server.ask("/healthz").code == 503
        with _app(tmp_path, port):
            assert server.ask(**ann).code == 200
    finally:
        write_site(server.machine.layout, before)
        server.admin("site", "--no-acme")


def test_the_log_holds_no_secret_and_no_query(server: Server, ann: dict[str, str]) -> None:
    referer = {"Referer": f"https://localhost/?q={QUERY}"}
    server.ask(f"/api/search?q={QUERY}", **ann, **referer)
    server.ask(f"/redirect?{QUERY}", Cookie=server.cookie, **referer)
    server.ask(f"/?q={QUERY}", Authorization=basic("ann", "wrong password"), **referer)
    server.ask("/last", Cookie=server.cookie)
    wait_for(lambda: '"/last"' in server.log.read_text(), "the log", 20)
    text = server.log.read_text()
    assert '"uri":"/api/search"' in text
    for secret in (
        QUERY,
        server.cookie.removeprefix("bookbrain="),
        ann["Authorization"][6:],
        "password",
        PASSWORD,
    ):
        assert secret not in text
    entries = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    users = {e.get("user_id") for e in entries if e.get("status") == 200}
    assert "ann" in users
