"""The catalog on real files: all or nothing, in order, and legible when something is wrong."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bookbrain.errors import BookBrainError
from bookbrain.model import Book, Heading, Page, Passage, Span
from bookbrain.store.catalog import MIGRATIONS, Catalog, Job, NewBook
from bookbrain.store.checksums import CATALOG_TABLES, seal_book, told_rows, torn_tables
from bookbrain.store.database import fresh_schema, open_database, schema_of, transaction
from bookbrain.store.rows import FoundPage, StoredPassage, page_row

SPACE = "text-embedding-3-small/1536"
OTHER_SPACE = "bge-m3/1024"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite3"


@pytest.fixture
def catalog(file: Path) -> Iterator[Catalog]:
    opened = Catalog(file)
    yield opened
    opened.close()


def _page(number: int, problem: str = "") -> Page:
    return Page(
        number,
        label=f"p{number}",
        chapter="1. 시작",
        text="" if problem else f"{number}쪽의 글",
        headings=(Heading(0, "1.1 Why"), Heading(3, "1.2 왜")),
        problem=problem,
    )


def _passage(ordinal: int, *pages: int) -> Passage:
    return Passage(ordinal, tuple(Span(page, 0, 4) for page in pages), f"passage {ordinal}")


def _new(book_id: str = "b1", added_at: str = "2026-01-01T00:00:00Z", **changes: object) -> NewBook:
    pages = [_page(1), _page(2), _page(3)]
    passages = [_passage(0, 1, 2), _passage(1, 2, 3)]
    book = Book(book_id, f"Title of {book_id}", f"{book_id}.pdf", 3, 2, added_at)
    values = {"book": book, "pages": pages, "passages": passages} | changes
    return NewBook(**values)  # type: ignore[arg-type]


def _rows(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything that a stranger's connection sees in the database."""
    with closing(sqlite3.connect(file)) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}


# Books


def test_a_book_comes_back_as_it_was_put(catalog: Catalog) -> None:
    new = _new(space=SPACE, refused={1: "too long"})
    catalog.queue([Path("/a.pdf"), Path("/b.pdf")])
    catalog.add_book(new, "generation-1", catalog.jobs()[0].id)

    assert catalog.book("b1") == new.book
    assert catalog.books() == [new.book]
    assert catalog.book_ids() == ["b1"]
    assert catalog.pages("b1") == list(new.pages)
    assert catalog.find_page("b1", 2) == new.pages[1]
    assert catalog.passages("b1") == [
        StoredPassage("b1", p.ordinal, p.digest, p.spans) for p in new.passages
    ]
    assert catalog.find_passage("b1", 1) == catalog.passages("b1")[1]
    assert catalog.index_commit() == "generation-1"
    assert [job.path for job in catalog.jobs()] == ["/b.pdf"], "its own job ended, no other"
    assert catalog.is_embedded("b1", SPACE)
    assert not catalog.is_embedded("b1", OTHER_SPACE)


def test_what_is_not_there(catalog: Catalog) -> None:
    catalog.add_book(_new(), "g", 0)
    assert not catalog.has_book("b2")
    assert catalog.book("b2") is None
    assert catalog.find_page("b1", 4) is None
    assert catalog.find_page("b2", 1) is None
    assert catalog.find_passage("b1", 2) is None
    wanted = [
        ("b1", 1),
        ("b1", 2),
        ("b2", 0),
        ("b1", 0),
        *((f"other '{n}'", n) for n in range(1500)),
    ]
    pages = catalog.find_pages([*wanted, ("b1", 4)])
    assert pages == {
        ("b1", page.number): FoundPage(_new().text, "Title of b1", "b1.pdf", page)
        for page in catalog.pages("b1")[:2]
    }
    assert catalog.find_pages([]) == {}
    found = catalog.find_passages(wanted)
    assert sorted(found, key=lambda p: p.ordinal) == catalog.passages("b1")
    assert catalog.find_passages([]) == []
    assert catalog.pages("b2") == []


def test_pages_and_passages_are_in_order_however_they_were_put(catalog: Catalog) -> None:
    pages = [_page(number) for number in (10, 2, 9, 1)]
    passages = [_passage(ordinal, 1) for ordinal in (3, 0, 11, 2)]
    catalog.add_book(_new(pages=pages, passages=passages), "g", 0)
    assert [page.number for page in catalog.pages("b1")] == [1, 2, 9, 10]
    assert [passage.ordinal for passage in catalog.passages("b1")] == [0, 2, 3, 11]


