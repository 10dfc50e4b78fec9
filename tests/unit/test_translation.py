"""Everything that a person can be shown is in the Korean catalogue, and is found there again."""

import json
import re
import tomllib
from copy import deepcopy
from pathlib import Path
from string import Formatter
from unicodedata import east_asian_width

import click
import pytest
from click.testing import CliRunner, Result
from support.shelf import Shelf
from support.shown_texts import PLACE, run_together, shown_texts

import bookbrain.admin
import bookbrain.cli
from bookbrain.errors import NotFoundError, UnavailableError
from bookbrain.translation import language, translated, ways_of
from bookbrain.wording import fill, message_of, packed, reworded, unpacked, wordings

PACKAGE = Path(__file__).parents[2] / "bookbrain"
CATALOGUE: dict[str, str] = tomllib.loads(
    (PACKAGE / "messages.ko.toml").read_text(encoding="utf-8")
)
SHOWN = sorted(shown_texts(PACKAGE))

# What click writes, and what `bookbrain.cli.help` finds in it.
BY_CLICK = {
    "Options", "Commands", "Show this message and exit.", "Show the version and exit.",
    f"{PLACE}  [default: {PLACE}]",
}  # fmt: skip
EXAMPLES = {
    "d": "1,234",
    "k": "BOOKBRAIN_X",
    "t": fill("exit code {code}", code=31),
    "": "Go. Mend it. {x} %s",
}

# Names that stay as they are in Korean.
NAMES = {
    "BookBrain", "bookbrain", "OpenAI", "Chroma", "PDF", "JSON", "ID", "API", "UTF", "GB", "ms",
    "stderr", "Ctrl", "env", "sk", "FILE", "PATH", "convex", "rrf", "id", "query", "book", "pages",
    "also", "Books", "local", "share", "embed", "add", "p50", "p95", "sudo", "root", "MB",
    "Apprise",
}  # fmt: skip


def _fields(template: str) -> list[tuple[str, str]]:
    return [(name, kind or "") for _, name, kind, _ in Formatter().parse(template) if name]


def _plain(template: str) -> str:
    """The template as `shown_texts` writes it."""
    return "".join(
        text + (PLACE if name else "") for text, name, _, _ in Formatter().parse(template)
    )


ENTRIES = {_plain(english): english for english in CATALOGUE}


def _entries_of(text: str) -> set[str]:
    """The entries that translate it: as a whole, and sentence by sentence; empty without any."""
    sentences = [s for s in re.split(r"(?<=[.?!]) ", text) if s != PLACE]
    known = {s for s in sentences if s in ENTRIES}
    return ({text} & set(ENTRIES)) | (known if len(known) == len(set(sentences)) else set())


def test_the_collector_sees_texts_of_every_kind() -> None:
    for text in (
        "it is protected by a password",
        f"There is no book {PLACE}.",
        "Only say what it would take, and cost.",
        f"{PLACE} added, {PLACE} already there, {PLACE} not added. Embedding: {PLACE}.",
        f"{PLACE}: damaged",
        "Nothing is embedded twice.",
        f"Chroma at {PLACE} does not answer.",
        "Another bookbrain is writing to the library: waiting for it …",
    ):
        assert any(text in shown for shown in SHOWN), text
    assert len(SHOWN) > 150


def test_every_shown_text_has_a_korean_one() -> None:
    assert [text.replace(PLACE, "{…}") for text in SHOWN if not _entries_of(text)] == []


def test_data_are_never_run_together_with_our_words() -> None:
    assert run_together(PACKAGE) == []


def test_no_entry_is_left_over() -> None:
    used = BY_CLICK.union(*map(_entries_of, SHOWN))
    assert [entry for entry in set(ENTRIES) - used if entry.strip(f" !{PLACE}")] == []


def test_every_entry_is_found_again_with_its_values() -> None:
    for english, korean in CATALOGUE.items():
        fields = _fields(english)
        assert sorted(name for name, _ in fields) == sorted(name for name, _ in _fields(korean))
        values = {name: EXAMPLES[kind] for name, kind in fields}
        template = re.sub(r"\{(\w+):\w\}", r"{\1}", english)
        filled = fill(template, **values)
        expected = {n: "종료 코드 31" if v == "exit code 31" else v for n, v in values.items()}
        assert translated(filled, "ko") == korean.format(**expected)
        error = fill("Error: {message}", message=filled)
        assert translated(error, "ko") == f"오류: {korean.format(**expected)}"
        assert translated(filled, "en") == filled == template.format(**values)
        assert translated(unpacked(json.loads(json.dumps(packed(error)))), "ko").endswith(
            korean.format(**expected)
        )


def test_the_korean_is_korean() -> None:
    for entry in CATALOGUE.values():
        korean = re.sub(r"`[^`]*`|[A-Z]+_[A-Z_]+|\{\w+\}|--\w+", " ", entry)
        assert {w for w in re.findall(r"[A-Za-z][A-Za-z0-9]+", korean)} <= NAMES, entry
        if korean.strip(" !:()."):
            assert re.search("[가-힣]", korean), entry


