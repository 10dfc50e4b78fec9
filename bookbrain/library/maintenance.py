"""Books are renamed, removed, read again and embedded; derived stores are made again."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic
from unicodedata import normalize

from bookbrain.errors import ConfigError, InputError, UnavailableError
from bookbrain.files import remove
from bookbrain.formats.text import count_tokens, text_of
from bookbrain.index.segment import segment_name
from bookbrain.library.buyer import Buyer
from bookbrain.library.jobs import digests_of, embedded_before
from bookbrain.library.prepare import Intake, PreparerFault
from bookbrain.library.recognised_text import recognised_book
from bookbrain.log import record_removal, record_renaming
from bookbrain.messages import fill
from bookbrain.model import (
    Book,
    Outcome,
    Page,
    Passage,
    Plan,
    Progress,
    TextId,
    parse_space,
)
from bookbrain.paths import refuse_in_upgrade
from bookbrain.search.exam import Marks
from bookbrain.search.retrieval import ConnectedStores
from bookbrain.store.catalog import Catalog, Job, NewBook
from bookbrain.store.chroma import forget_local_chroma
from bookbrain.store.database import lacks_room
from bookbrain.store.folder import Stores, storage_errors
from bookbrain.store.identity import write_cards

log = logging.getLogger(__name__)
_LONGEST = 300  # characters, as of those that are read


def rename(stores: Stores, book: Book, title: str) -> Book:
    """The book with its new title; InputError for one that cannot be."""
    title = " ".join(normalize("NFC", title).split())
    if not title or len(title) > _LONGEST:
        raise InputError(
            fill("A title has 1 to {most} characters.", most=_LONGEST), "Choose another."
        )
    refuse_in_upgrade(stores.home)
    with storage_errors():
        stores.open_to_write()
        stores.check_catalog_in_place()
        stores.catalog.rename_book(book.id, title)
        write_cards(stores.paths, stores.catalog, book.id)
    record_renaming(book)
    return replace(book, title=title)


def rebuild(stores: ConnectedStores, progress: Progress) -> None:
    """Read every book again, and make the keyword index and every Chroma collection anew.

    Calls no embedding endpoint. Only for the one writer who is also the one at work.
    """
    books = stores.catalog.books()
    forget_lost_vectors(stores)
    commit = stores.catalog.index_commit()
    stores.forget_keywords()  # `commit` too: until there is one of all texts, none is searched
    jobs = [Job(0, str(stores.book_file(book.id)), "") for book in books]
    texts = {text.book: text for text in stores.catalog.texts()}
    with Intake(stores, jobs, (), lambda job: None) as intake:
        for number, book in enumerate(books, start=1):
            progress.begin(book.file, number, len(books))
            new = _read_again(stores, book, texts[book.id], intake, progress)
            if new and commit:
                replace_text(stores, new, commit)
    stores.index_all()
    rebuild_vectors(stores, progress)


def _read_again(
    stores: Stores, book: Book, text: TextId, intake: Intake, progress: Progress
) -> NewBook | None:
    """The book with what its file, the next of `intake`, is read as now; None where that is `text`,
    which it has, or less: then its postings are made of what the catalog has."""
    pages = stores.catalog.pages(book.id)
    try:
        ready = intake.take(progress.step).book
    except (InputError, PreparerFault) as error:
        log.warning("kept file=%r: it cannot be read again (%s)", book.file, error)
        ready = None
    new = None
    if ready:
        read = stores.embeddings.recognised.of_file(book.id)
        new = recognised_book(NewBook(book, ready.pages, ready.passages), read)
    if new and [*new.pages] != pages and not _is_less(new.pages, pages):
        if ready and new.pages is not ready.pages:  # else its preparer has written its postings
            stores.index_text(new.text, new.pages)
        return embedded_before(stores, new, _refused_before(stores, new))
    stores.index_text(text, pages)
    return None


def _is_less(pages: Sequence[Page], before: Sequence[Page]) -> bool:
    """Whether a page that could be read before is none of `pages`, or cannot be read any more."""
    readable = {page.number for page in pages if not page.problem}
    return any(page.number not in readable for page in before if not page.problem)


def _refused_before(stores: Stores, new: NewBook) -> dict[int, str]:
    """The passages whose texts were refused where they stood before, and why, by ordinal."""
    book_id = new.book.id
    reasons = stores.catalog.refused().get(book_id, {}).get(str(stores.space()), {})
    before = digests_of(stores.catalog.passages(book_id))
    known = {before[ordinal]: why for ordinal, why in reasons.items() if ordinal in before}
    return {n: known[digest] for n, digest in digests_of(new.passages).items() if digest in known}


def replace_text(stores: Stores, new: NewBook, commit: str | None = None) -> bool:
    """Give a book another text: pages, chapters, passages, postings, and what of it is embedded;
    False where somebody has removed the book.

    Only for the one writer. Its segment is there, written by its preparer, and so are its vectors,
    where it is embedded (`Buyer.embed`, or `embedded_before` for those that were bought for the
    text of before). One transaction then makes it the text that is searched: whatever is killed
    leaves the old one or the new one, and each is found by its own postings only. `commit` is for
    whoever replaces many and makes the keyword index of all in the end.
    """
    texts = {text.book: text for text in stores.catalog.texts()}
    before, texts[new.book.id] = texts.get(new.book.id), new.text
    if before is None:
        return False
    stores.catalog.replace_text(new, commit or stores.index_texts([*texts.values()]))
    if before != new.text:
        remove(stores.segments / segment_name([before]))
    write_cards(stores.paths, stores.catalog, new.book.id)
    return True


def rebuild_vectors(stores: ConnectedStores, progress: Progress) -> None:
    """Make every Chroma collection again, from the embedding store."""
    if stores.settings.chroma.url is None:
        forget_local_chroma(stores.home)
    for name in stores.catalog.embedded_spaces():
        stores.semantics.vectors(parse_space(name)).clear()
    publish_books(stores, stores.catalog, stores.catalog.books(), progress)


def publish_books(
    stores: ConnectedStores, catalog: Catalog, books: Sequence[Book], progress: Progress
) -> None:
    """Give Chroma the vectors that it lacks of these books, where `catalog` has them embedded."""
    for name in sorted(catalog.embedded_spaces()):
        embedded = [book for book in books if catalog.is_embedded(book.id, name)]
        for number, book in enumerate(embedded, start=1):
            progress.begin(book.file, number, len(embedded))
            digests = digests_of(catalog.passages(book.id))
            stores.semantics.publish(parse_space(name), book.id, digests)
            progress.step("indexing", len(digests), len(digests))


def forget_lost_vectors(stores: Stores) -> list[str]:
    """Note of each book that it is not embedded where the store lacks its vectors; the books.

    The store may have been lost. `embed` buys them again.
    """
    lost: list[str] = []
    for space in sorted(stores.catalog.embedded_spaces()):
        if lacking := _lacking(stores, space):
            stores.catalog.forget_embedded(space, lacking)
            lost += lacking
    return lost


def _lacking(stores: Stores, space: str) -> list[str]:
    """The books that are said to be embedded in a space, and are not."""
    refused = stores.catalog.refused()
    found = []
    for book_id in (b for b in stores.catalog.book_ids() if stores.catalog.is_embedded(b, space)):
        skipped = refused.get(book_id, {}).get(space, {})
        digests = digests_of(stores.catalog.passages(book_id))
        wanted = [digest for ordinal, digest in digests.items() if ordinal not in skipped]
        if stores.embeddings.missing(parse_space(space), wanted):
            found.append(book_id)
    return found


def remove_book(stores: ConnectedStores, book: Book) -> None:
    """Take a book out of every store but that of its embeddings. Only for the one writer.

    Where there is no room for a keyword index without it, that follows when its file is gone, or
    with the next writer; a search leaves the book's pages out.
    """
    others = [text for text in stores.catalog.texts() if text.book != book.id]
    spaces = stores.catalog.embedded_spaces()
    commit = stores.catalog.index_commit()
    try:
        commit = stores.index_texts(others)
    except OSError as error:
        if not lacks_room(error):
            raise
        stores.sweep()  # what was written of it
    stores.catalog.remove_book(book.id, commit)
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
            "Set OPENAI_API_KEY (or OPENAI_BASE_URL of a compatible server) and run this again; "
            "without a key: `bookbrain embed --local`.",
        )
    space = stores.space()
    plans = []
    wanted = set(stores.catalog.unembedded_books(str(space) if space else ""))
    for name in stores.catalog.embedded_spaces():
        wanted.update(_lacking(stores, name))
    for book_id in sorted(wanted):
        book = stores.catalog.book(book_id)
        passages = stored_passages(stores, book_id)
        texts = {passage.digest: passage.text for passage in passages}
        missing = stores.embeddings.missing(space, texts) if space else list(texts)
        tokens = sum(count_tokens(texts[digest]) for digest in missing)
        if book:
            plans.append(Plan(book.file, book.title, book.pages, len(passages), tokens))
    return plans


@dataclass(frozen=True, slots=True)
class TakenExam:
    """How a model did, None where it gave too few vectors; the tokens that were billed for it, and
    the seconds it took."""

    marks: Marks | None
    tokens: int
    seconds: float


def exam_tokens(stores: ConnectedStores) -> int:
    """The tokens, estimated, of what is still to be bought of the model's exam."""
    if not stores.settings.embedding.enabled:
        return 0
    return sum(map(count_tokens, stores.semantics.unanswered()))


