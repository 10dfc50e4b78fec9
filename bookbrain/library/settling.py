"""What follows from the catalog is made to fit one that was mended."""

from collections.abc import Iterable
from contextlib import closing

from bookbrain.config import Settings
from bookbrain.index.soundness import store_flaws
from bookbrain.library.cards import write_cards
from bookbrain.library.damage import Outcome
from bookbrain.library.stores import Stores


def settle(settings: Settings, found: Outcome) -> bool:
    """Have cards, stamps and keyword index as the catalog says, and no book called embedded that
    lacks vectors; whether there was one."""
    lacking = {flaw.book for flaw in store_flaws(settings.home) if flaw.book}
    with closing(Stores(settings, lost=True)) as stores:
        for book_id in lacking:
            stores.catalog.forget_embedded(book_id, _lacking_spaces(stores, book_id))
        write_cards(stores.books, stores.catalog)
        stores.keep_identity()
        books = stores.catalog.book_ids()
        derived = any(damage.file.startswith("keywords/") for damage in found.damage)
        if books and (derived or stores.catalog.generation() is None):
            stores.catalog.set_generation(stores.index_books(books))
    return bool(lacking)


def _lacking_spaces(stores: Stores, book_id: str) -> Iterable[str]:
    from bookbrain.library.semantic import parse_space  # noqa: PLC0415  (loads slowly)

    refused = stores.catalog.refused().get(book_id, {})
    for name in stores.catalog.embedded_spaces():
        digests = {
            p.digest
            for p in stores.catalog.passages(book_id)
            if p.ordinal not in refused.get(name, {})
        }
        if stores.embeddings.missing(parse_space(name), digests):
            yield name