def test_no_particle_depends_on_a_value() -> None:
    particle = r"\w\}\)?(을|를|이|가|은|는|과|와|으로|로|이나|나|이라는|라는)(?![가-힣])"
    assert [entry for entry in CATALOGUE.values() if re.search(particle, entry)] == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko"}, "ko"),
        ({"LANG": "kok_IN.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ko_KR"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": ""}, "ko"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "ko:en"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LANGUAGE": "en_GB:ko"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LANGUAGE": "de:ko"}, "ko"),
        ({"LANG": "C", "LANGUAGE": "ko"}, "en"),
        ({"LANGUAGE": "ko"}, "en"),
    ],
)
def test_the_language_of_an_environment(environ: dict[str, str], expected: str) -> None:
    assert language(environ) == expected


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        (
            fill(
                "{pages}: {problem}",
                pages=fill("pages {numbers}", numbers="1, 3-5"),
                problem=message_of("no text (a scan)"),
            ),
            "1, 3-5쪽: 글자가 없습니다(스캔한 쪽)",
        ),
        (
            fill(
                "not added  {path}: {reason}. {hint}",
                path="/a: b/Vol. 1.pdf",
                reason=message_of("it is empty"),
                hint=message_of("Get the file again."),
            ),
            "넣지 못함  /a: b/Vol. 1.pdf: 파일이 비어 있습니다. 파일을 다시 내려받으십시오.",
        ),
        (
            fill(
                "not added  {path}: {reason}. {hint}",
                path="/x.pdf",
                reason=fill("BookBrain failed on it ({kind})", kind="ValueError"),
                hint=message_of("Please report this; `bookbrain --verbose add` shows where."),
            ),
            "넣지 못함  /x.pdf: BookBrain이 처리하지 못했습니다(ValueError). 이 오류를 "
            "알려 주십시오. `bookbrain --verbose add`가 오류가 난 곳을 보여 줍니다.",
        ),
        (
            fill(
                "would be added   {file}: {title} ({sizes})",
                file="a.pdf",
                title="Java: A Guide (2nd ed.)",
                sizes=fill(
                    "{pages} pages, {passages} passages, {estimate}",
                    pages=9,
                    passages=3,
                    estimate=fill("about {tokens:,} tokens, {cost}", tokens=5000, cost="$0.0001"),
                ),
            ),
            "넣을 책       a.pdf: Java: A Guide (2nd ed.) (9쪽, 구절 3개, 토큰 약 5,000개, "
            "$0.0001)",
        ),
        (
            fill(
                "Keyword search only. {reason}",
                reason=UnavailableError(
                    fill("{where} cannot be reached.", where="OpenAI"),
                    "Run `bookbrain add` again later: it goes on where this stopped.",
                ).whole,
            ),
            "키워드로만 검색했습니다. 연결할 수 없습니다: OpenAI. 나중에 `bookbrain add`를 다시 "
            "실행하십시오. 멈춘 곳에서 이어집니다.",
        ),
        (
            fill(
                "Error: {message}",
                message=fill(
                    "{path} cannot be read: {error}.", path="/Vol. 1/bookbrain.env", error="no"
                ),
            ),
            "오류: 읽을 수 없습니다: /Vol. 1/bookbrain.env (no).",
        ),
        (fill("Error: {message}", message="Who knows. Try again."), "오류: Who knows. Try again."),
        (
            fill("Keyword search only. {reason}", reason="Who knows."),
            "키워드로만 검색했습니다. Who knows.",
        ),
        (
            fill("{what} of {title}", what=message_of("damaged"), title="damaged"),
            "손상됨 of damaged",
        ),
        ("Something else entirely.", "Something else entirely."),
        ("vectors that cannot be right: 31", "잘못된 벡터 31개"),
        ("", ""),
    ],
)
def test_values_are_kept_and_messages_in_messages_translated(english: str, korean: str) -> None:
    assert translated(english, "ko") == korean


def _said_in_all() -> list[str]:
    """Texts that are wholly words of ours, in both languages."""
    return [text for pair in CATALOGUE.items() for text in pair if not _fields(text)]


TITLES = [
    "Go. Mend it", "Java. Run it with sudo", "Nothing was changed.", "Books now: 3.", "{title}",
    "{0}", "%s", "%(title)s", "a\0b", "\0", "", " ", "Go. " * 20, "Line\nbreak. Mend it.",
    "없습니다", "책을 지웠습니다: Go.", "Removed Go.", "damaged", "exit code 31", "pages 1-3",
    "Error: there is no such file", "\ud800", "[[\"Removed \", \".\"], [\"x\"], \"\"]",
]  # fmt: skip


def test_a_datum_is_shown_as_it_is() -> None:
    for title in TITLES + _said_in_all():
        removed = fill("Removed {title}.", title=title)
        assert translated(removed, "ko") == f"책을 지웠습니다: {title}."
        assert translated(removed, "en") == removed == f"Removed {title}."
        error = NotFoundError(
            fill("There is no book {reference!r}.", reference=title), "Try again."
        )
        assert translated(error.whole, "ko") == f"그런 책이 없습니다: {title!r}. 다시 해 보십시오."
        known = fill("added      {what}", what=fill("{file}: {title}", file=title, title=title))
        assert translated(known, "ko") == f"added      {title}: {title}"  # in the catalogue is more