def take_exam(stores: ConnectedStores, progress: Progress) -> TakenExam:
    """Buy the vectors of the exam that are not there; raises what the endpoint raises."""
    started = monotonic()
    progress.begin(stores.settings.embedding.model, 1, 1)
    purchase = stores.semantics.take_exam(
        lambda done, total: progress.step("embedding", done, total)
    )
    space = stores.space()
    marks = stores.semantics.marks(space) if space else None
    return TakenExam(marks, purchase.tokens, monotonic() - started)


def embed(stores: ConnectedStores, progress: Progress) -> list[Outcome]:
    """Embed every book that the configured model has not embedded; then drop other models' vectors.

    Raises what the endpoint or Chroma raises; what is done by then stays done. Only for who works.
    """
    with stores.writing(progress.wait):
        forget_lost_vectors(stores)
    space = stores.space()
    book_ids = stores.catalog.unembedded_books(str(space) if space else "")
    loaded: deque[tuple[int, Book, Sequence[Passage]]] = deque()
    coming = _loading(stores, book_ids, loaded)
    outcomes = []
    with Buyer(stores, lambda: coming) as buyer:
        while loaded or next(coming, None) is not None:
            number, book, passages = loaded.popleft()
            progress.begin(book.file, number, len(book_ids))
            name, refused, tokens = buyer.embed(book.id, passages, progress)
            with stores.writing(progress.wait):
                if not stores.catalog.has_book(book.id):  # somebody has removed it meanwhile
                    drop_vectors(stores, book.id, [name])
                    continue
                stores.catalog.set_embedded(book.id, name, refused)
            outcomes.append(
                Outcome(book.file, "added", stores.catalog.book(book.id, name), tokens=tokens)
            )
            progress.end(outcomes[-1])
    with stores.writing(progress.wait):
        _drop_other_spaces(stores)
    return outcomes


