"""Everything that a person can be shown is in the Korean catalogue, and is found there again."""

import ast
import gettext
import json
import re
import shutil
import subprocess
import sys
from copy import deepcopy
from functools import cache
from pathlib import Path
from string import Formatter
from unicodedata import east_asian_width
from zipfile import ZipFile

import click
import pytest
from babel.messages.pofile import read_po
from click.testing import CliRunner, Result
from support.shelf import Shelf
from support.shown_texts import given_as_data, run_together, shown_texts

import bookbrain.admin
import bookbrain.cli
from bookbrain.cli.command import Commands
from bookbrain.errors import NotFoundError, UnavailableError
from bookbrain.messages import (
    as_row,
    fill,
    language,
    message_of,
    of_row,
    packed,
    translated,
    unpacked,
)
from bookbrain.model import bill

pytestmark = pytest.mark.xdist_group("trees")

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "bookbrain"
with (PACKAGE / "i18n" / "ko.po").open("rb") as source:
    MESSAGES = [message for message in read_po(source, abort_invalid=True) if message.id]
# By the English; of a message with a plural by its singular.
CATALOGUE: dict[str, str] = {
    message.id[0] if message.pluralizable else message.id: (
        message.string[0] if message.pluralizable else message.string
    )
    for message in MESSAGES
}
EXAMPLES = ["1,234", "BOOKBRAIN_X", fill("exit code {code}", code=31), "Go. Mend it. {x} %s"]


@cache
def _shown() -> set[str]:
    return shown_texts(PACKAGE)


