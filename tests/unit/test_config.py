"""Settings: where they come from, which win, and what a wrong one says."""

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner

from bookbrain.cli import main
from bookbrain.errors import BookBrainError, ConfigError
from bookbrain.messages import translated
from bookbrain.settings import (
    KNOWN_KEYS,
    SETTINGS,
    ChromaSettings,
    EmbeddingSettings,
    Settings,
    library_home,
    load_settings,
    read_credential,
)

ROOT = Path(__file__).parents[2]
SECRET = "sk-proj-1234567890"

# Of each setting: a value from a file, another from the environment, and what it is read as.
VALUES: dict[str, tuple[str, str, object]] = {
    "OPENAI_API_KEY": ("sk-file", "sk-env", "sk-env"),
    "OPENAI_BASE_URL": ("http://file/v1", "http://env/v1", "http://env/v1"),
    "CHROMA_URL": ("http://file:1", "http://env:2", "http://env:2"),
    "CHROMA_TOKEN": ("k-file", "k-env", "k-env"),
    "CHROMA_TENANT": ("ann", "bob", "bob"),
    "CHROMA_DATABASE": ("books", "manuals", "manuals"),
    "BOOKBRAIN_EMBEDDING_MODEL": ("bge-m3", "e5", "e5"),
    "BOOKBRAIN_EMBEDDING_DIMENSIONS": ("256", "512", 512),
    "BOOKBRAIN_EMBEDDING_PRICE": ("0.5", "0.25", 0.25),
    "BOOKBRAIN_EMBEDDING_TIMEOUT": ("7", "8.5", 8.5),
    "BOOKBRAIN_HUB_URL": ("https://file.org", "https://env.org", "https://env.org"),
    "BOOKBRAIN_LOCAL_MINUTES": ("5", "0.5", 0.5),
    "BOOKBRAIN_READ_TIMEOUT": ("9", "10", 10.0),
    "BOOKBRAIN_READ_MEMORY": ("1000", "3000", 3000),
    "BOOKBRAIN_FUSION": ("convex", "rrf", "rrf"),
    "BOOKBRAIN_OCR": ("vision", "off", "off"),
    "BOOKBRAIN_OCR_MODEL": ("gpt-4o", "qwen", "qwen"),
    "BOOKBRAIN_OCR_TIMEOUT": ("30", "300", 300.0),
    "BOOKBRAIN_VECTOR_WEIGHT": ("0.7", "0", 0.0),
    "BOOKBRAIN_RERANK_URL": ("http://file/v1/rerank", "http://env/rerank", "http://env/rerank"),
    "BOOKBRAIN_RERANK_MODEL": ("bge", "jina", "jina"),
    "BOOKBRAIN_RERANK_API_KEY": ("k-file", "k-env", "k-env"),
    "BOOKBRAIN_RERANK_SECONDS": ("0.5", "2", 2.0),
    "BOOKBRAIN_CHAT_MODEL": ("gemma", "gpt-4o-mini", "gpt-4o-mini"),
    "BOOKBRAIN_CHAT_URL": ("http://file/v1", "http://env/v1", "http://env/v1"),
    "BOOKBRAIN_CHAT_KEY": ("c-file", "c-env", "c-env"),
    "BOOKBRAIN_CHAT_PRICE": ("0.5", "0", 0.0),
    "BOOKBRAIN_CHAT_PRICE_WRITTEN": ("1.5", "2", 2.0),
    "BOOKBRAIN_CHAT_BUDGET": ("5", "7.5", 7.5),
    "BOOKBRAIN_CHAT_WINDOW": ("4096", "8192", 8192),
    "BOOKBRAIN_CHAT_FIRST": ("5", "6.5", 6.5),
    "BOOKBRAIN_CHAT_PAUSE": ("7", "8.5", 8.5),
    "BOOKBRAIN_CHAT_SECONDS": ("90", "95", 95.0),
    "BOOKBRAIN_NOTIFY": ("https://file.org/x", "mailto:me@env.org", "mailto:me@env.org"),
    "BOOKBRAIN_PING": ("https://file.org/x", "https://env.org/x", "https://env.org/x"),
    "BOOKBRAIN_LANGUAGE": ("ko", "ko", "ko"),
    "BOOKBRAIN_ALLOWED_HOSTS": ("file.org,10.0.0.1", "Bücher.org., [::1]", "xn--bcher-kva.org,::1"),
    "BOOKBRAIN_LOG_QUERIES": ("1", "1", True),
    "BOOKBRAIN_LOG_BUDGET_MB": ("50", "300", 300),
    "BOOKBRAIN_BACKUP_KEEP": ("2", "7", 7),
    "BOOKBRAIN_BACKUP_DAILY": ("3", "8", 8),
    "BOOKBRAIN_BACKUP_WEEKLY": ("5", "9", 9),
    "BOOKBRAIN_BACKUP_MONTHLY": ("6", "12", 12),
    "BOOKBRAIN_BACKUP_RECIPIENT": ("age1file", "me@env.org", "me@env.org"),
    "BOOKBRAIN_BACKUP_COPY": ("/file", "rclone:env:x", "rclone:env:x"),
}
_NOT_NUMBERS = ("many", "-1", "nan", "inf", "1e999", "1,5")
_NOT_WHOLE = ("0", "1.5", *_NOT_NUMBERS)
BAD = {
    "BOOKBRAIN_EMBEDDING_DIMENSIONS": _NOT_WHOLE,
    "BOOKBRAIN_READ_MEMORY": _NOT_WHOLE,
    "BOOKBRAIN_EMBEDDING_PRICE": _NOT_NUMBERS,
    "BOOKBRAIN_EMBEDDING_TIMEOUT": ("0", *_NOT_NUMBERS),
    "BOOKBRAIN_HUB_URL": ("huggingface.co", "ftp://host/models", "https://"),
    "BOOKBRAIN_LOCAL_MINUTES": ("0", *_NOT_NUMBERS),
    "BOOKBRAIN_READ_TIMEOUT": ("0", *_NOT_NUMBERS),
    "BOOKBRAIN_VECTOR_WEIGHT": ("1.01", *_NOT_NUMBERS),
    "BOOKBRAIN_RERANK_URL": ("jina.ai/rerank", "ftp://host/rerank", "https://"),
    "BOOKBRAIN_RERANK_SECONDS": ("0", *_NOT_NUMBERS),
    "BOOKBRAIN_CHAT_URL": ("api.openai.com/v1", "ftp://host/v1", "https://"),
    "BOOKBRAIN_CHAT_PRICE": _NOT_NUMBERS,
    "BOOKBRAIN_CHAT_PRICE_WRITTEN": _NOT_NUMBERS,
    "BOOKBRAIN_CHAT_BUDGET": _NOT_NUMBERS,
    "BOOKBRAIN_CHAT_WINDOW": _NOT_WHOLE,
    "BOOKBRAIN_CHAT_FIRST": ("0", *_NOT_NUMBERS),
    "BOOKBRAIN_CHAT_PAUSE": ("0", *_NOT_NUMBERS),
    "BOOKBRAIN_CHAT_SECONDS": ("0", *_NOT_NUMBERS),
    "BOOKBRAIN_FUSION": ("both", "RRF"),
    "BOOKBRAIN_OCR": ("on", "OFF", "0"),
    "BOOKBRAIN_LANGUAGE": ("de", "KO"),
    "BOOKBRAIN_ALLOWED_HOSTS": ("https://x.org", "x.org:443", "*", "*.x.org", "x org", "a@b", "."),
    "BOOKBRAIN_LOG_QUERIES": ("yes", "2"),
    "BOOKBRAIN_LOG_BUDGET_MB": _NOT_WHOLE,
    "BOOKBRAIN_BACKUP_KEEP": _NOT_WHOLE,
    "BOOKBRAIN_BACKUP_DAILY": ("1.5", *_NOT_NUMBERS),
    "BOOKBRAIN_BACKUP_WEEKLY": ("1.5", *_NOT_NUMBERS),
    "BOOKBRAIN_BACKUP_MONTHLY": ("1.5", *_NOT_NUMBERS),
}
_EMBEDDING = {
    "OPENAI_API_KEY": "api_key",
    "OPENAI_BASE_URL": "base_url",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    return folder


def _load(home: Path, file: str = "", **environ: str) -> Settings:
    if file:
        (home / "bookbrain.env").write_text(file, encoding="utf-8")
    return load_settings({"BOOKBRAIN_HOME": str(home)} | environ)


def _read(settings: Settings, key: str) -> object:
    """The field that is set by `key`, by its name."""
    if key == "BOOKBRAIN_ALLOWED_HOSTS":
        return ",".join(settings.allowed_hosts)
    if key == "BOOKBRAIN_NOTIFY":
        return ",".join(settings.notify.channels)
    if key in ("BOOKBRAIN_PING", "BOOKBRAIN_LANGUAGE"):
        return getattr(settings.notify, key.removeprefix("BOOKBRAIN_").lower())
    if key.startswith("BOOKBRAIN_RERANK_"):
        return getattr(settings.rerank, key.removeprefix("BOOKBRAIN_RERANK_").lower())
    if key.startswith("BOOKBRAIN_OCR_"):
        return getattr(settings.vision, key.removeprefix("BOOKBRAIN_OCR_").lower())
    if key.startswith("BOOKBRAIN_CHAT_"):
        name = key.removeprefix("BOOKBRAIN_CHAT_").lower()
        return getattr(settings.chat, {"key": "api_key"}.get(name, name))
    if key.startswith("BOOKBRAIN_BACKUP_"):
        return getattr(settings.backup, key.removeprefix("BOOKBRAIN_BACKUP_").lower())
    if key.startswith("CHROMA_"):
        return getattr(settings.chroma, key.removeprefix("CHROMA_").lower())
    name = _EMBEDDING.get(key) or key.removeprefix("BOOKBRAIN_").removeprefix("EMBEDDING_").lower()
    owner = settings if name in {field.name for field in fields(Settings)} else settings.embedding
    return getattr(owner, name)


def _defaults(home: Path) -> Settings:
    return Settings(home=home)


def test_there_is_a_value_here_for_every_setting() -> None:
    assert VALUES.keys() == set(KNOWN_KEYS)


def test_nothing_set_gives_the_defaults(home: Path) -> None:
    assert _load(home) == _defaults(home)
    assert not _load(home).embedding.enabled


@pytest.mark.parametrize("key", KNOWN_KEYS)
def test_environment_over_file_over_default(home: Path, key: str) -> None:
    in_file, in_environment, expected = VALUES[key]
    default = _read(_load(home), key)
    from_file = _load(home, f"{key}={in_file}\n")
    two_valued = (
        "BOOKBRAIN_FUSION", "BOOKBRAIN_LANGUAGE", "BOOKBRAIN_LOG_QUERIES",
    )  # fmt: skip
    if key not in two_valued:
        assert _read(from_file, key) not in (default, expected)
    assert str(_read(from_file, key)).removesuffix(".0").replace("True", "1") == in_file
    assert _read(_load(home, **{key: in_environment}), key) == expected
    assert _read(_load(home, **{key: ""}), key) == _read(from_file, key), "empty is not set"


@pytest.mark.parametrize("key", KNOWN_KEYS)
def test_a_setting_changes_nothing_else(home: Path, key: str) -> None:
    settings = _load(home, **{key: VALUES[key][1]})
    differing = [k for k in KNOWN_KEYS if _read(settings, k) != _read(_defaults(home), k)]
    assert differing == [key]


def test_the_file_has_comments_and_spaces_and_values_as_they_are(home: Path) -> None:
    settings = _load(
        home,
        "# mine\n\n  OPENAI_BASE_URL = http://host/v1?a=b#c \n"
        "BOOKBRAIN_EMBEDDING_MODEL=임베딩 모델\nCHROMA_URL=\n",
    )
    assert settings.embedding.base_url == "http://host/v1?a=b#c"
    assert settings.embedding.model == "임베딩 모델"
    assert settings.chroma.url is None


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in BAD for value in BAD[key]])
def test_a_bad_value_names_the_setting(home: Path, key: str, value: str) -> None:
    for load, place in (
        (lambda: _load(home, **{key: value}), "in the environment."),
        (lambda: _load(home, f"# a\n{key}={value}\n"), f"in {home / 'bookbrain.env'}, line 2."),
    ):
        with pytest.raises(ConfigError) as refused:
            load()
        assert key in refused.value.message
        assert refused.value.message.endswith(place)
        assert refused.value.hint.startswith("Set it ")
        assert refused.value.exit_code == 78


