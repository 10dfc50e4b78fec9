"""The documents are short, their links lead somewhere, and their commands are commands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import bookbrain.admin
import bookbrain.cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md", "README.ko.md", "ARCHITECTURE.md", "tests/bench/README.md",
    "tests/golden/README.md", "packaging/handbook/reference.ko.md",
)  # fmt: skip
MOST_LINES = {"README.md": 200, "README.ko.md": 200, "ARCHITECTURE.md": 150}
GROUPS = {"bookbrain": bookbrain.cli.main, "bookbrain-admin": bookbrain.admin.main}


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _anchors(text: str) -> set[str]:
    """The headings as GitHub makes addresses of them; code in fences has none."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _command_lines(text: str) -> Iterator[str]:
    fences = re.findall(r"(?ms)^```(?:bash|sh)\n(.*?)^```$", text)
    lines = [line for fence in fences for line in fence.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```$", "", text))
    for line in lines:
        command = line.removeprefix("sudo ")
        if re.match(r"bookbrain(-admin)? [a-z-]", command) and "`" not in command:
            yield command


@pytest.mark.parametrize("name", MOST_LINES)
def test_a_document_is_short(name: str) -> None:
    assert len(_text(name).splitlines()) <= MOST_LINES[name]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_what_is_there(name: str) -> None:
    for link in re.findall(r"\]\(((?!https?://)[^)]+)\)", _text(name)):
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target.read_text(encoding="utf-8")), link


def test_the_walk_names_modules_that_there_are() -> None:
    named = set(re.findall(r"`([a-z_/]+\.py)`", _text("ARCHITECTURE.md")))
    assert len(named) > 40
    there = {n for n in named if (ROOT / n).exists() or (ROOT / "bookbrain" / n).exists()}
    assert named - there == {"x.py", "x_child.py"}  # the rule for children


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_and_their_options_are_known(name: str) -> None:
    for line in _command_lines(_text(name)):
        program, *words = shlex.split(line, comments=True)
        end = next((i for i, word in enumerate(words) if word in (">", ">>", "|")), None)
        _parse(GROUPS[program], words[:end])


def _parse(group: click.Group, words: list[str], parent: click.Context | None = None) -> None:
    """Raises click's error for what is no command or no option; groups go on to theirs."""
    if words == ["--help"]:
        return
    context = click.Context(group, parent, group.name, **group.context_settings)
    _, command, rest = group.resolve_command(context, words)
    assert command
    if isinstance(command, click.Group):
        if rest:
            _parse(command, rest, context)
        return
    parser = command.make_parser(click.Context(command, parent=context))
    assert parser.parse_args(list(rest))[1] == []


def test_the_parser_refuses_what_is_not_there() -> None:
    for words in (["searhc", "x"], ["search", "x", "--brief"]):
        with pytest.raises(click.UsageError):
            _parse(GROUPS["bookbrain"], words)
    assert len(list(_command_lines(_text("README.md")))) > 30
