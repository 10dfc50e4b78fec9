"""Arrays in a file come back as they were written, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from bookbrain.index.segment import ArrayFile, map_arrays


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two arrays that grow side by side, one in one piece, and one without values."""
    path = tmp_path / "arrays"
    with path.open("wb") as file:
        arrays = ArrayFile(file)
        arrays.write("whole", np.arange(7, dtype=np.uint64))
        arrays.make_room("wide", np.int32, 100)
        arrays.make_room("narrow", np.uint16, 100)
        for start in (0, 10, 20):
            arrays.append("wide", np.arange(start, start + 10))
            arrays.append("narrow", np.arange(start, start + 10))
        arrays.write("empty", np.empty(0, np.uint8))
        arrays.finish({"books": ["한글"]})
    return path


def test_they_come_back(path: Path) -> None:
    file = map_arrays(path)
    assert file.said["books"] == ["한글"]
    assert file.array("whole", np.uint64).tolist() == [*range(7)]
    assert file.array("wide", np.int32).tolist() == [*range(30)]
    assert file.array("narrow", np.uint16).tolist() == [*range(30)]
    assert file.array("empty", np.uint8).tolist() == []


def test_nobody_changes_them(path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        map_arrays(path).array("whole", np.uint64)[0] = 1


def test_what_is_not_there_or_of_another_type(path: Path) -> None:
    with pytest.raises(ValueError, match="whole is not what it should be"):
        map_arrays(path).array("whole", np.int32)
    with pytest.raises(KeyError):
        map_arrays(path).array("other", np.int32)


def test_no_beginning_of_the_file_is_taken_for_it(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises((ValueError, KeyError, TypeError)):
            map_arrays(path).array("wide", np.int32)


def test_the_file_outlives_its_name(path: Path) -> None:
    array = map_arrays(path).array("whole", np.uint64)
    path.unlink()
    assert array.sum() == 21
