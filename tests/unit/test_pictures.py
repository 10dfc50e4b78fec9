"""The routes of pages' pictures and of the PDFs themselves."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from starlette.applications import Starlette
from starlette.testclient import TestClient
from support import pdfs

from bookbrain.formats.page_image import Picture
from bookbrain.library import Library
from bookbrain.settings import Settings
from bookbrain.web.api import Album, make_picture_routes
from bookbrain.web.shelf import Shelf

pytestmark = pytest.mark.slow

PAGES = ("The walrus holds the lock.", "비동기 처리\n트랜잭션 로그는 비동기 처리로 기록한다.")
NAME = "로그와 'lock' 50%; x=\"1\".pdf"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("web")
    settings = Settings(home=folder / "library")
    with Library(settings) as library:
        library.add([pdfs.book(folder / NAME, PAGES, title="Locks")])
        library.add([pdfs.hang(folder / "hang.pdf", 10)])
    return settings


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    shelf = Shelf(settings)
    with TestClient(Starlette(routes=make_picture_routes(shelf))) as client:
        yield client
    shelf.close()


@pytest.fixture(scope="module")
def book(settings: Settings) -> str:
    with Library(settings) as library:
        return library.find_book(NAME).id


def image(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


# Pictures


def test_a_page_is_a_picture_with_its_marks(client: TestClient, book: str) -> None:
    plain = client.get(f"/page/{book}/2.png")
    marked = client.get(f"/page/{book}/2.png", params={"q": "비동기"})
    for answer in (plain, marked):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["cache-control"].startswith("private")
        assert image(answer.content).width == 1000
    assert ImageChops.difference(image(plain.content), image(marked.content)).getbbox()
    assert plain.headers["etag"] != marked.headers["etag"]


@pytest.mark.parametrize("query", ["zebra", "-walrus", "  ", '"', "<script>", "=&?#%"])
def test_a_query_that_marks_nothing_shows_the_page(
    client: TestClient, book: str, query: str
) -> None:
    answer = client.get(f"/page/{book}/1.png", params={"q": query})
    assert answer.content == client.get(f"/page/{book}/1.png").content


def test_what_a_browser_has_is_not_sent_again(client: TestClient, book: str) -> None:
    address = f"/page/{book}/1.png?q=walrus"
    tag = client.get(address).headers["etag"]
    again = client.get(address, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = client.get(f"/page/{book}/1.png?q=lock", headers={"If-None-Match": tag})
    assert other.status_code == 200
    assert client.get(address, headers={"If-None-Match": f'W/"x", {tag}'}).status_code == 304


@pytest.mark.parametrize("width", [64, 333, 2400])
def test_the_width_is_chosen(client: TestClient, book: str, width: int) -> None:
    assert image(client.get(f"/page/{book}/1.png?width={width}").content).width == width


@pytest.mark.parametrize("width", ["63", "2401", "-1", "1e3", "", "٣٠٠", "9" * 5000, "100.5"])
def test_other_widths_are_400(client: TestClient, book: str, width: str) -> None:
    answer = client.get(f"/page/{book}/1.png", params={"width": width})
    assert answer.status_code == 400
    assert answer.json()["hint"]


@pytest.mark.parametrize(
    "path",
    [
        "/page/{book}/0.png", "/page/{book}/3.png", "/page/{book}/-1.png", "/page/{book}/x.png",
        "/page/{book}/999999999999999999999.png", "/page/{book}/1.jpg", "/page/{book}",
        "/page/{other}/1.png", "/page/x/1.png", "/page/{BOOK}/1.png", "/page/..%2f..%2fx/1.png",
        "/book/{other}.pdf", "/book/x.pdf", "/book/{book}", "/book/{book}.epub", "/book/",
        "/book/..%2f..%2fcatalog.sqlite3", "/book/../catalog.sqlite3.pdf", "/book/{book}%00.pdf",
    ],
)  # fmt: skip
def test_what_is_not_there_is_404(client: TestClient, book: str, path: str) -> None:
    address = path.format(book=book, BOOK=book.upper(), other="0" * 64)
    if address.startswith("/book/.."):
        address = address.replace("..", "%2e%2e")
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.json().keys() == {"error", "hint"}


def test_a_picture_that_cannot_be_is_an_error_as_json(settings: Settings, tmp_path: Path) -> None:
    impatient = Shelf(replace(settings, read_timeout=0.001))
    with TestClient(Starlette(routes=make_picture_routes(impatient))) as client:
        with impatient.library() as library:
            book = library.find_book("hang.pdf").id
        answer = client.get(f"/page/{book}/1.png")
    impatient.close()
    assert answer.status_code == 500
    assert "to paint" in answer.json()["error"]
    assert answer.headers["cache-control"] == "no-store"


def test_an_album_keeps_what_was_used_last(tmp_path: Path) -> None:
    path = pdfs.book(tmp_path / "b.pdf", ["x"])
    first, second, third = (
        Picture(str(path), 1, width, "", (), 30, 1024) for width in (100, 101, 102)
    )
    album = Album(most=3 * len(first.paint()) - 1)
    pages = [album.get(picture) for picture in (first, second, first, third)]
    path.unlink()  # what is not kept cannot be painted again
    assert album.get(first) == pages[0]
    assert album.get(third) == pages[3]
    with pytest.raises(Exception, match="cannot be painted"):
        album.get(second)


# Files


def test_the_file_is_shown_under_its_name(
    client: TestClient, book: str, settings: Settings
) -> None:
    answer = client.get(f"/book/{book}.pdf")
    assert answer.status_code == 200
    assert answer.content == (settings.home / "books" / f"{book}.pdf").read_bytes()
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == (
        "inline; filename*=utf-8''"
        "%EB%A1%9C%EA%B7%B8%EC%99%80%20%27lock%27%2050%25%3B%20x%3D%221%22.pdf"
    )


def test_ranges(client: TestClient, book: str) -> None:
    address = f"/book/{book}.pdf"
    whole = client.get(address).content
    for asked, part in (
        ("bytes=0-99", whole[:100]),
        ("bytes=100-", whole[100:]),
        ("bytes=-50", whole[-50:]),
    ):
        answer = client.get(address, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, part)
        start = whole.index(part) if len(part) < len(whole) else 0
        assert answer.headers["content-range"] == (
            f"bytes {start}-{start + len(part) - 1}/{len(whole)}"
        )
    beyond = client.get(address, headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(whole)}"


def test_a_range_of_another_file_is_the_whole(client: TestClient, book: str) -> None:
    address, some = f"/book/{book}.pdf", {"Range": "bytes=0-9"}
    tag = client.get(address).headers["etag"]
    assert client.get(address, headers=some | {"If-Range": tag}).status_code == 206
    assert client.get(address, headers=some | {"If-Range": '"other"'}).status_code == 200


def test_head_and_304(client: TestClient, book: str) -> None:
    address = f"/book/{book}.pdf"
    whole = client.get(address)
    head = client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    again = client.get(address, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(f"/page/{book}/1.png").content == b""


def test_a_lost_file_is_said(settings: Settings, client: TestClient, book: str) -> None:
    path = settings.home / "books" / f"{book}.pdf"
    path.rename(aside := path.with_suffix(".aside"))
    answer = client.get(f"/book/{book}.pdf")
    aside.rename(path)
    assert answer.status_code == 500
    assert "cannot be read" in answer.json()["error"]


def test_only_reading(client: TestClient, book: str) -> None:
    for path in (f"/page/{book}/1.png", f"/book/{book}.pdf"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert client.request(method, path).status_code == 405
