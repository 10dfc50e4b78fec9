"""A generation: one small file that names the shards of a keyword index."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bookbrain.durable import PART, remove, write_file
from bookbrain.index import stamps
from bookbrain.index.keywords import KeywordIndex
from bookbrain.index.merging import Part, merge
from bookbrain.index.shards import (
    DAMAGE,
    Shard,
    content_name,
    is_sound,
    open_shard,
    shard_name,
)
from bookbrain.index.tiers import merge_plan

_NAME = re.compile(r"[0-9a-f]{24}", re.ASCII)


def open_generation(folder: Path, name: str) -> KeywordIndex:
    """The index of a generation; raises one of `DAMAGE` when it is gone or not whole."""
    return KeywordIndex([open_shard(folder / shard) for shard in shards_of(folder, name)])


def shards_of(folder: Path, name: str) -> list[str]:
    """The shards that a generation names; raises one of `DAMAGE` when it is gone or not whole."""
    shards: list[str] = json.loads((folder / manifest_name(name)).read_text())["shards"]
    if not all(_NAME.fullmatch(shard) for shard in shards):  # else it leads out of the folder
        raise ValueError(f"{name} names what is no shard")
    return shards


def books_of(folder: Path, name: str) -> set[str]:
    """The books in a generation, by id; raises one of `DAMAGE` when it is gone or not whole."""
    shards = [open_shard(folder / shard) for shard in shards_of(folder, name)]
    return {book.id for shard in shards for book in shard.books}


def manifest_name(generation: str) -> str:
    """The file that is the generation."""
    return f"{generation}.json"


def write_generation(
    folder: Path, current: str | None, book_ids: Sequence[str], index: Callable[[str], None]
) -> str:
    """Write the generation of exactly these books, from the shards of `current`; its name.

    `index` writes the shard of one book that has none: it is new, or its shard was damaged.
    """
    wanted = set(book_ids)
    parts = [
        part
        for shard in (_sound_shards(folder, current) if current else [])
        if (part := Part(shard, wanted)).books
    ]
    held = {book.id for part in parts for book in part.books}
    parts += [Part(_own_shard(folder, b, index), {b}) for b in book_ids if b not in held]
    names = []
    for group in merge_plan([part.postings for part in parts]):
        chosen = [parts[place] for place in group]
        if len(chosen) == 1 and chosen[0].is_whole:
            names.append(shard_name(book.id for book in chosen[0].books))
        else:
            names.append(merge(folder, chosen))
    name = content_name(["generation", *names])
    write_file(folder / manifest_name(name), json.dumps({"shards": names}).encode())
    return name


def drop_unnamed(folder: Path, current: str | None, known: set[str] | None = None) -> None:
    """Remove every generation but `current`, and the shards that it does not name.

    With `known`, shards with a book that is not in it stay, and unfinished ones: it is on its way.
    """
    named = {stamps.FILE, *([manifest_name(current)] if current else [])}
    if current:
        with suppress(*DAMAGE):
            named.update(shards_of(folder, current))
    for path in folder.iterdir():
        if path.name not in named and (known is None or not _is_coming(path, known)):
            remove(path)


def drop_unsound(folder: Path, pages: Mapping[str, int]) -> None:
    """Remove the shards that anybody may have made, unless each is one of books that have so many
    `pages`, and every number in it is in its bounds."""
    for path in folder.iterdir():
        if not path.name.endswith(".json"):
            sound = False
            with suppress(*DAMAGE):
                sound = is_sound(open_shard(path), pages)
            if not sound:
                remove(path)


def _is_coming(path: Path, known: set[str]) -> bool:
    """Whether it is, or is becoming, the shard of a book that is none of `known`."""
    if path.name.endswith(PART):
        return True
    with suppress(*DAMAGE):
        return any(book.id not in known for book in open_shard(path).books)
    return False


def _sound_shards(folder: Path, name: str) -> Iterator[Shard]:
    """The shards of a generation that can be used; the others go: their names are needed again."""
    with suppress(*DAMAGE):
        for shard in shards_of(folder, name):
            try:
                yield open_shard(folder / shard)
            except DAMAGE:
                remove(folder / shard)


def _own_shard(folder: Path, book_id: str, index: Callable[[str], None]) -> Shard:
    path = folder / shard_name([book_id])
    with suppress(*DAMAGE):
        return open_shard(path)
    remove(path)
    index(book_id)
    return open_shard(path)
