"""What is secret in the settings is left out everywhere, by their declaration."""

import json
import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from zstandard import ZstdDecompressor

from bookbrain.backup.contents import Request
from bookbrain.backup.creation import take_backup
from bookbrain.errors import BookBrainError, ConfigError, without_passwords
from bookbrain.log import set_up_logging
from bookbrain.processes import run_in_terminal, run_program, start_module, start_program
from bookbrain.settings import (
    KNOWN_KEYS,
    SETTINGS,
    TEXT,
    Setting,
    environment_without_secrets,
    holds_secret,
    load_settings,
    without_secrets,
)

ROOT = Path(__file__).parents[2]
PLANTED = "https://walrus:walrus@host.example/walrus?key=walrus"
SECRETS = [setting for setting in SETTINGS if setting.secret]
OTHERS = [setting.name for setting in SETTINGS if not setting.secret]
_BY_NAME = pytest.mark.parametrize("name", [setting.name for setting in SECRETS])
_URLS = (
    "https://walrus:walrus@host/v1", "http://walrus@host", "restic:rest:https://me:walrus@host/",
    "https://me:wal/rus@host/walrus", "https://host/v1?api-key=walrus",
    "rclone::sftp,host=x,pass=walrus:/backups", "restic:s3:https://host/b?token=walrus",
)  # fmt: skip


def test_a_setting_is_declared_once() -> None:
    assert len(set(KNOWN_KEYS)) == len(KNOWN_KEYS)
    for setting in SETTINGS:
        assert setting.secret or not (setting.credential or setting.units), setting.name
        assert bool(setting.credential) == bool(setting.units), setting.name


def test_what_is_called_a_secret_is_one() -> None:
    """A new setting with such a name is not forgotten."""
    for name in OTHERS:
        assert not any(word in name for word in ("KEY", "SECRET", "TOKEN", "PASSW", "CREDENTIAL"))


# The settings file in a backup


@_BY_NAME
def test_no_spelling_of_a_line_with_a_secret_gets_into_a_backup(name: str) -> None:
    for line in (
        "{name}=walrus", "  {name}  =  walrus ", "#{name}=walrus", "# {name} = walrus",
        "##{name}=walrus", "export {name}=walrus", "{name}: walrus", "{name} walrus",
        "{name}=\\\nwalrus", "{name}='walrus", "\ufeff{name}=walrus", "\t{name}=walrus\r",
        "{lower}=walrus", "# the old one was walrus", "walrus", "walrus==", "={name}=walrus",
        "{name}_2=walrus", "MY_{name}=walrus", "BOOKBRAIN_FUSION=rrf\v{name}=walrus",
    ):  # fmt: skip
        text = line.format(name=name, lower=name.lower())
        kept = without_secrets(f"BOOKBRAIN_READ_TIMEOUT=7\n{text}\nBOOKBRAIN_FUSION=rrf\n")
        assert "walrus" not in kept, line
        assert kept.startswith("BOOKBRAIN_READ_TIMEOUT=7\n")
        assert kept.endswith("BOOKBRAIN_FUSION=rrf\n")
    assert without_secrets(f"{name}=walrus\n") == f"#{name}=\n"


@pytest.mark.parametrize("name", OTHERS)
def test_a_password_in_any_setting_is_a_secret(name: str) -> None:
    for value in _URLS:
        assert without_secrets(f"{name}={value}\n") == f"#{name}=\n"
        assert environment_without_secrets({name: value, "PATH": "/bin"}) == {"PATH": "/bin"}


def test_all_else_is_kept(tmp_path: Path) -> None:
    text = (
        "OPENAI_BASE_URL=http://host:11434/v1\nBOOKBRAIN_EMBEDDING_MODEL=임베딩 모델\n"
        "BOOKBRAIN_BACKUP_RECIPIENT=me@example.org\nBOOKBRAIN_BACKUP_COPY=rclone:remote:path\n"
    )
    assert without_secrets(f"# mine\n\n{text}") == text
    (tmp_path / "bookbrain.env").write_text(without_secrets(f"{text}OPENAI_API_KEY=walrus\n"))
    settings = load_settings({"BOOKBRAIN_HOME": str(tmp_path)})
    assert settings.backup.recipient == "me@example.org"
    assert settings.embedding.api_key is None


