"""Books are renamed, removed and embedded; derived stores are made again."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from bookbrain.errors import ConfigError, InputError, UnavailableError
from bookbrain.formats.text import count_tokens
from bookbrain.library.jobs import embed_passages
from bookbrain.log import record_removal, record_renaming
from bookbrain.messages import fill
from bookbrain.model import Book, Outcome, Passage, Plan, Progress, parse_space
from bookbrain.paths import refuse_in_upgrade
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.store.chroma import forget_local_chroma
from bookbrain.store.database import lacks_room
from bookbrain.store.folder import Stores, storage_error
from bookbrain.store.identity import write_cards

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


def rebuild(stores: ConnectedStores, progress: Progress) -> None:
    """Make the keyword index and every Chroma collection again, from the catalog and the store.

    Calls no embedding endpoint.
    """
    books = stores.catalog.books()
    forget_lost_vectors(stores)
    stores.forget_keywords()
    for number, book in enumerate(books, start=1):
        progress.begin(book.file, number, len(books))
        progress.step("analysing", 0, book.pages)
        stores.index_book(book.id, stores.catalog.pages(book.id))
        progress.step("analysing", book.pages, book.pages)
    if books:
        stores.catalog.set_generation(stores.index_books([book.id for book in books]))
    rebuild_vectors(stores, progress)


def rebuild_vectors(stores: ConnectedStores, progress: Progress) -> None:
    """Make every Chroma collection again, from the embedding store."""
    spaces = stores.catalog.embedded_spaces()
    if stores.settings.chroma_url is None:
        forget_local_chroma(stores.home)
    for name in sorted(spaces):
        space = parse_space(name)
        stores.semantics.vectors(space).clear()
        books = [b for b in stores.catalog.books() if stores.catalog.is_embedded(b.id, name)]
        for number, book in enumerate(books, start=1):
            progress.begin(book.file, number, len(books))
            digests = {p.ordinal: p.digest for p in stores.catalog.passages(book.id)}
            stores.semantics.publish(space, book.id, digests)
            progress.step("indexing", len(digests), len(digests))


def forget_lost_vectors(stores: Stores) -> list[str]:
    """Note of each book that it is not embedded where the store lacks its vectors; the books.

    The store may have been lost. `embed` buys them again.
    """
    lost = []
    for book_id in stores.catalog.book_ids():
        if spaces := _lacking_spaces(stores, book_id):
            stores.catalog.forget_embedded(book_id, spaces)
            lost.append(book_id)
    return lost


def _lacking_spaces(stores: Stores, book_id: str) -> list[str]:
    """The spaces in which a book is said to be embedded, and is not."""
    found = []
    for name in sorted(stores.catalog.embedded_spaces()):
        if stores.catalog.is_embedded(book_id, name):
            refused = stores.catalog.refused_of(book_id, name)
            passages = stores.catalog.passages(book_id)
            digests = [p.digest for p in passages if p.ordinal not in refused]
            if stores.embeddings.missing(parse_space(name), digests):
                found.append(name)
    return found


def remove_book(stores: ConnectedStores, book: Book) -> None:
    """Take a book out of every store but that of its embeddings. Only for the one writer.

    Where there is no room for a keyword index without it, that follows when its file is gone, or
    with the next writer; a search leaves the book's pages out.
    """
    others = [other for other in stores.catalog.book_ids() if other != book.id]
    spaces = stores.catalog.embedded_spaces()
    generation = stores.catalog.generation()
    try:
        generation = stores.index_books(others)
    except OSError as error:
        if not lacks_room(error):
            raise
        stores.sweep()  # what was written of it
    stores.catalog.remove_book(book.id, generation)
    stores.sweep()
    drop_vectors(stores, book.id, spaces)
    record_removal(book)


def drop_vectors(stores: ConnectedStores, book_id: str, spaces: Iterable[str]) -> None:
    """Take a removed book's vectors out of Chroma; where it is down they stay, unseen by search."""
    for name in spaces:
        with suppress(UnavailableError):
            stores.semantics.vectors(parse_space(name)).remove_book(book_id)


def plan_embedding(stores: Stores) -> list[Plan]:
    """For each book that the configured model has not embedded: what it would take.

    Texts that the store already has cost nothing. Raises ConfigError when no endpoint is set.
    """
    if not stores.settings.embedding.enabled:
        raise ConfigError(
            "No embedding endpoint is set.",
            "Set OPENAI_API_KEY (or OPENAI_BASE_URL of a compatible server) and run this again.",
        )
    space = stores.space()
    plans = []
    unembedded = set(stores.catalog.unembedded_books(str(space) if space else ""))
    lost = {book_id for book_id in stores.catalog.book_ids() if _lacking_spaces(stores, book_id)}
    for book_id in sorted(unembedded | lost):
        book = stores.catalog.book(book_id)
        passages = stored_passages(stores, book_id)
        texts = {passage.digest: passage.text for passage in passages}
        missing = stores.embeddings.missing(space, texts) if space else list(texts)
        tokens = sum(count_tokens(texts[digest]) for digest in missing)
        if book:
            plans.append(Plan(book.file, book.title, book.pages, len(passages), tokens))
    return plans


def embed(stores: ConnectedStores, progress: Progress) -> list[Outcome]:
    """Embed every book that the configured model has not embedded; then drop other models' vectors.

    Raises what the endpoint or Chroma raises; what is done by then stays done. Only for who works.
    """
    with stores.writing(progress.wait):
        forget_lost_vectors(stores)
    space = stores.space()
    book_ids = stores.catalog.unembedded_books(str(space) if space else "")
    outcomes = []
    for number, book_id in enumerate(book_ids, start=1):
        book = stores.catalog.book(book_id)
        if book is None:
            continue
        progress.begin(book.file, number, len(book_ids))
        passages = stored_passages(stores, book_id)
        name, refused, tokens = embed_passages(stores, book_id, passages, progress)
        with stores.writing(progress.wait):
            if not stores.catalog.has_book(book_id):  # somebody has removed it meanwhile
                drop_vectors(stores, book_id, [name])
                continue
            stores.catalog.set_embedded(book_id, name, refused)
        outcomes.append(
            Outcome(book.file, "added", stores.catalog.book(book_id, name), tokens=tokens)
        )
        progress.end(outcomes[-1])
    with stores.writing(progress.wait):
        _drop_other_spaces(stores)
    return outcomes


def _drop_other_spaces(stores: ConnectedStores) -> None:
    """Vectors of another model are never searched again; the embedding store still has them."""
    current = stores.space()
    if current is None:
        return
    for name in stores.catalog.embedded_spaces() - {str(current)}:
        stores.semantics.vectors(current).drop_space(parse_space(name))
        stores.catalog.forget_space(name)


def stored_passages(stores: Stores, book_id: str) -> Sequence[Passage]:
    """A book's passages with their texts, cut from its stored pages."""
    texts = {page.number: page.text for page in stores.catalog.pages(book_id)}
    return [
        Passage(
            stored.ordinal,
            stored.spans,
            "\n".join(texts[span.page][span.start : span.end] for span in stored.spans),
        )
        for stored in stores.catalog.passages(book_id)
    ]
