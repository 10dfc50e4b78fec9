"""What of a query is text and what a command, as the books decide it; and what is found then."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support import pdfs

from bookbrain.errors import InputError
from bookbrain.library import Library
from bookbrain.model import SearchResult
from bookbrain.settings import Settings

PAGES = (
    "Start the application with java -jar app.jar on a small machine.",
    "A jar is a zip file with a manifest. The java jar tool makes a jar of it, and a jar is read.",
    "Unpack it with tar -xzf backup.tar.gz into place. List all with ps -ef or with df -Tl here.",
    "The tool tar has an xzf mode, says the backup page on tar, xzf, ps, ef, df and Tl.",
    'It says: Cannot invoke "String.length()" because "name" is null; a NullPointerException.',
    "Exception in thread \u201cmain\u201d java.lang.ArithmeticException: / by zero",
    "The main thread of java ends when main ends; a main exception is thrown in main.",
    "Spring is a framework. Spring Boot starts it.",
    "Spring is a season, and walks are long.",
    "An arrow -> separates parameters; Foo::bar is a method reference, a != b an inequality.",
    "스프링 빈의 수명은 범위로 정한다.",
    "A saga is a sequence in which a failure is repaired by a compensating",
    "transaction that undoes what was done before. The transaction is small.",
    "This page ends in the middle of the word lineariz-",
    "ability, which is a promise about single objects.",
    "To pack all of it, tar cvzf home.tar.gz home is typed.",
)  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("typed")
    with Library(Settings(home=folder / "library")) as library:
        library.add([pdfs.book(folder / "commands.pdf", PAGES, title="Commands")])
        yield library


def ask(library: Library, query: str) -> SearchResult:
    return library.search(query, mode="keyword")


def pages(result: SearchResult) -> list[int]:
    return [hit.page for hit in result.hits]


def read(result: SearchResult) -> list[str]:
    return [f"{clause.kind} {clause.words}" for clause in result.read_as.clauses]


@pytest.mark.parametrize(
    ("query", "page", "said"),
    [
        ("java -jar app.jar", 1, ["text jar"]),
        ("-jar", 1, ["text jar"]),
        ("tar -xzf backup", 3, ["text xzf"]),
        ("ps -ef", 3, ["text ef"]),
        ("df -Tl", 3, ["text Tl"]),
        ('Cannot invoke "String.length()" because "name" is null', 5,
         ["exactly String.length()", "exactly name"]),
        ('Cannot invoke "Foo.size()" because "<local4>" is null', 5,
         ["absent Foo.size()", "absent <local4>"]),
        ('Exception in thread "main" java.lang.ArithmeticException', 6, ["exactly main"]),
        ('Exception in thread "worker" java.lang.ArithmeticException', 6, ["absent worker"]),
        ("『스프링 인 액션』 빈의 수명", 11, []),
        ("spring -boot", 9, ["without boot"]),
        ("tar -cvzf home.tar.gz home", 16, ["text cvzf"]),
    ],
)  # fmt: skip
def test_the_page_and_how_the_query_was_read(
    library: Library, query: str, page: int, said: Sequence[str]
) -> None:
    result = ask(library, query)
    assert pages(result)[:1] == [page]
    assert read(result) == said
    assert not result.read_as.remark


def test_a_command_is_obeyed_where_the_books_print_no_such_option(library: Library) -> None:
    assert 8 not in pages(ask(library, "spring -boot"))
    assert 1 not in pages(ask(library, 'java -"jar"'))
    assert read(ask(library, 'java -"jar"')) == ["without jar"]
    assert pages(ask(library, '-jar "zip file"')) == [2]


def test_words_with_signs_are_left_out_as_they_are_typed(tmp_path: Path) -> None:
    texts = [
        "Pointers of C.",
        "Pointers of C++ are smart.",
        "Pointers in node.",
        "On node.js none.",
    ]
    with Library(Settings(home=tmp_path / "library")) as library:
        library.add([pdfs.book(tmp_path / "languages.pdf", texts, title="Languages")])
        assert sorted(pages(ask(library, "pointers -c++"))) == [1, 3]
        assert sorted(pages(ask(library, "node -node.js"))) == [3]


@pytest.mark.parametrize(
    ("query", "kinds"),
    [("spring -boot", []), ("ps -ef", ["without"]), ('Cannot "Foo" invoke', ["exactly"])],
)
def test_the_other_way_is_one_query_away(library: Library, query: str, kinds: list[str]) -> None:
    (clause,) = ask(library, query).read_as.clauses
    other = ask(library, clause.other)
    kinds = {c.kind for c in other.read_as.clauses}
    assert kinds == (
        set() if clause.kind == "without" else {"without"} if "-" in query else {"exactly"}
    )


def test_where_commands_leave_nothing_the_plain_words_are_found_and_that_is_said(
    library: Library,
) -> None:
    for query in ('"no such thing" spring', "season -walks", 'saga -"is a sequence"'):
        result = ask(library, query)
        assert result.hits
        assert result.read_as.plain
        assert "plain words" in result.read_as.remark
    nothing = ask(library, '"zebra crossing"')
    assert not nothing.hits
    assert not nothing.read_as.plain


def test_only_what_to_leave_out_is_no_query(library: Library) -> None:
    for query in ("-boot", '-"zip file" -spring'):
        with pytest.raises(InputError) as error:
            ask(library, query)
        assert error.value.hint


@pytest.mark.parametrize(("sign", "page"), [("::", 10), ("->", 10), ("!=", 10), ('"!="', 10)])
def test_signs_alone_are_found_as_they_are_typed(library: Library, sign: str, page: int) -> None:
    result = ask(library, sign)
    assert pages(result) == [page]
    assert "<mark>" in result.hits[0].snippet
    book = library.open_book(result.hits[0].book_id)
    assert book.matches(sign) == (page,)
    assert book.marks(book.page(page), sign)


def test_a_sign_that_no_page_has_finds_nothing(library: Library) -> None:
    assert not ask(library, "|>").hits


def test_a_punctuation_mark_alone_is_told_to_be_none(library: Library) -> None:
    with pytest.raises(InputError, match="punctuation"):
        ask(library, ".")


def test_a_phrase_over_a_page_break_is_found_where_it_begins(library: Library) -> None:
    assert pages(ask(library, '"compensating transaction"')) == [12]
    assert pages(ask(library, '"repaired by a compensating transaction that undoes"')) == [12]
    assert pages(ask(library, '"transaction that undoes"')) == [13]


def test_a_word_that_is_cut_at_the_end_of_a_page_is_found_there(library: Library) -> None:
    assert pages(ask(library, "linearizability")) == [14]
    assert pages(ask(library, '"linearizability, which is"')) == [14]


FRAMES = [f"\tat shop.order.Service{n}.handle(Service{n}.java:{40 + n})" for n in range(200)]
MESSAGE = 'Exception in thread "main" java.lang.ArithmeticException: / by zero'


@pytest.mark.parametrize("place", [0, 100, 200])
@pytest.mark.parametrize("between", ["\n", " "])
def test_a_pasted_trace_finds_the_page_of_its_one_known_line(
    library: Library, place: int, between: str
) -> None:
    trace = between.join([*FRAMES[:place], MESSAGE, *FRAMES[place:]])
    result = ask(library, trace)
    assert pages(result)[0] == 6
    assert not read(result)


def test_the_reader_reads_a_query_as_the_search_does(library: Library) -> None:
    book = library.open_book(library.books()[0].id)
    assert book.matches("tar -xzf") == (3, 4)
    assert book.matches("spring -boot") == (9,)
    assert book.matches("season -walks") == (9,)