def _planted(home: Path) -> dict[str, str]:
    """An environment, and a settings file, with something secret in each that may have it."""
    values = {setting.name: PLANTED for setting in SECRETS}
    values |= {"OPENAI_BASE_URL": PLANTED, "BOOKBRAIN_RERANK_URL": PLANTED, "CHROMA_URL": PLANTED}
    values |= {"BOOKBRAIN_CHAT_URL": PLANTED}
    home.mkdir(exist_ok=True)
    commented = "".join(f"#{setting.name}=walrus\n" for setting in SETTINGS)
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    (home / "bookbrain.env").write_text(f"{commented}{lines}BOOKBRAIN_FUSION=rrf\n")
    (home / "credentials").mkdir(exist_ok=True)
    for setting in SECRETS:
        if setting.credential:
            (home / "credentials" / setting.credential).write_text("walrus")
    return {"BOOKBRAIN_HOME": str(home), **values}


def test_no_secret_is_in_an_archive_or_in_a_repr(tmp_path: Path) -> None:
    settings = load_settings(_planted(tmp_path / "library"))
    assert settings.embedding.api_key == settings.rerank.api_key == "walrus"
    taken = take_backup(settings, Request(tmp_path / "backups"), lambda *_: None)
    plain = ZstdDecompressor().stream_reader(taken.backup.path.read_bytes()).read()
    assert b"BOOKBRAIN_FUSION=rrf" in plain
    assert b"walrus" not in plain
    assert "walrus" not in f"{settings!r} {taken!r}"


def test_a_second_declaration_is_all_that_a_new_secret_needs() -> None:
    """`holds_secret` asks the table, and everything else asks it."""
    for setting in SETTINGS:
        assert holds_secret(setting.name, "anything") == setting.secret


@pytest.mark.parametrize("name", [s.name for s in SETTINGS if s.secret or s.kind.private])
def test_what_may_be_secret_is_in_no_repr_and_in_no_complaint(tmp_path: Path, name: str) -> None:
    for value in (PLANTED, "walrus", "ftp://walrus", "https://ok.org/,walrus", "mailto:walrus"):
        file = tmp_path / "bookbrain.env"
        file.write_text(f"{name}={value}\n")
        for environ in ({}, {name: value}):
            try:
                said = repr(load_settings({"BOOKBRAIN_HOME": str(tmp_path), **environ}))
            except ConfigError as refused:
                said = f"{refused!r} {refused} {refused.message.values}"
                assert name in said
            assert "walrus" not in said


# Logs and messages


def test_no_password_of_an_address_is_shown_or_logged(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError("X is 'ftp://me:walrus@host'.", "See http://walrus@host/a.", quoted="a")
    assert "walrus" not in f"{error} {error!r} {error.for_log}"
    assert "host" in error.message
    with pytest.raises(BookBrainError) as refused:
        load_settings({"BOOKBRAIN_HOME": "/nowhere", "BOOKBRAIN_READ_TIMEOUT": PLANTED})
    assert "walrus:walrus" not in str(refused.value)
    root, ours = logging.getLogger(), logging.getLogger("bookbrain")
    before, level = root.handlers[:], ours.level
    try:
        set_up_logging(verbose=True)
        logging.getLogger("bookbrain.test").debug("asked %s", "https://me:walrus@host/v1")
        logging.getLogger("bookbrain.test").error("at http://walrus@host", exc_info=error)
        said = capsys.readouterr().err
    finally:
        root.handlers = before
        ours.setLevel(level)
    assert "asked https://…@host/v1" in said
    assert "walrus" not in said
    assert without_passwords("a@b.org and https://host/x") == "a@b.org and https://host/x"


# Other programs


_SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv]))"