@pytest.mark.parametrize("key", BAD)
def test_the_edges_of_what_is_allowed(home: Path, key: str) -> None:
    edges = {
        "BOOKBRAIN_LANGUAGE": "en",
        "BOOKBRAIN_FUSION": "convex",
        "BOOKBRAIN_OCR": "off",
        "BOOKBRAIN_EMBEDDING_PRICE": "0",
        "BOOKBRAIN_RERANK_URL": "http://h",
        "BOOKBRAIN_CHAT_URL": "http://h",
        "BOOKBRAIN_HUB_URL": "http://h",
    }
    value = edges.get(key, "1")
    read = str(_read(_load(home, **{key: value}), key))
    assert read.removesuffix(".0").replace("True", "1") == value


@pytest.mark.parametrize("line", ["BOOKBRAIN_FUSOIN=rrf", "BOOKBRAIN_HOME=/x", "export A=1", "=1"])
def test_what_is_no_setting_is_refused_by_its_line(home: Path, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _load(home, f"# first\nCHROMA_URL=http://x\n{line}\n")
    assert f"{home / 'bookbrain.env'}, line 3: '{line.partition('=')[0]}'" in refused.value.message
    assert all(key in refused.value.hint for key in KNOWN_KEYS)


@pytest.mark.parametrize("line", [SECRET, f"OPENAI_API_KEY: {SECRET}", f"OPENAI_API_KEY {SECRET}"])
def test_a_line_that_may_be_the_key_is_not_shown(home: Path, line: str) -> None:
    with pytest.raises(ConfigError, match="line 1 is not `KEY=value`") as refused:
        _load(home, f"{line}\n")
    assert SECRET not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(home: Path) -> None:
    file = home / "bookbrain.env"
    file.write_bytes("BOOKBRAIN_EMBEDDING_MODEL=모델\n".encode("cp949"))
    with pytest.raises(ConfigError, match="cannot be read") as refused:
        _load(home)
    assert str(file) in refused.value.message
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        _load(home)


# The key


def _credential(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "openai-api-key").write_text(text, encoding="utf-8")


def test_the_key_is_taken_from_systemd_then_the_library_then_the_setting(
    home: Path, tmp_path: Path
) -> None:
    systemd = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credstore")}
    setting = {"OPENAI_API_KEY": "sk-setting"}
    assert _load(home, **systemd, **setting).embedding.api_key == "sk-setting"
    _credential(home / "credentials", " sk-library\n")
    assert _load(home, **systemd, **setting).embedding.api_key == "sk-library"
    assert _load(home).embedding.enabled
    _credential(tmp_path / "credstore", "sk-systemd\n")
    assert _load(home, **systemd, **setting).embedding.api_key == "sk-systemd"
    assert _load(home, **setting).embedding.api_key == "sk-library"


def test_no_credential_is_none(home: Path) -> None:
    assert read_credential("openai-api-key", home, {}) is None
    _credential(home / "credentials", " \n")
    assert read_credential("openai-api-key", home, {}) is None
    assert read_credential("other", home, {}) is None


def test_a_credential_that_cannot_be_read_is_named_and_not_shown(home: Path) -> None:
    _credential(home / "credentials", "")
    (home / "credentials" / "openai-api-key").write_bytes(SECRET.encode() + b"\xff")
    with pytest.raises(ConfigError) as refused:
        _load(home)
    assert str(home / "credentials" / "openai-api-key") in refused.value.message
    assert SECRET not in str(refused.value)


def test_the_key_is_in_no_repr(home: Path) -> None:
    settings = _load(home, OPENAI_API_KEY=SECRET)
    later = settings.embedding.with_timeout(3)
    assert settings.embedding.api_key == later.api_key == SECRET
    for value in (settings, later, replace(settings, chroma=ChromaSettings("http://x"))):
        assert SECRET not in f"{value!r} {value!s}"
    with pytest.raises(BookBrainError) as refused:
        _load(home, OPENAI_API_KEY=SECRET, BOOKBRAIN_FUSION="both")
    assert SECRET not in repr(refused.value) + str(refused.value)


# Where the library is


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, "/h/.local/share/bookbrain"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/data"}, "/data/bookbrain"),
        ({"HOME": "/h", "XDG_DATA_HOME": "data"}, "/h/.local/share/bookbrain"),
        ({"HOME": "/h", "XDG_DATA_HOME": ""}, "/h/.local/share/bookbrain"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/data", "BOOKBRAIN_HOME": "/lib"}, "/lib"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/data", "BOOKBRAIN_HOME": ""}, "/data/bookbrain"),
    ],
)
def test_where_the_library_is(environ: dict[str, str], expected: str) -> None:
    assert library_home(environ) == Path(expected)
    assert load_settings(environ).home == Path(expected)