def test_the_shelf_is_oldest_first_then_by_id(catalog: Catalog) -> None:
    for book_id, added_at in (
        ("c", "2026-02"),
        ("b", "2026-03"),
        ("d", "2026-01"),
        ("a", "2026-03"),
    ):
        catalog.add_book(_new(book_id, added_at), "g", 0)
    assert [book.id for book in catalog.books()] == ["d", "c", "a", "b"]
    assert catalog.book_ids() == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "broken",
    [
        _new(pages=[_page(1), _page(2), _page(2)]),  # the last page
        _new(passages=[_passage(0, 1), _passage(1, 2), _passage(1, 3)]),  # the last passage
        _new(space=SPACE, refused={0: "too long", 1: None}),  # the last refusal
        _new("b0"),  # the book itself, it is there already
    ],
    ids=["page", "passage", "refused", "book"],
)
def test_add_book_is_all_or_nothing(catalog: Catalog, file: Path, broken: NewBook) -> None:
    catalog.queue([Path("/a.pdf")])
    catalog.add_book(_new("b0"), "generation-0", 0)
    before = _rows(file)
    with pytest.raises(sqlite3.IntegrityError):
        catalog.add_book(broken, "generation-1", catalog.jobs()[0].id)
    assert _rows(file) == before
    catalog.add_book(_new("b2"), "generation-2", 0)
    assert catalog.book_ids() == ["b0", "b2"], "the connection is usable after it"


def test_a_book_whose_pages_fail_to_come_leaves_nothing(catalog: Catalog, file: Path) -> None:
    class Pages(list[Page]):
        def __iter__(self) -> Iterator[Page]:
            yield _page(1)
            raise KeyboardInterrupt

    before = _rows(file)
    with pytest.raises(KeyboardInterrupt):
        catalog.add_book(_new(pages=Pages()), "g", 0)
    assert _rows(file) == before


def test_a_process_that_dies_in_the_transaction_leaves_nothing(file: Path) -> None:
    Catalog(file).close()
    before = _rows(file)
    program = """if True:
        import os, sys
        from pathlib import Path
        from bookbrain.store.database import open_database, transaction
        from bookbrain.store.catalog import MIGRATIONS
        with transaction(open_database(Path(sys.argv[1]), MIGRATIONS)) as writing:
            writing.execute("INSERT INTO book VALUES ('b1', 't', 'f', 'now', '')")
            print(writing.execute("SELECT count(*) FROM book").fetchone()[0], flush=True)
            os._exit(9)
    """
    done = subprocess.run(
        [sys.executable, "-c", program, file], stdout=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stdout) == (9, b"1\n")
    assert _rows(file) == before


def test_remove_takes_every_row_of_the_book_and_no_other(catalog: Catalog, file: Path) -> None:
    catalog.add_book(_new("b1", space=SPACE, refused={0: "no"}), "g1", 0)
    with_one = _rows(file)
    catalog.add_book(_new("b2", space=SPACE, refused={1: "no"}), "g2", 0)
    assert all(
        "b2" in str(_rows(file)[table])
        for table in with_one.keys() - {"setting", "job", "removed", "twin"}
    )
    catalog.remove_book("b2", "g1")
    assert catalog.removed() == ["b2"]  # its file is still to be deleted
    catalog.forget_removed(["b2"])
    assert _but_changes(_rows(file)) == _but_changes(with_one)


def _but_changes(rows: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    """The rows of all tables but for how many changes there were."""
    return {table: [row for row in of if "changes" not in row] for table, of in rows.items()}


# Problems


def test_problems_name_ranges_of_pages(catalog: Catalog) -> None:
    scan, broken = "no text (a scan)", "a broken character map"
    problems = {1: scan, 3: scan, 4: scan, 5: scan, 7: broken, 9: scan}
    pages = [_page(number, problems.get(number, "")) for number in range(1, 11)]
    catalog.add_book(_new(pages=pages), "g", 0)
    expected = ("pages 1, 3-5, 9: no text (a scan)", "page 7: a broken character map")
    assert catalog.books()[0].problems == expected
    book = catalog.book("b1")
    assert book and book.problems == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([4], "page 4"), ([4, 5], "pages 4-5"), ([2, 4], "pages 2, 4"), ([9, 10, 11], "pages 9-11")],
)
def test_one_page_is_a_page_and_two_are_pages(
    catalog: Catalog, numbers: list[int], expected: str
) -> None:
    catalog.add_book(_new(pages=[_page(number, "a scan") for number in numbers]), "g", 0)
    assert catalog.books()[0].problems == (f"{expected}: a scan",)


