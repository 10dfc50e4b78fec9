"""Giving a book another title."""

import sqlite3
from dataclasses import replace

from bookbrain.errors import InputError
from bookbrain.library.cards import write_cards
from bookbrain.library.recording import record_renaming
from bookbrain.library.storage import storage_error
from bookbrain.library.stores import Stores
from bookbrain.model import Book
from bookbrain.server import refuse_in_upgrade
from bookbrain.wording import fill

_LONGEST = 300  # characters, as of those that are read


def rename(stores: Stores, book: Book, title: str) -> Book:
    """The book with its new title; InputError for one that cannot be."""
    title = " ".join(title.split())
    if not title or len(title) > _LONGEST:
        raise InputError(
            fill("A title has 1 to {most} characters.", most=_LONGEST), "Choose another."
        )
    refuse_in_upgrade(stores.home)
    try:
        stores.open_to_write()
        stores.check_catalog_in_place()
        stores.catalog.rename_book(book.id, title)
        write_cards(stores.books, stores.catalog, book.id)
    except (OSError, sqlite3.Error) as error:
        raise storage_error(error) from error
    record_renaming(book)
    return replace(book, title=title)
