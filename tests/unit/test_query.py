"""What a person typed, read without ever failing but in one way."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookbrain.errors import InputError
from bookbrain.index.analyzer import fold
from bookbrain.search.syntax import (
    MAX_QUERY,
    Instruction,
    option_pattern,
    parse_query,
    phrase_pattern,
)


def read(typed: str) -> list[str]:
    """What may be a command, with the sign of its kind, and a ? where only the books can tell."""
    return [
        f"{'-' if one.kind == 'without' else '+'}{one.words}{'' if one.certain else '?'}"
        for one in parse_query(typed).instructions
    ]


@pytest.mark.parametrize(
    ("typed", "commands"),
    [
        ("cancel a future", []),
        ('how "exactly this" works', ["+exactly this"]),
        ('"read committed"?', ["+read committed"]),
        ("“둥근 따옴표”", ["+둥근 따옴표"]),
        ('"낙관적 락"은 무엇인가', ["+낙관적 락"]),
        ('-java "exact phrase"', ["-java?", "+exact phrase"]),
        ("spring -boot, -cloud", ["-boot?", "-cloud?"]),
        ("컬렉션 -자바", ["-자바"]),
        ('lock -"dead lock" -"wait"', ["-dead lock", "-wait"]),
        ('"thenCompose"', ["+thenCompose"]),
        ('"thenCompose" -java', ["+thenCompose", "-java?"]),
        ('"thenCompose" async', ["+thenCompose?"]),
        ('+"thenCompose" async', ["+thenCompose"]),
        ("c -c++ -c#", ["-c++?", "-c#?"]),
    ],
)
def test_commands(typed: str, commands: list[str]) -> None:
    assert read(typed) == commands


@pytest.mark.parametrize(
    ("typed", "maybe"),
    [
        ("lspci -nn", ["-nn?"]),
        ("tar -xzf backup", ["-xzf?"]),
        ("tar -xzf backup.tar.gz -C /srv", ["-xzf?"]),
        ("Pin-Priority: -1", []),
        ("dput --delayed", []),
        ("java -XX:+UseG1GC -Dspring.profiles.active=dev -jar app.jar", ["-jar?"]),
        ("docker run -p8080:80 -v/srv:/data", []),
        ("well-known", []),
        ('an "open quote', []),
        ('15" monitor -deposit', ["-deposit?"]),
        ('{"name": "nginx", "image": "nginx:1.25"}', []),
        ('"key": "value"', []),
        ('File "app.py", line 3, in <module>', []),
        ('printf("%s\\n", "some words")', []),
        ('he said "no" and "never again', []),
        ("it's the user's 'own' choice", []),
        ("『스프링 인 액션』 빈의 수명", []),
        ("「낙관적 락」 예제", []),
        ('git commit -m "fix the bug"', ["+fix the bug?"]),
        ('Exception in thread "main" java.lang.NullPointerException', ["+main?"]),
        ('first line\nwith "two words" -and more', []),
        ('Traceback "a b" -x1 ' + "word " * 60, []),
    ],
)
def test_what_people_paste_is_no_command_for_certain(typed: str, maybe: list[str]) -> None:
    assert read(typed) == maybe


def test_a_long_phrase_is_still_one() -> None:
    assert read(f'"{"many words " * 40}"') == ["+" + ("many words " * 40).strip()]


def test_what_is_asked_is_without_the_commands_that_are_obeyed() -> None:
    parsed = parse_query('tar -xzf "some words" end')
    without, exactly = parsed.instructions
    assert parsed.text([]) == parsed.line == 'tar -xzf "some words" end'
    assert parsed.text([without, exactly]) == "tar some words end"
    assert parsed.otherwise(without, obeyed=True) == 'tar xzf "some words" end'
    assert parsed.otherwise(without, obeyed=False) == 'tar -"xzf" "some words" end'
    assert parsed.otherwise(exactly, obeyed=True) == "tar -xzf some words end"
    assert parsed.beside(without) == "tar"
    assert parsed.beside(exactly) == "tar"
    (alone,) = parse_query("-jar app.jar").instructions
    assert parse_query("-jar app.jar").beside(alone) == "app.jar"
    (alone,) = parse_query("the -jar").instructions
    assert parse_query("the -jar").beside(alone) == ""


@pytest.mark.parametrize("typed", ["spring -boot", 'find "main" in it'])
def test_the_other_way_is_a_query_that_is_read_so(typed: str) -> None:
    parsed = parse_query(typed)
    (one,) = parsed.instructions
    (insisted,) = parse_query(parsed.otherwise(one, obeyed=False)).instructions
    assert (insisted.kind, insisted.words, insisted.certain) == (one.kind, one.words, True)
    assert parse_query(parsed.otherwise(one, obeyed=True)).instructions == ()


@pytest.mark.parametrize("typed", ["", "   ", '"', '""', "\x00\x07", "『』"])
def test_nothing_to_look_for(typed: str) -> None:
    with pytest.raises(InputError) as error:
        parse_query(typed)
    assert error.value.hint


@given(st.text(alphabet=st.sampled_from('ab가 "-+.\n「'), max_size=60) | st.text(max_size=300))
def test_any_text_is_a_query_or_a_clear_error(typed: str) -> None:
    try:
        query = parse_query(typed)
    except InputError:
        return
    places = [(one.start, one.end) for one in query.instructions]
    assert places == sorted(places)
    assert all(a[1] <= b[0] for a, b in pairwise(places))
    assert len(query.rest) == len(query.line)
    for one in query.instructions:
        assert isinstance(one, Instruction)
        assert one.words in query.line[one.start : one.end]


def test_a_long_query_is_cut() -> None:
    assert len(parse_query("x" * 2 * MAX_QUERY).line) == MAX_QUERY


@pytest.mark.parametrize("text", ["lspci -nn", "run (-nn)", "`-nn`", "\n-nn shows"])
def test_an_option_is_found(text: str) -> None:
    assert option_pattern("nn").search(text)


def test_letters_that_are_no_word_may_lack_their_minus_behind_their_command() -> None:
    assert option_pattern("xvzf", "tar").search("run tar xvzf a.tar.gz")
    assert not option_pattern("xvzf", "tar").search("run star xvzf or xvzf or tar xvzfk")
    assert not option_pattern("boot", "spring").search("the spring boot project")
    assert not option_pattern("JDBC", "Spring").search("the Spring JDBC project")


@pytest.mark.parametrize("text", ["lspci -NN", "a-nn", "--nn", "-nnk", "-nn-x", "- nn", "nn"])
def test_an_option_is_not_found(text: str) -> None:
    assert not option_pattern("nn").search(text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("exact phrase", "an Exact\nPhrase here"),
        ("메모리 관리", "메모리관리"),
        ("메모리관리", "메모\n리 관리"),
        ("keep-consoles", "keep\u2011consoles"),
        ("a.b(c)*", "call a.b(c)* now"),
        ("lock.lock(); balance += 1;", "3 {\n 4 lock.lock();\n 5 balance += 1;\n 6 }"),
        ("df -Tl", "df\u2212Tl"),
        ("dput --delayed", "dput \u2013delayed"),
        ('thread "main"', "thread \u201cmain\u201d"),
        ("thread pool", "two thread pools"),
        ("힙과 JVM", "힙과 JVM은"),
    ],
)
def test_a_phrase_is_found(phrase: str, text: str) -> None:
    assert phrase_pattern(phrase).search(fold(text))


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("exact phrase", "exactphrase"),
        ("a.b", "acb"),
        ("둘 셋", "셋 둘"),
        ("form data", "platform data"),
        ("form data", "a form database"),
        ("Java 1", "Java 11"),
    ],
)
def test_a_phrase_is_not_found(phrase: str, text: str) -> None:
    assert not phrase_pattern(phrase).search(fold(text))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("1 " * 60 + "2", "1\n" * 300),  # each number could be that of its line
        ("a 1 " * 40 + "z", "a\n1 " * 300),
        ("-- " * 60 + "x", "-" * 600),
        ("-" * 80 + "x", "-" * 600),
        ("가 " * 60 + "x", "가\n 1 " * 300),
        ("( " * 60 + "x", "(\n1 " * 300),
    ],
)
def test_a_phrase_is_looked_for_in_one_way(phrase: str, text: str) -> None:
    """Or a table of numbers, or a line of dashes, would hold up a search for years."""
    assert not phrase_pattern(phrase).search(text)
