"""Arrays in one file: written piece by piece, read through a memory map. No pickle.

The arrays come first, then a JSON object that says where each of them is, then its length.
"""

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

_ALIGNED = 64  # bytes: where an array may begin
_TAIL = 8  # bytes that say how long the object before them is


class ArrayFile:
    """Writes one-dimensional arrays into a new file.

    Raises OSError when the disk is full, as a mapped file would not: it would kill the process.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._places: dict[str, _Place] = {}
        self._end = 0

    def make_room(self, name: str, dtype: DTypeLike, most: int) -> None:
        """Begin an array of at most so many values; what stays free costs no disk space."""
        place = _Place(self._end, np.dtype(dtype))
        self._places[name] = place
        self._end += -(-most * place.dtype.itemsize // _ALIGNED) * _ALIGNED

    def append(self, name: str, values: NDArray[Any]) -> None:
        """Write the values behind those that are there."""
        place = self._places[name]
        self._file.seek(place.start + place.length * place.dtype.itemsize)
        self._file.write(np.ascontiguousarray(values, place.dtype).data)
        place.length += len(values)

    def write(self, name: str, values: NDArray[Any]) -> None:
        """Write a whole array."""
        self.make_room(name, values.dtype, len(values))
        self.append(name, values)

    def finish(self, said: Mapping[str, Any]) -> None:
        """Write what is said of the arrays."""
        places = {name: (p.start, p.dtype.str, p.length) for name, p in self._places.items()}
        footer = json.dumps({"arrays": places, **said}).encode()
        self._file.seek(self._end)
        self._file.write(footer + len(footer).to_bytes(_TAIL, "little"))


@dataclass(slots=True)
class _Place:
    """Where in a file an array is; `start` in bytes, `length` in values."""

    start: int
    dtype: np.dtype[Any]
    length: int = 0


@dataclass(frozen=True, slots=True)
class MappedArrays:
    """The arrays of a file, and what is said of them."""

    said: Mapping[str, Any]
    _mapped: mmap.mmap

    def array(self, name: str, dtype: DTypeLike) -> NDArray[Any]:
        """One of them; KeyError or ValueError when it is not there or of another type."""
        start, kind, length = self.said["arrays"][name]
        if np.dtype(kind) != np.dtype(dtype):
            raise ValueError(f"{name} is not what it should be")
        return np.frombuffer(self._mapped, dtype, length, start)


def map_arrays(path: Path) -> MappedArrays:
    """Open a file of arrays; OSError or ValueError when it is gone or cut off."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    end = len(mapped) - _TAIL
    start = end - int.from_bytes(mapped[max(end, 0) :], "little")
    if start < 0:
        raise ValueError(f"{path.name} is cut off")
    return MappedArrays(json.loads(mapped[start:end]), mapped)