def test_problems_name_refused_passages_by_the_page_they_begin_on(catalog: Catalog) -> None:
    passages = [_passage(0, 1), _passage(1, 1, 2), _passage(2, 2, 3), _passage(3, 3)]
    catalog.add_book(
        _new(passages=passages, space=SPACE, refused={0: "long", 1: "long", 2: "long", 3: "odd"}),
        "g",
        0,
    )
    assert catalog.books(SPACE)[0].problems == (
        "pages 1-2: a passage is found by keyword only, its embedding was refused (long)",
        "page 3: a passage is found by keyword only, its embedding was refused (odd)",
    )
    assert catalog.books()[0].problems == (), "refused by one space only"
    assert catalog.books(OTHER_SPACE)[0].problems == ()
    catalog.set_embedded("b1", SPACE, {3: "odd"})
    assert len(catalog.books(SPACE)[0].problems) == 1, "what is accepted now is no problem"


# Embedding


def test_what_is_embedded_where(catalog: Catalog) -> None:
    catalog.add_book(_new("b1", space=SPACE, refused={1: "no"}), "g", 0)
    catalog.add_book(_new("b2"), "g", 0)
    catalog.add_book(_new("b3", passages=[]), "g", 0)
    assert catalog.embedded_passages(SPACE) == 1
    assert catalog.unembedded_books(SPACE) == ["b2"], "a book without passages needs nothing"
    assert catalog.unembedded_books(OTHER_SPACE) == ["b1", "b2"]
    catalog.set_embedded("b2", SPACE, {})
    catalog.set_embedded("b2", OTHER_SPACE, {0: "no"})
    assert catalog.embedded_passages(SPACE) == 3
    assert catalog.embedded_passages(OTHER_SPACE) == 1
    assert catalog.embedded_spaces() == {SPACE, OTHER_SPACE}
    catalog.forget_embedded(SPACE, catalog.book_ids())
    assert catalog.embedded_passages(SPACE) == 0
    assert catalog.embedded_passages(OTHER_SPACE) == 1
    assert catalog.unembedded_books(SPACE) == ["b1", "b2"]


# Jobs


def test_jobs_are_first_come_first_and_none_twice(catalog: Catalog) -> None:
    catalog.queue([Path("/z.pdf"), Path("/a.pdf"), Path("/z.pdf")])
    catalog.queue([Path("/m.pdf"), Path("/a.pdf")])
    assert [job.path for job in catalog.jobs()] == ["/z.pdf", "/a.pdf", "/m.pdf"]
    first = catalog.jobs()[0]
    catalog.end_job(first.id)
    assert [job.path for job in catalog.jobs()] == ["/a.pdf", "/m.pdf"]
    catalog.queue([Path("/z.pdf")])
    assert [job.path for job in catalog.jobs()] == ["/a.pdf", "/m.pdf", "/z.pdf"]
    catalog.end_all_jobs()
    assert catalog.jobs() == []


def test_jobs_have_a_kind_and_the_urgent_ones_come_first(catalog: Catalog) -> None:
    catalog.queue([Path("/z.pdf"), Path("/a.pdf")])
    catalog.queue([Path("/a.pdf")], "other")
    catalog.queue([Path("/now.pdf"), Path("/a.pdf")], priority=2)
    assert [(job.path, job.priority) for job in catalog.jobs()] == [
        ("/now.pdf", 2), ("/z.pdf", 0), ("/a.pdf", 0),
    ]  # fmt: skip
    catalog.set_waiting("OpenAI does not answer.")
    assert [(job.path, job.kind, job.waiting) for job in catalog.jobs("other")] == [
        ("/a.pdf", "other", "")
    ]
    catalog.end_all_jobs("add")
    assert (catalog.jobs(), len(catalog.jobs("other"))) == ([], 1)


