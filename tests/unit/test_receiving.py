"""Uploads in front of Streamlit's own route: on the disk, within limits, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Scope
from support.coroutines import run_coroutine

from bookbrain.web.uploads import ToDisk, UploadLimits, Uploads

PUT = "/_stcore/upload_file/session/file"


class Streamlit:
    """Its route, as far as it matters here: it asks for a token and keeps what it gets."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.app = Starlette(
            routes=[Route("/_stcore/upload_file/{session}/{file}", self.answer,
                          methods=["PUT", "DELETE"])]
        )  # fmt: skip

    async def answer(self, request: Request) -> Response:
        if request.headers.get("x-xsrftoken") != "good":
            return Response("XSRF token missing or invalid", 403)
        if request.method == "PUT":
            async with request.form() as form:
                (file,) = form.values()
                assert not isinstance(file, str)
                self.kept[request.path_params["file"]] = await file.read()
        return Response(status_code=204, headers={"Vary": "Origin"})


@pytest.fixture
def streamlit() -> Streamlit:
    return Streamlit()


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path, most=10_000_000)


@pytest.fixture
def client(streamlit: Streamlit, uploads: Uploads) -> Iterator[TestClient]:
    with TestClient(ToDisk(streamlit.app, uploads), headers={"x-xsrftoken": "good"}) as made:
        yield made


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in (folder / ".uploads").glob("*")]


def test_the_file_is_on_the_disk_and_streamlit_has_a_token(
    client: TestClient, streamlit: Streamlit, uploads: Uploads, tmp_path: Path
) -> None:
    data = b"%PDF-\r\n--no-boundary\r\n" + bytes(range(256)) * 20_000
    sent = client.put(PUT, files={"책 1.pdf": ("책 1.pdf", data, "application/pdf")})
    assert (sent.status_code, sent.headers["vary"]) == (204, "Origin")
    assert len(streamlit.kept["file"]) == 32
    upload = uploads.find(streamlit.kept["file"])
    assert upload
    assert (upload.name, upload.session, upload.size) == ("책 1.pdf", "session", len(data))
    assert files(tmp_path) == [data]
    assert (tmp_path / ".uploads").stat().st_mode & 0o777 == 0o700


def test_whom_streamlit_refuses_nothing_is_taken_from(
    client: TestClient, streamlit: Streamlit, tmp_path: Path
) -> None:
    sent = client.put(PUT, files={"a": ("a.pdf", b"x")}, headers={"x-xsrftoken": "bad"})
    assert (sent.status_code, sent.text) == (403, "XSRF token missing or invalid")
    assert files(tmp_path) == []
    client.put(PUT, files={"a": ("a.pdf", b"x")})
    assert client.delete(PUT, headers={"x-xsrftoken": "bad"}).status_code == 403
    assert files(tmp_path) == [b"x"]
    assert client.delete(PUT).status_code == 204
    assert files(tmp_path) == []


def test_the_same_again_takes_the_place_of_the_first(client: TestClient, tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        client.put(PUT, files={"a": ("a.pdf", data)})
    assert files(tmp_path) == [b"two"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"not a form", "multipart/form-data; boundary=x"),
        (b"a=b", "application/x-www-form-urlencoded"),
        (b"", "multipart/form-data"),
        (b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--\r\n",
         "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name=a; filename="a.pdf"\r\n\r\ncut',
         "multipart/form-data; boundary=x"),
    ],
)  # fmt: skip
def test_what_is_no_file_leaves_nothing(
    client: TestClient, tmp_path: Path, body: bytes, kind: str
) -> None:
    assert client.put(PUT, content=body, headers={"content-type": kind}).status_code == 400
    assert files(tmp_path) == []


def test_two_files_in_one_form_are_none(client: TestClient, tmp_path: Path) -> None:
    two = [("a", ("a.pdf", b"x")), ("b", ("b.pdf", b"y"))]
    assert client.put(PUT, files=two).status_code == 400
    assert files(tmp_path) == []


