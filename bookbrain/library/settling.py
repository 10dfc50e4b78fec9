"""What follows from the catalog is made to fit one that was mended."""

from contextlib import closing

from bookbrain.config import Settings
from bookbrain.library.cards import write_cards
from bookbrain.library.damage import Outcome
from bookbrain.library.maintaining import forget_lost_vectors
from bookbrain.library.stores import Stores


def settle(settings: Settings, found: Outcome) -> bool:
    """Have cards, stamps and keyword index as the catalog says, and no book called embedded that
    lacks vectors; whether there was one."""
    with closing(Stores(settings, lost=True)) as stores:
        lacking = forget_lost_vectors(stores)
        write_cards(stores.books, stores.catalog)
        stores.keep_identity()
        books = stores.catalog.book_ids()
        derived = any(damage.file.startswith("keywords/") for damage in found.damage)
        if books and (derived or stores.catalog.generation() is None):
            stores.catalog.set_generation(stores.index_books(books))
    return bool(lacking)