def _of_click() -> dict[str, set[str]]:
    """Its own messages, as it asks gettext for them: the names in each and in its plural."""
    found: dict[str, set[str]] = {"required": set()}  # gettext(extra["required"])
    for path in Path(click.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_", "ngettext"):
                texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                if texts:
                    found[texts[0]] = {field for text in texts for field in _fields(text)}
    return found


# Names that stay as they are in Korean.
NAMES = {
    "BookBrain", "bookbrain", "OpenAI", "Chroma", "PDF", "JSON", "ID", "API", "UTF", "GB", "ms",
    "stderr", "Ctrl", "env", "sk", "FILE", "PATH", "convex", "rrf", "id", "query", "book", "pages",
    "also", "Books", "local", "share", "embed", "add", "p50", "p95", "sudo", "root", "MB",
    "Apprise", "tesseract", "OCR", "UTC", "MCP", "Claude", "Code", "Cursor", "VS", "README",
}  # fmt: skip


def _fields(template: str) -> list[str]:
    """The names in a template, as they stand in it."""
    own = [
        name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
        for _, name, form, conversion in Formatter().parse(template)
        if name is not None
    ]
    return own + re.findall(r"%\(\w+\)s", template)


OF_CLICK = _of_click()


def test_the_collector_sees_texts_of_every_kind() -> None:
    for text in (
        "it is protected by a password",
        "There is no book {reference}.",
        "Only say what it would take, and cost.",
        "{added} added, {known} already there, {failed} not added.",
        "{counts} Embedding: {bill}.",
        "damaged",
        "{where} did not answer in {seconds} s.",
        "Nothing is embedded twice.",
        "Chroma at {url} does not answer.",
        "Another bookbrain is writing to the library: waiting for it …",
    ):
        assert any(text in shown for shown in _shown()), text
    assert len(_shown()) > 150


def test_every_shown_text_has_a_korean_one() -> None:
    assert sorted(_shown() - set(CATALOGUE)) == []


def test_every_text_of_click_has_a_korean_one() -> None:
    assert len(OF_CLICK) > 50
    assert sorted(set(OF_CLICK) - set(CATALOGUE)) == []


@pytest.mark.slow
def test_data_are_never_run_together_with_our_words() -> None:
    assert run_together(PACKAGE) == []


@pytest.mark.slow
def test_no_words_of_ours_are_given_as_data() -> None:
    assert given_as_data(PACKAGE) == []


def test_no_entry_is_left_over() -> None:
    assert sorted(set(CATALOGUE) - _shown() - set(OF_CLICK)) == []


def test_every_entry_is_there_once_and_whole() -> None:
    assert len(CATALOGUE) == len(MESSAGES)
    assert [message.id for message in MESSAGES if message.fuzzy or not message.string] == []


def test_every_entry_has_the_names_of_the_english() -> None:
    for english, korean in CATALOGUE.items():
        fields = _fields(korean)
        if english in OF_CLICK and english not in _shown():  # a plural has the names of both
            left_out = {"number_type"}  # "integer range", which click does not translate
            assert {*fields} <= OF_CLICK[english], english
            assert OF_CLICK[english] - {*fields} <= {"possibility", "choice", "format"} | left_out
        else:
            assert sorted(fields) == sorted(_fields(english)), english
            assert all(field.isidentifier() for field in fields), english


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_entry_is_found_again_with_its_values(example: str) -> None:
    for english, korean in CATALOGUE.items():
        if english not in _shown():
            continue
        values = dict.fromkeys(_fields(english), example)
        shown = dict.fromkeys(values, "종료 코드 31" if example == "exit code 31" else example)
        filled = fill(english, **values)
        expected = korean.format(**shown)
        assert translated(filled, "ko") == expected
        error = fill("Error: {message}", message=filled)
        assert translated(error, "ko") == f"오류: {expected}"
        assert translated(filled, "en") == filled == english.format(**values)
        for copy in (unpacked(json.loads(json.dumps(packed(error)))), of_row(as_row(error))):
            assert translated(copy, "ko") == f"오류: {expected}"


def test_the_korean_is_korean() -> None:
    for entry in CATALOGUE.values():
        korean = re.sub(r"`[^`]*`|[A-Z]+_[A-Z_]+|\{\w+[^{}]*\}|%\(\w+\)s|--\w+", " ", entry)
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
                    "{pages} pages, {passages} passages, {tokens}",
                    pages=9,
                    passages=3,
                    tokens=bill(5000, 0.02, about=True),
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
                    "{path} cannot be read: {reason}.", path="/Vol. 1/bookbrain.env", reason="no"
                ),
            ),
            "오류: 읽을 수 없습니다: /Vol. 1/bookbrain.env (no).",
        ),
        (fill("Error: {message}", message="Who knows. Try again."), "오류: Who knows. Try again."),
        (
            fill("Keyword search only. {reason}", reason="Who knows."),
            "키워드로만 검색했습니다. Who knows.",
        ),
        (fill("Error: {message}", message="it is empty"), "오류: it is empty"),
        (
            fill("{what} of {title}", what=message_of("damaged"), title="damaged"),
            "손상됨 of damaged",
        ),
        ("Something else entirely.", "Something else entirely."),
        (fill("vectors that cannot be right: {count}", count=31), "잘못된 벡터 31개"),
        ("vectors that cannot be right: 31", "vectors that cannot be right: 31"),
        ("it is empty", "파일이 비어 있습니다"),
        ("Removed {title}. Removed Go.", "Removed {title}. Removed Go."),
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
    for copy in (deepcopy(said), unpacked(packed(said)), of_row(as_row(said))):
        assert copy == said
        assert translated(copy, "ko") == "파일이 손상되었습니다: Go. Mend it (it is empty)."
    assert of_row("another") == as_row("another") == "another"


@pytest.mark.parametrize(
    "kept",
    [
        *TITLES, "[", '["', '["a"]', '["{x}", {}]', '["{x.y}", {"x": "z"}]', '["{", {}]',
        '["a", 1]', '["Removed {x}.", {"x": 1}]', '["a", {"x": 1}]', '["{}", {"": 1}]',
        '["x", {}, ""]', pytest.param('["a", ' + "[" * 100_000, id="deep"),
        '[["Removed ", "."], ["Go"], ""]',
    ],
)  # fmt: skip
def test_what_is_no_message_is_shown_as_it_is(kept: str) -> None:
    """Rows come out of restored backups too: no template gets more than its values."""
    assert of_row(kept) == of_row(as_row(kept)) == kept
    assert translated(of_row(as_row(kept)), "ko") == kept or kept in CATALOGUE
    assert translated(of_row(kept), "ko") == kept or kept in CATALOGUE


def test_a_template_that_was_kept_formats_nothing() -> None:
    kept = of_row('["{x:>99999999999} {x!r}", {"x": "Go"}]')
    assert kept == translated(kept, "ko") == "Go Go"


def test_a_datum_that_looks_like_a_message_is_kept_as_a_datum() -> None:
    datum = as_row(fill("Removed {title}.", title="Go"))
    assert of_row(as_row(datum)) == datum
    assert translated(of_row(as_row(datum)), "ko") == datum