def test_a_relative_home_and_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert library_home({"BOOKBRAIN_HOME": "books"}) == tmp_path / "books"
    assert library_home({"BOOKBRAIN_HOME": "~/books"}) == tmp_path / "home" / "books"


def test_the_settings_file_is_that_of_the_library(home: Path, tmp_path: Path) -> None:
    _load(home, "CHROMA_URL=http://here\n")
    assert load_settings({"BOOKBRAIN_HOME": str(tmp_path / "other")}).chroma.url is None


# What follows from the settings


def test_a_base_url_alone_is_enough_to_search_by_meaning() -> None:
    assert EmbeddingSettings(base_url="http://localhost:11434/v1").enabled
    assert EmbeddingSettings(api_key="sk").enabled


def test_dimensions_and_price_of_a_model() -> None:
    large = EmbeddingSettings(model="text-embedding-3-large")
    assert (large.expected_dimensions, large.dollars_per_million_tokens) == (3072, 0.13)
    set_ = replace(large, dimensions=256, price=0.0)
    assert (set_.expected_dimensions, set_.dollars_per_million_tokens) == (256, 0.0)
    unknown = EmbeddingSettings(model="bge-m3")
    assert (unknown.expected_dimensions, unknown.dollars_per_million_tokens) == (None, None)


