"""A catalog that goes, or becomes another file, under a running app: nothing is lost, and no
restart is needed."""

import os
import shutil
from pathlib import Path

import pytest
from support.app import serving
from support.shelf import Shelf, wait_for

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("how", ["deleted", "emptied", "cut", "exchanged", "overwritten"])
def test_the_app_notices_and_goes_on_when_it_is_back(
    how: str, plain: Shelf, english: list[Path], tmp_path: Path
) -> None:
    with Shelf(tmp_path / "other" / "library") as other:
        other.home.mkdir(parents=True)
        other.add(english[2])
        foreign = other.home / "catalog.sqlite3"
    plain.add(*english[:2])
    catalog, files = plain.home / "catalog.sqlite3", sorted((plain.home / "books").glob("*.pdf"))
    with serving(plain) as app:
        assert app.search("lock")["hits"]
        if how == "deleted":
            catalog.unlink()
        elif how == "exchanged":
            shutil.copy(foreign, tmp_path / "new")
            (tmp_path / "new").replace(catalog)
        elif how == "overwritten":
            catalog.write_bytes(foreign.read_bytes())
        else:
            os.truncate(catalog, 0 if how == "emptied" else catalog.stat().st_size // 2)
        status, answer = app.get("/api/search", q="lock")
        assert status == 500
        assert "bookbrain recover" in answer
        wait_for(lambda: app.health() == "down", "the app to say that it is down")
        (plain.home / "inbox").mkdir(exist_ok=True)
        shutil.copy(english[2], plain.home / "inbox")
        for command in (["rename", "book1.pdf", "Other"], ["remove", "--yes", "book1.pdf"]):
            assert plain.run(*command, code=None).code != 0
        assert sorted((plain.home / "books").glob("*.pdf")) == files
        plain.run("recover")
        assert {hit["file"] for hit in app.search("lock")["hits"]} >= {"book1.pdf"}
        wait_for(lambda: app.health() == "ok", "the app to be well")
    assert set((plain.home / "books").glob("*.pdf")) >= set(files)
