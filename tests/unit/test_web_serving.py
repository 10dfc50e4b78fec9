"""What the app does before it answers."""

from pathlib import Path

import pytest

from bookbrain.library import Library, sample_book
from bookbrain.settings import Settings
from bookbrain.web.server import STILL_COUNTING, warm_up


@pytest.mark.slow
def test_systemd_hears_of_each_book_that_is_counted_anew(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    with sample_book() as book, Library(settings) as library:
        library.add([book])
    said: list[str] = []
    warm_up(settings, said.append)
    assert said == [], "nothing was to be counted"
    for segment in (tmp_path / "keywords").iterdir():
        if segment.suffix != ".json":
            segment.unlink()
    warm_up(settings, said.append)
    assert said == [STILL_COUNTING]
    warm_up(settings, said.append)
    assert len(said) == 1