def test_a_message_keeps_its_data_apart_in_copies_and_in_what_is_kept() -> None:
    said = fill(
        "{path} is damaged: {error}.", path="Go. Mend it", error=fill("{x}", x="it is empty")
    )
    kept = json.loads(json.dumps(wordings([said, "plain"])))
    for copy in (deepcopy(said), unpacked(packed(said)), reworded(str(said), kept)):
        assert translated(copy, "ko") == "파일이 손상되었습니다: Go. Mend it (it is empty)."
    assert reworded("another", kept) == "another"


def test_passwords_in_data_are_left_out_and_the_rest_is_translated() -> None:
    url = "http://me:secret@chroma. Mend it.:8000"
    error = UnavailableError(fill("Chroma at {url} does not answer.", url=url))
    assert "secret" not in repr(error) + repr(error.message.values)
    assert translated(error.message, "ko").startswith("Chroma가 응답하지 않습니다: http://…@")


def test_a_message_costs_few_look_ups() -> None:
    """Whatever its data are: they are in no key that is looked up."""
    title = "Removed a. Mend it. " * 500
    for message in (
        fill("Removed {title}.", title=title),
        fill("{counts} {what} and {more}", counts=fill("{x}. {y}", x=title, y=title),
             what=fill("Removed {title}.", title=title), more=title),
    ):  # fmt: skip
        patterns = list(ways_of(message))
        assert len(patterns) <= 8
        assert all(len(pattern) < 60 for pattern, _ in patterns)
        assert title in translated(message, "ko")


def _cells(line: str) -> int:
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in line)


@pytest.mark.slow
def test_the_commands_speak_the_language_of_the_locale(tmp_path: Path) -> None:
    ko = {"LC_ALL": "ko_KR.UTF-8"}
    with Shelf(tmp_path / "home") as shelf:
        assert shelf.add("--sample", **ko).out.startswith("넣음       handbook.pdf: ")
        failed = shelf.add(tmp_path / "none.pdf", code=65, **ko)
        assert failed.err.endswith(
            "none.pdf: 그런 파일이나 폴더가 없습니다. 경로를 확인하십시오.\n"
        )
        english, korean = shelf.run("search", "스레드"), shelf.run("search", "스레드", **ko)
        assert re.search(r"p\. \d+ \(page \d+ of the file\)", english.out)
        assert re.search(r"\d+쪽 \(파일에서 \d+번째 쪽\)", korean.out)
        assert english.err.startswith("Keyword search only. Search by meaning is off")
        assert korean.err.startswith("키워드로만 검색했습니다. 뜻으로 찾기는 꺼져 있습니다.")


def _run(group: click.Group, locale: str, *arguments: str) -> Result:
    runner = CliRunner(env={"LC_ALL": locale, "COLUMNS": "80"})
    return runner.invoke(group, arguments, prog_name="bookbrain")


@pytest.mark.slow
@pytest.mark.parametrize("line", ["books", "search 스레드", "add --dry-run nowhere"])
def test_json_is_the_same_in_every_language(line: str) -> None:
    assert _run(bookbrain.cli.main, "C.UTF-8", "add", "--sample").exit_code == 0
    english, korean = (
        re.sub(
            r'"took_ms": [\d.]+', "", _run(bookbrain.cli.main, e, *line.split(), "--json").stdout
        )
        for e in ("C.UTF-8", "ko_KR.UTF-8")
    )
    assert english == korean
    assert len(json.loads(korean.replace(" ,", ""))) > 0


def test_an_error_is_two_korean_lines() -> None:
    failed = _run(bookbrain.cli.main, "ko_KR.UTF-8", "remove", "nothing")
    assert failed.exit_code == 65
    assert failed.stderr == (
        "오류: 그런 책이 없습니다: 'nothing'.\n다음: ID는 `bookbrain books`가 보여 줍니다.\n"
    )
    assert _run(bookbrain.cli.main, "C.UTF-8", "remove", "nothing").stderr == (
        "Error: There is no book 'nothing'.\nNext:  `bookbrain books` lists the ids.\n"
    )


@pytest.mark.parametrize("group", [bookbrain.cli.main, bookbrain.admin.main])
def test_help_is_in_korean_and_fits_the_screen(group: click.Group) -> None:
    for command in ([], *([name] for name in group.commands)):
        assert _run(group, "C.UTF-8", *command, "--help").stdout.startswith("Usage: ")
        korean = _run(group, "ko_KR.UTF-8", *command, "--help").stdout
        assert korean.startswith("사용법: ")
        assert max(map(_cells, korean.splitlines())) <= 80
        assert "\u2060" not in korean
        prose = re.sub("(?m)^ +bookbrain .*", "", korean)
        assert not re.search(r"\b(the|and|of|by|is|a|that)\b", prose)