def test_a_shorter_timeout_wins() -> None:
    settings = EmbeddingSettings(model="e5", timeout=20)
    assert settings.with_timeout(5) == replace(settings, timeout=5)
    assert settings.with_timeout(50) == settings


# Where people read of them


def _rows(file: str, columns: int) -> list[dict[str, list[str]]]:
    """The cells behind each name in the tables of settings; a table with each name once."""
    found: list[dict[str, list[str]]] = [{}]
    for row in re.findall(r"^\| `([A-Z_]+)` \|(.*)\|$", (ROOT / file).read_text("utf-8"), re.M):
        name, cells = row[0], [cell.strip("` ") for cell in row[1].split("|")]
        assert len(cells) in (1, 2), row
        if len(cells) != columns:
            continue
        if name in found[-1]:
            found.append({})
        found[-1][name] = cells
    return found


@pytest.mark.parametrize(
    ("file", "language"),
    [("packaging/handbook/handbook.md", "en"), ("packaging/handbook/reference.ko.md", "ko")],
)
def test_the_reference_says_of_every_setting_what_is_declared(
    file: str, language: Literal["en", "ko"]
) -> None:
    (rows,) = _rows(file, columns=2)
    assert rows.keys() == {*KNOWN_KEYS, "BOOKBRAIN_HOME"}
    for setting in SETTINGS:
        default, said = rows[setting.name]
        meaning = translated(setting.meaning, language)
        assert default == setting.default_text, setting.name
        assert said.startswith(meaning.strip("` ")), setting.name
        assert re.match("$|[;:.]", said.removeprefix(meaning.strip("` ")).lstrip("`")), said


