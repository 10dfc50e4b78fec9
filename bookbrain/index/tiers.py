"""Which shards become one: those of a similar size, when there are four (log-structured merge).

O'Neil et al., "The log-structured merge-tree", 1996; Lucene's merge policies do likewise. A posting
is moved once a tier, so a library's life costs n log n, and its shards are about 3 a tier.
"""

from collections.abc import Sequence

FANOUT = 4
SMALLEST = 1 << 16  # postings: up to here all are of one size. About 320 pages.
LARGEST = 1 << 24  # from here a shard is left as it is: no add waits longer than for four such


def merge_plan(sizes: Sequence[int]) -> list[list[int]]:
    """Groups of shards to become one each, by their places in `sizes`; groups of one stay.

    The shards are taken as if they came one after another, so that to add them together or each
    for itself comes to the same.
    """
    groups: list[tuple[int, list[int]]] = []
    for place, size in enumerate(sizes):
        groups.append((size, [place]))
        while alike := _full_tier(groups):
            merged = [groups[n] for n in alike]
            groups = [group for n, group in enumerate(groups) if n not in alike]
            groups.append((sum(s for s, _ in merged), [p for _, g in merged for p in g]))
    return [group for _, group in groups]


def _full_tier(groups: Sequence[tuple[int, list[int]]]) -> list[int]:
    """The first shards of the lowest tier that has enough."""
    tiers: dict[int, list[int]] = {}
    for n, (size, _) in enumerate(groups):
        if size < LARGEST:
            tiers.setdefault(_tier(size), []).append(n)
    full = [tier for tier, members in tiers.items() if len(members) >= FANOUT]
    return tiers[min(full)] if full else []


def _tier(size: int) -> int:
    tier = 0
    while size >= SMALLEST * FANOUT**tier:
        tier += 1
    return tier