def test_passwords_in_data_are_left_out_and_the_rest_is_translated() -> None:
    url = "http://me:secret@chroma. Mend it.:8000"
    error = UnavailableError(fill("Chroma at {url} does not answer.", url=url))
    assert "secret" not in repr(error) + repr(error.message.values)
    assert translated(error.message, "ko").startswith("Chroma가 응답하지 않습니다: http://…@")


def test_a_message_is_looked_up_by_its_template_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each message in it, whatever its data are."""
    asked: list[str] = []
    find = gettext.GNUTranslations.gettext

    def noted(catalogue: gettext.GNUTranslations, text: str) -> str:
        asked.append(text)
        return find(catalogue, text)

    monkeypatch.setattr(gettext.GNUTranslations, "gettext", noted)
    title = "Removed a. Mend it. " * 500
    removed = fill("Removed {title}.", title=title)
    message = fill("{what} and {more} {x}", what=removed, more=title, x=message_of("damaged"))
    assert title in translated(message, "ko")
    assert asked == ["{what} and {more} {x}", "Removed {title}.", "damaged"]


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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("serch", "그런 명령은 없습니다: 'serch'. 혹시 이것입니까? 'search', 'serve'"),
        ("search", "빠진 인자: 'QUERY...'."),
        ("search --bogus a", "그런 옵션은 없습니다: '--bogus'."),
        ("search --mode x a", "'--mode' 값이 올바르지 않습니다: 고를 수 없는 값입니다: 'x'"),
        ("search -k", "값이 1개 필요한 옵션입니다: '-k'."),
        ("serve --port x", "'--port' 값이 올바르지 않습니다: 올바른 수가 아닙니다: 'x'."),
        ("serve --port 0", "범위를 벗어났습니다: 0 (범위: 1<=x<=65535)."),
        ("books a b", "알 수 없는 인자가 더 있습니다(a b)"),
        ("books --json=x", "값을 받지 않는 옵션입니다: '--json'."),
    ],
)
def test_what_click_says_is_in_korean(line: str, words: str) -> None:
    for _ in range(2):  # one language does not stay for the next
        english = _run(bookbrain.cli.main, "C.UTF-8", *line.split())
        korean = _run(bookbrain.cli.main, "ko_KR.UTF-8", *line.split())
        assert english.exit_code == korean.exit_code == 2
        assert "Error: " in english.stderr and not re.search("[가-힣]", english.stderr)
        assert "오류: " in korean.stderr and words in korean.stderr
        assert not re.search(r"\b(Try|Usage|Error|Invalid|Missing|valid|for)\b", korean.stderr)


def test_a_question_that_is_not_answered_ends_in_korean() -> None:
    @click.command
    def ask() -> None:
        click.confirm("?", abort=True)

    group = Commands("bookbrain", commands={"ask": ask})
    assert _run(group, "ko_KR.UTF-8", "ask").stderr == "중단했습니다.\n"
    assert _run(group, "C.UTF-8", "ask").stderr == "Aborted!\n"


def test_no_catalogue_of_somebody_else_is_opened(tmp_path: Path) -> None:
    """gettext makes a path of LANGUAGE, which sudo lets through."""
    foreign = tmp_path / "LC_MESSAGES"
    foreign.mkdir()
    (foreign / "bookbrain.mo").write_bytes(b"no catalogue")
    group = Commands("bookbrain", commands={})
    runner = CliRunner(env={"LC_ALL": "ko_KR.UTF-8", "LANGUAGE": f"{tmp_path}:ko"})
    failed = runner.invoke(group, ["no"], prog_name="bookbrain")
    assert failed.exit_code == 2
    assert failed.stderr.startswith("Usage: bookbrain")


@pytest.mark.slow
def test_a_wheel_has_the_catalogue(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("bookbrain", "systemd", "packaging"):
        shutil.copytree(
            ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.mo", "__pycache__")
        )
    for name in ("pyproject.toml", "Caddyfile", "install.sh", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    (tree / ".gitignore").touch()
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=tree, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        catalogue = archive.read("bookbrain/i18n/ko/LC_MESSAGES/bookbrain.mo")
    assert catalogue == (PACKAGE / "i18n" / "ko" / "LC_MESSAGES" / "bookbrain.mo").read_bytes()