def _loading(
    stores: Stores, book_ids: Iterable[str], loaded: deque[tuple[int, Book, Sequence[Passage]]]
) -> Iterator[Sequence[Passage]]:
    """The passages of the books that are there, each also put behind those that are `loaded`."""
    for number, book_id in enumerate(book_ids, start=1):
        if book := stores.catalog.book(book_id):
            passages = stored_passages(stores, book_id)
            loaded.append((number, book, passages))
            yield passages


def _drop_other_spaces(stores: ConnectedStores) -> None:
    """Vectors of another model are never searched again; the embedding store still has them."""
    current = stores.space()
    if current is None:
        return
    for name in stores.catalog.embedded_spaces() - {str(current)}:
        stores.semantics.vectors(current).drop_space(parse_space(name))
        embedded = [b for b in stores.catalog.book_ids() if stores.catalog.is_embedded(b, name)]
        stores.catalog.forget_embedded(name, embedded)


def stored_passages(stores: Stores, book_id: str) -> Sequence[Passage]:
    """A book's passages with their texts, cut from its stored pages."""
    texts = {page.number: page.text for page in stores.catalog.pages(book_id)}
    return [
        Passage(stored.ordinal, stored.spans, text_of(texts, stored.spans))
        for stored in stores.catalog.passages(book_id)
    ]
