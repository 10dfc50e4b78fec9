"""What is under way, as the row above every page says it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from support import pdfs

from bookbrain.library import Library
from bookbrain.settings import Settings
from bookbrain.store.catalog import Catalog
from bookbrain.web.activity import activity_routes
from bookbrain.web.shelf import Shelf

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "library")
    with Library(settings) as library:
        library.add([pdfs.book(tmp_path / "a.pdf", ["The walrus waits."])])
    return settings


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    shelf = Shelf(settings)
    with TestClient(Starlette(routes=activity_routes(shelf))) as made:
        yield made
    shelf.close()


def test_nothing_is_said_while_nothing_is_under_way(client: TestClient) -> None:
    assert told(client) == {"said": "", "part": 0.0}


def told(client: TestClient) -> dict[str, object]:
    """Without the name of this run of the app, which is the same each time."""
    answers = [client.get("/api/activity").json() for _ in range(2)]
    assert len({answer.pop("app") for answer in answers}) == 1
    return dict(answers[0])


def test_books_that_are_added_are_counted_and_the_first_ones_part_is_told(
    client: TestClient, settings: Settings, tmp_path: Path
) -> None:
    with closing(Catalog(settings.home / "catalog.sqlite3")) as catalog:
        catalog.queue([tmp_path / "b.pdf", tmp_path / "c.pdf"])
        catalog.note_progress(catalog.jobs()[0].id, "reading", 30, 40)
    assert told(client) == {"said": "Books on their way: 2", "part": 0.75}
    korean = client.get("/api/activity", headers={"Accept-Language": "ko-KR"}).json()
    assert korean["said"] == "넣는 중인 책: 2권"


def test_it_looks_once_for_all_who_ask_at_a_time(
    client: TestClient, settings: Settings, tmp_path: Path
) -> None:
    before = client.get("/api/activity").json()
    with closing(Catalog(settings.home / "catalog.sqlite3")) as catalog:
        catalog.queue([tmp_path / "b.pdf"])
    assert client.get("/api/activity").json() == before
