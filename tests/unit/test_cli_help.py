"""Help of every command, and the documents that name them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bookbrain import __version__
from bookbrain.admin import main as admin
from bookbrain.cli import main as bookbrain

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.ko.md")
# Where the table of commands is that goes with each.
REFERENCES = {
    "README.md": "packaging/handbook/handbook.md",
    "README.ko.md": "packaging/handbook/reference.ko.md",
}
PROGRAMS = {"bookbrain": bookbrain, "bookbrain-admin": admin}


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def _commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that can be typed, with what is typed; those for services only are hidden."""
    for program, group in PROGRAMS.items():
        yield from _below(program, group)


def _below(typed: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield typed, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            if not below.hidden:
                yield from _below(f"{typed} {name}", below)


COMMANDS = dict(_commands())
SUBCOMMANDS = [typed for typed in COMMANDS if typed.count(" ") == 1]
GROUPS = [typed for typed, command in COMMANDS.items() if isinstance(command, click.Group)]


def _options(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def _spellings(command: click.Command) -> set[str]:
    return {text for o in _options(command) for text in (*o.opts, *o.secondary_opts)}


def _help(typed: str, option: str = "--help") -> str:
    program, *arguments = typed.split()
    done = CliRunner().invoke(PROGRAMS[program], [*arguments, option], prog_name=program)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_commands_that_are_looked_at_here() -> None:
    names = "add books remove rename embed rebuild recover ocr search ask eval serve mcp"
    admin_names = (
        "status doctor health logs report backup backups check verify restore site users "
        "tokens key uninstall"
    )
    assert set(SUBCOMMANDS) == {f"bookbrain {name}" for name in names.split()} | {
        f"bookbrain-admin {name}" for name in admin_names.split()
    }
    assert {
        "bookbrain", "bookbrain-admin", "bookbrain-admin users", "bookbrain-admin tokens"
    } == set(GROUPS)  # fmt: skip
    assert "bookbrain ingest-inbox" not in COMMANDS


@pytest.mark.parametrize("typed", COMMANDS)
def test_a_command_has_help_and_each_of_its_options_too(typed: str) -> None:
    command = COMMANDS[typed]
    text = _help(typed)
    assert text.startswith(f"Usage: {typed} ")
    assert command.help
    first = " ".join(command.help.partition("\n\n")[0].split())
    assert first.endswith(".")
    words = " ".join(text.split())
    assert first in words
    for option in _options(command):
        assert option.help, option.name
        assert option.help.endswith("."), option.help
        assert " ".join(option.help.split()) in words, option.name
        assert all(spelling in words for spelling in (*option.opts, *option.secondary_opts))
    assert text == _help(typed, "-h")
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_its_commands_with_a_summary(group: str) -> None:
    text = _help(group)
    listed = re.findall(r"^  ([a-z-]+) +\S.{10,}$", text.partition("Commands:\n")[2], re.MULTILINE)
    below = {typed.rpartition(" ")[2] for typed in COMMANDS if typed.rpartition(" ")[0] == group}
    assert set(listed) == below


@pytest.mark.parametrize("typed", COMMANDS)
def test_defaults_and_choices_are_in_the_help(typed: str) -> None:
    words = " ".join(_help(typed).split())
    for option in _options(COMMANDS[typed]):
        if isinstance(option.type, click.Choice):
            assert f"[{'|'.join(option.type.choices)}]" in words
        if not option.is_flag and isinstance(option.default, str | int | float):
            assert f"[default: {option.default}" in words, option.name


# The READMEs, and their tables of commands


def _table(readme: str) -> dict[str, str]:
    """The rows of the table of commands: what is typed, and what is said of it."""
    text = (ROOT / REFERENCES[readme]).read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(bookbrain[^`]*)` \| (.+) \|$", text, re.MULTILINE))


def _typed(row: str) -> str:
    return " ".join(row.split()[:2])


@pytest.mark.parametrize("readme", READMES)
def test_a_readme_has_every_command_and_no_other(readme: str) -> None:
    assert sorted(map(_typed, _table(readme))) == sorted(SUBCOMMANDS)


@pytest.mark.parametrize("readme", READMES)
def test_a_readme_names_only_options_that_there_are(readme: str) -> None:
    for row, said in _table(readme).items():
        named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", f"{row} {said}"))
        assert named <= _spellings(COMMANDS[_typed(row)]), row
    text = (ROOT / readme).read_text(encoding="utf-8")
    shown = re.findall(r"^(bookbrain(?:-admin)? \w+)(.*?)(?:#.*)?$", text, re.MULTILINE)
    assert len(shown) >= 5
    for typed, rest in shown:
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= _spellings(COMMANDS[typed]), rest


def test_the_readmes_say_the_same_of_each_command() -> None:
    english, korean = (_table(readme) for readme in READMES)
    assert list(english) == list(korean)
    for row, said in english.items():
        assert set(re.findall(r"--[a-z-]+", said)) == set(re.findall(r"--[a-z-]+", korean[row]))


# The version


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "program"),
    [("bookbrain.cli", "bookbrain"), ("bookbrain.admin", "bookbrain-admin")],
)
def test_the_version_is_said_without_a_library(tmp_path: Path, module: str, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"from {module} import main; main()", "--version"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"BOOKBRAIN_HOME": str(tmp_path / "library")},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{program}, version {__version__}\n"
    assert not (tmp_path / "library").exists()


def test_the_version_is_that_of_the_change_log() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert __version__ in re.findall(r"^## \[?(\d+\.\d+\.\d+)", text, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["search"],
        ["search", "x", "--mode", "best"],
        ["search", "x", "-k", "0"],
        ["books", "--no-such-option"],
        ["search", "x", "--json", "--markdown"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_says_where_help_is(arguments: list[str]) -> None:
    done = CliRunner().invoke(bookbrain, arguments, prog_name="bookbrain")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Usage: bookbrain" in done.stderr
    assert "Error: " in done.stderr


@pytest.mark.parametrize(
    "typed", [["lspci", "-nn"], ["->"], ["dput", "--delayed"], ["java", "-kafka"], ["ls", "-k"]]
)
def test_a_query_that_is_taken_for_an_option_is_told_what_helps(typed: list[str]) -> None:
    done = CliRunner().invoke(bookbrain, ["search", *typed])
    assert done.exit_code == 2
    assert "Put -- before a query with a minus: `bookbrain search -- lspci -nn`" in done.output