def test_one_that_is_too_large(
    streamlit: Streamlit, client: TestClient, uploads: Uploads, tmp_path: Path
) -> None:
    assert client.put(PUT, headers={"content-length": str(400 << 20)}).status_code == 413
    small = TestClient(ToDisk(streamlit.app, uploads, UploadLimits(largest=3_000_000)))
    for size, code in ((3_000_001, 413), (3_000_000, 204)):
        sent = small.put(PUT, files={"a": ("a.pdf", bytes(size))}, headers={"x-xsrftoken": "good"})
        assert sent.status_code == code
        assert [len(file) for file in files(tmp_path)] == ([] if code == 413 else [size])


def test_what_finds_no_room_is_taken_to_its_end_and_says_why(
    client: TestClient, streamlit: Streamlit, uploads: Uploads, tmp_path: Path
) -> None:
    for number, size in enumerate((6_000_000, 6_000_000, 3_000_000)):
        sent = client.put(f"{PUT}{number}", files={"a": (f"{number}.pdf", bytes(size))})
        assert sent.status_code == 204
    refused = uploads.find(streamlit.kept["file1"])
    assert refused
    assert refused.name == "1.pdf"
    assert "no room for it: what is uploaded at one time may have 9 MB" in str(refused.refused)
    assert sorted(map(len, files(tmp_path))) == [0, 3_000_000, 6_000_000]


def test_tabs_that_are_closed_leave_nothing_and_a_lost_connection_does(
    streamlit: Streamlit, tmp_path: Path
) -> None:
    for away, kept in ((60.0, [b"x"]), (0.0, [])):
        uploads = Uploads(tmp_path, away=away)
        client = TestClient(ToDisk(streamlit.app, uploads), headers={"x-xsrftoken": "good"})
        client.put(PUT, files={"a": ("a.pdf", b"x")})
        uploads.forget_absent(lambda session: session == "session")
        assert files(tmp_path) == [b"x"]
        uploads.forget_absent(lambda session: False)
        assert files(tmp_path) == kept
        uploads.sweep()


def test_what_a_killed_app_had_is_swept(uploads: Uploads, tmp_path: Path) -> None:
    with uploads.open(uploads.begin("session", "file")) as file:
        file.write(b"half")
    Uploads(tmp_path).sweep()
    assert files(tmp_path) == []


async def _put(app: ToDisk, chunks: AsyncIterator[bytes]) -> list[Message]:
    """What the app says to an upload whose body comes like this."""
    said: list[Message] = []

    async def receive() -> Message:
        try:
            chunk = await anext(chunks)
            more = not chunk.endswith(b"--x--\r\n")
            return {"type": "http.request", "body": chunk, "more_body": more}
        except StopAsyncIteration:
            return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        said.append(message)

    headers = [(b"content-type", b"multipart/form-data; boundary=x"), (b"x-xsrftoken", b"good")]
    scope: Scope = {
        "type": "http", "method": "PUT", "path": PUT, "headers": headers, "query_string": b"",
        "root_path": "", "scheme": "http", "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    return said


HEAD = b'--x\r\nContent-Disposition: form-data; name=a; filename="a.pdf"\r\n\r\n'


@pytest.mark.slow
def test_one_that_drips_is_ended_and_holds_nobody_up(
    streamlit: Streamlit, uploads: Uploads, tmp_path: Path
) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield HEAD
        while True:
            await asyncio.sleep(0.01)
            yield b"x"

    async def at_once() -> AsyncIterator[bytes]:
        yield HEAD + b"whole\r\n--x--\r\n"

    async def both() -> tuple[list[Message], list[Message]]:
        app = ToDisk(streamlit.app, uploads, UploadLimits(within=0.5))
        slow = asyncio.create_task(_put(app, drip()))
        await asyncio.sleep(0.05)
        quick = await _put(app, at_once())
        assert not slow.done()
        return await slow, quick

    slow, quick = run_coroutine(both())
    assert slow[0]["status"] == 408
    assert quick[0]["status"] == 204
    assert files(tmp_path) == [b"whole"]


def test_a_browser_that_goes_leaves_nothing(
    streamlit: Streamlit, uploads: Uploads, tmp_path: Path
) -> None:
    async def begun() -> AsyncIterator[bytes]:
        yield HEAD + bytes(3_000_000)

    run_coroutine(_put(ToDisk(streamlit.app, uploads), begun()))
    assert files(tmp_path) == []
