"""Arrays in files: written piece by piece, read through a memory map. No pickle."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray


class ArrayFile:
    """A one-dimensional .npy file that grows by `append`; complete when its block ends.

    Raises OSError when the disk is full, as a mapped file would not: it would kill the process.
    """

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._length = 0
        self._file = path.open("xb")
        self._write_header()

    def append(self, values: NDArray[Any]) -> None:
        """Write the values behind those that are there."""
        self._file.write(np.ascontiguousarray(values, self._dtype).data)
        self._length += len(values)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        with self._file:
            if kind is None:
                self._file.seek(0)
                self._write_header()  # NumPy leaves room in it for any length

    def _write_header(self) -> None:
        said = {
            "descr": npy.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._length,),
        }
        npy.write_array_header_1_0(self._file, said)


def write_array(path: Path, values: NDArray[Any]) -> None:
    """Write a whole array."""
    with ArrayFile(path, values.dtype) as file:
        file.append(values)


def map_array(path: Path, dtype: DTypeLike) -> NDArray[Any]:
    """An array on disk; OSError or ValueError when it is gone, cut off or of another type."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype != np.dtype(dtype) or array.ndim != 1:
        raise ValueError(f"{path.name} is not what it should be")
    # A plain array over the mapped file: np.memmap itself makes every slice slow.
    return np.asarray(array)