@pytest.mark.slow
def test_no_program_gets_a_secret_that_it_does_not_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (_planted(tmp_path / "library") | {"RESTIC_PASSWORD": "theirs"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/walrus")
    command = [sys.executable, "-c", _SHOW]
    said = [run_program(command, timeout=60, variables={"MORE": "1"}).stdout]
    with TemporaryFile() as out, TemporaryFile() as errors:
        assert (
            start_program(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors).wait() == 0
        )
        out.seek(0)
        said.append(out.read().decode())
    (tmp_path / "probe.py").write_text(_SHOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    child = start_module("probe", stdout=subprocess.PIPE)
    said.append(child.communicate()[0].decode())
    script = [
        sys.executable,
        "-c",
        f"{_SHOW.replace('print(', 'open(sys.argv[1], chr(119)).write(')}",
    ]
    assert run_in_terminal([*script, str(tmp_path / "said")], os.environ) == 0
    said.append((tmp_path / "said").read_text())
    for one in said:
        environment, _ = json.loads(one)
        assert environment["BOOKBRAIN_HOME"]
        assert environment["RESTIC_PASSWORD"] == "theirs"
        assert "walrus" not in one
    child = start_module("probe", stdout=subprocess.PIPE, with_secrets=True)
    assert PLANTED in child.communicate()[0].decode(), "the one that reads the settings itself"


@pytest.mark.parametrize("program", ["restic", "rclone"])
def test_what_copies_a_backup_is_called_without_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / program
    script.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" > {tmp_path}/called\nenv > {tmp_path}/environment\n'
        'echo "at rest:https://me:walrus@host/ it failed" >&2\nexit 3\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    environ = _planted(tmp_path / "library")
    place = "restic:rest:https://me:walrus@host/" if program == "restic" else "rclone:remote:path"
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(environ | {"BOOKBRAIN_BACKUP_COPY": place})
    taken = take_backup(settings, Request(tmp_path / "backups"), lambda *_: None)
    assert "it failed" in str(taken.not_copied)
    assert "walrus" not in str(taken.not_copied)
    assert "walrus" not in (tmp_path / "called").read_text()
    environment = (tmp_path / "environment").read_text()
    if program == "restic":
        assert "RESTIC_REPOSITORY=rest:https://me:walrus@host/\n" in environment
    lines = [line for line in environment.splitlines() if not line.startswith("RESTIC_REPOS")]
    assert "walrus" not in "\n".join(lines)


def test_a_password_for_rclone_is_refused(tmp_path: Path) -> None:
    place = "rclone::sftp,host=x,pass=walrus:/backups"
    settings = load_settings({"BOOKBRAIN_HOME": str(tmp_path), "BOOKBRAIN_BACKUP_COPY": place})
    taken = take_backup(settings, Request(tmp_path / "backups"), lambda *_: None)
    assert "has a password in it" in str(taken.not_copied)
    assert "walrus" not in str(taken.not_copied)


# Units


def _given(unit: Path) -> set[str]:
    """The credentials that systemd hands to a unit."""
    lines = StringIO(unit.read_text(encoding="utf-8"))
    return {line.strip().partition("=")[2] for line in lines if line.startswith("LoadCredential=")}


@pytest.mark.parametrize("unit", sorted((ROOT / "systemd").glob("*.service")), ids=lambda u: u.stem)
def test_a_unit_gets_the_secrets_that_it_needs_and_no_others(unit: Path) -> None:
    wanted = {setting.credential for setting in SECRETS if unit.stem in setting.units}
    assert _given(unit) == {f"{name}:/etc/bookbrain/credentials/{name}" for name in wanted}
    text = unit.read_text(encoding="utf-8")
    assert "EnvironmentFile" not in text
    assert not any(f"{setting.name}=" in text for setting in SECRETS)


def test_the_units_that_are_declared_exist() -> None:
    for setting in SECRETS:
        for unit in setting.units:
            assert (ROOT / "systemd" / f"{unit}.service").exists()


def test_a_setting_is_plain_unless_it_says_otherwise() -> None:
    assert not Setting("NEW", TEXT, None, "what it is").secret