def test_waiting_says_what_for(catalog: Catalog) -> None:
    catalog.queue([Path("/a.pdf"), Path("/b.pdf")])
    catalog.set_waiting("OpenAI does not answer.")
    catalog.queue([Path("/a.pdf"), Path("/c.pdf")])
    assert [(job.path, job.waiting) for job in catalog.jobs()] == [
        ("/a.pdf", "OpenAI does not answer."),
        ("/b.pdf", "OpenAI does not answer."),
        ("/c.pdf", ""),
    ]
    catalog.set_waiting("")
    assert {job.waiting for job in catalog.jobs()} == {""}


def test_a_job_notes_how_far_it_is_and_no_other_does(catalog: Catalog) -> None:
    catalog.queue([Path("/a.pdf"), Path("/b.pdf")])
    catalog.note_progress(1, "reading", 3, 12)
    catalog.note_progress(1, "embedding", 0, 7)
    assert catalog.jobs() == [
        Job(1, "/a.pdf", "", "embedding", 0, 7), Job(2, "/b.pdf", "", "", 0, 0)
    ]  # fmt: skip
    catalog.note_progress(99, "reading", 1, 1)
    assert len(catalog.jobs()) == 2


def test_a_new_title_changes_nothing_else(catalog: Catalog, file: Path) -> None:
    catalog.add_book(_new("b1"), "g1", 0)
    catalog.add_book(_new("b2"), "g2", 0)
    before = _rows(file)
    catalog.rename_book("b1", "다른 제목")
    catalog.rename_book("none", "nobody's")
    (book,) = (book for book in catalog.books() if book.id == "b1")
    assert (book.title, book.file) == ("다른 제목", "b1.pdf")
    catalog.rename_book("b1", "Title of b1")
    assert _but_changes(_rows(file)) == _but_changes(before)


# The file


def test_a_catalog_of_the_first_version_keeps_what_it_has(file: Path) -> None:
    database = open_database(file, MIGRATIONS[:1])
    database.execute("INSERT INTO job (path, waiting) VALUES ('/a.pdf', 'no Chroma')")
    database.execute("INSERT INTO book VALUES ('b1', 'Title', 'b1.pdf', 'now')")
    database.execute("INSERT INTO page VALUES ('b1', 7, '7', '', '[]', 'damaged', '')")
    database.close()
    catalog = Catalog(file)
    assert catalog.jobs() == [Job(1, "/a.pdf", "no Chroma")]
    assert [book.problems for book in catalog.books()] == [("page 7: damaged",)]
    catalog.close()


def test_a_catalog_of_before_revisions_says_which_text_each_book_has(file: Path) -> None:
    with closing(open_database(file, MIGRATIONS[:5])) as database:
        database.execute("INSERT INTO job (path, waiting) VALUES ('/a.pdf', 'no Chroma')")
        database.execute("INSERT INTO book VALUES ('b1', 'Title of b1', 'b1.pdf', 'now')")
        new = _new()
        for page in new.pages:
            database.execute("INSERT INTO page VALUES (?, ?, ?, ?, ?, ?, ?)", page_row("b1", page))
        seal_book(database, "b1")
        seal = database.execute("SELECT * FROM seal").fetchall()
        assert list(torn_tables(database, CATALOG_TABLES)) == []
        assert len(told_rows(database, "job", CATALOG_TABLES["job"])[1]) == 1
    with closing(Catalog(file)) as catalog:
        assert catalog.texts() == [new.text]
        assert catalog.jobs() == [Job(1, "/a.pdf", "no Chroma")]
        catalog.queue([Path("/b.pdf")], priority=1)
    with closing(open_database(file, MIGRATIONS)) as database:
        assert database.execute("SELECT * FROM seal").fetchall() == seal
        assert list(torn_tables(database, CATALOG_TABLES)) == []
        assert schema_of(database) == fresh_schema(MIGRATIONS)


def test_a_migration_takes_no_damage_for_right(file: Path) -> None:
    with closing(open_database(file, MIGRATIONS[:5])) as database:
        database.execute("INSERT INTO job (path, waiting) VALUES ('/a.pdf', '')")
        database.execute("UPDATE twin SET row = replace(row, 'a.pdf', 'b.pdf')")
    Catalog(file).close()
    with closing(open_database(file, MIGRATIONS)) as database:
        assert list(torn_tables(database, CATALOG_TABLES)) == ["job"]


def test_two_connections_see_each_others_commits(catalog: Catalog, file: Path) -> None:
    with closing(Catalog(file)) as other:
        catalog.queue([Path("/a.pdf")])
        assert other.jobs() == [Job(1, "/a.pdf", "")]
        other.add_book(_new(), "g1", 1)
        assert catalog.jobs() == []
        assert catalog.has_book("b1")
        assert catalog.index_commit() == "g1"
        catalog.remove_book("b1", "g2")
        assert other.book_ids() == []
        assert other.index_commit() == "g2"


