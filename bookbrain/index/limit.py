"""What a document needs at least to be among the best."""

import numpy as np
from numpy.typing import NDArray

_POOL = 8  # times k: how many documents the limit is taken from


class Limit:
    """A score that the `k` best documents have at least, by what is summed up so far."""

    def __init__(self, totals: NDArray[np.float64], k: int) -> None:
        self.value = 0.0
        self._totals, self._k = totals, k
        self._pool = np.empty(0, np.int64)

    def rise(self, documents: NDArray[np.int64], before: NDArray[np.float64]) -> None:
        """Look again after `documents`, which had `before`, were given more.

        Any documents will do for a lower bound: those of the rarest terms are few and good.
        """
        if len(self._pool) < _POOL * self._k:
            self._pool = np.concatenate([self._pool, documents[before == 0]])
        scores = self._totals[self._pool]
        self.value = kth(scores, self._k)
        if len(self._pool) > 2 * _POOL * self._k:
            self._pool = self._pool[scores >= kth(scores, _POOL * self._k)]


def kth(scores: NDArray[np.float64], k: int) -> float:
    """The `k`-th largest of the scores; 0 when they are fewer."""
    return float(np.partition(scores, -k)[-k]) if len(scores) >= k else 0.0