def test_the_handbook_says_of_its_settings_what_is_declared() -> None:
    """In short: a piece of the sentence, and perhaps the default."""
    tables = _rows("packaging/handbook/handbook.md", columns=1)
    declared = {setting.name: setting for setting in SETTINGS}
    assert len(tables) == 2
    endings = {"en": r"; (.+?)(?: unless set)?", "ko": r"\. (?:적지 않으면|기본) (.+)"}
    for rows, (language, ending) in zip(tables, endings.items(), strict=True):
        assert rows.keys() >= {"BOOKBRAIN_HOME", "OPENAI_API_KEY"}
        for name in rows.keys() - {"BOOKBRAIN_HOME"}:
            read = re.fullmatch(f"(.+?)(?:{ending})?", rows[name][0])
            assert read
            assert read[1] in translated(declared[name].meaning, language).strip("`"), name
            assert (read[2] or "").strip("`") in ("", declared[name].default_text), name


def test_the_settings_file_of_a_server_says_what_is_declared() -> None:
    """Each below its sentence; what begins with # is so by default."""
    blocks = (ROOT / "packaging" / "bookbrain.env").read_text(encoding="utf-8").split("\n\n")
    found = {}
    for block in blocks:
        said = " ".join(re.findall(r"^# ?(.*)$", block, re.M)).lower()
        for mark, name, value in re.findall(r"^(#?)([A-Z_]+)=(.*)$", block, re.M):
            assert name not in found
            found[name] = value
            (setting,) = (one for one in SETTINGS if one.name == name)
            assert setting.meaning.lower() in said, name
            assert value == setting.default_text or not mark, name
    assert found.keys() == set(KNOWN_KEYS) - {"OPENAI_API_KEY"}, "the key is a credential"
    secrets = {setting.name for setting in SETTINGS if setting.secret}
    assert not any(value for name, value in found.items() if name in secrets)


@pytest.mark.parametrize(("locale", "language"), [("C.UTF-8", "en"), ("ko_KR.UTF-8", "ko")])
def test_the_command_lists_every_setting(locale: str, language: Literal["en", "ko"]) -> None:
    runner = CliRunner(env={"LC_ALL": locale, "COLUMNS": "80", "BOOKBRAIN_FUSION": "wrong"})
    done = runner.invoke(main, ["--settings"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.findall(r"^[A-Z_]+", done.stdout, re.M) == list(KNOWN_KEYS)
    said = "".join(done.stdout.split())
    for setting in SETTINGS:
        default = f"  [default: {setting.default_text}]" if setting.default_text else ""
        shown = translated(setting.meaning, language) + default
        shown = shown.replace("[default:", "[기본값:") if language == "ko" else shown
        assert setting.name + "".join(shown.split()) in said
    assert "--settings" in runner.invoke(main, ["--help"]).stdout


def test_every_sentence_has_a_korean_one() -> None:
    for setting in SETTINGS:
        assert re.search("[가-힣]", translated(setting.meaning, "ko")), setting.name