def test_readers_do_not_wait_for_the_writer(catalog: Catalog, file: Path) -> None:
    catalog.add_book(_new("b1"), "g", 0)
    with closing(open_database(file, MIGRATIONS)) as database:
        with transaction(database) as writing:
            writing.execute("DELETE FROM book")
            assert catalog.book_ids() == ["b1"], "not yet"
        assert catalog.book_ids() == []


def test_what_was_committed_is_there_after_opening_again(catalog: Catalog, file: Path) -> None:
    assert catalog.index_commit() is None
    catalog.add_book(_new(), "g1", 0)
    catalog.set_index_commit("g2")
    catalog.close()
    with closing(Catalog(file)) as again:
        assert again.books() == [_new().book]
        assert again.index_commit() == "g2"


@pytest.mark.slow
def test_several_processes_may_make_the_same_database_at_once(tmp_path: Path) -> None:
    program = """if True:
        import sys
        from pathlib import Path
        from bookbrain.store.catalog import Catalog
        print("ready", flush=True)
        for name in sys.stdin:
            Catalog(Path(sys.argv[1], name.strip())).close()
    """
    command = [sys.executable, "-c", program, str(tmp_path)]
    racing = [
        subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) for _ in range(4)
    ]
    assert [process.stdout.readline() for process in racing if process.stdout] == ["ready\n"] * 4
    for number in range(100):
        for process in racing:
            print(number, file=process.stdin, flush=True)
    assert [process.communicate()[1] for process in racing] == [""] * 4


def test_the_file_is_its_owners_alone(catalog: Catalog, file: Path) -> None:
    catalog.queue([Path("/a.pdf")])
    assert {
        path.name: oct(path.stat().st_mode & 0o777) for path in file.parent.glob("*sqlite3*")
    } == {
        "catalog.sqlite3": "0o600",
        "catalog.sqlite3-wal": "0o600",
        "catalog.sqlite3-shm": "0o600",
    }


def test_migrations_run_once_each_and_in_order(file: Path) -> None:
    ran: list[int] = []
    steps = [lambda _db, n=n: ran.append(n) for n in (1, 2, 3)]
    open_database(file, steps[:1]).close()
    open_database(file, steps).close()
    open_database(file, steps).close()
    assert ran == [1, 2, 3]


def test_a_migration_that_fails_leaves_the_version_before(file: Path) -> None:
    def fail(database: sqlite3.Connection) -> None:
        database.execute("CREATE TABLE half (made)")
        raise ZeroDivisionError

    Catalog(file).close()
    before = _rows(file)
    with pytest.raises(ZeroDivisionError):
        open_database(file, (*MIGRATIONS, fail))
    assert _rows(file) == before
    Catalog(file).close()  # neither newer nor damaged


def _overwrite_start(file: Path) -> None:
    file.write_bytes(b"%PDF-1.7 " * 2000)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


def _overwrite_schema(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100] + b"\xff" * 3996 + file.read_bytes()[4096:])


@pytest.mark.parametrize("damage", [_overwrite_start, _cut, _overwrite_schema])
def test_a_damaged_catalog_is_named(file: Path, damage: Callable[[Path], None]) -> None:
    catalog = Catalog(file)
    catalog.add_book(_new(), "g", 0)
    catalog.close()
    damage(file)
    with pytest.raises(BookBrainError, match="is damaged") as refused:
        Catalog(file).books()
    assert str(file) in refused.value.message
    assert "backup" in refused.value.hint


def test_its_state_tells_of_every_change(catalog: Catalog, file: Path) -> None:
    seen = {catalog.state()}
    assert {catalog.state(), catalog.state()} == seen

    def changes(change: Callable[[], object]) -> None:
        change()
        assert catalog.state() not in seen
        seen.add(catalog.state())
        assert catalog.state() in seen

    with closing(Catalog(file)) as other:
        changes(lambda: catalog.add_book(_new(), "g1", 0))
        changes(lambda: other.set_embedded("b1", SPACE, {}))
        changes(lambda: catalog.forget_embedded(SPACE, catalog.book_ids()))
        changes(lambda: other.remove_book("b1", "g2"))
