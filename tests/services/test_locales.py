"""The commands where the locale is not UTF-8: what it cannot show is ?, and JSON stays JSON."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support import pdfs

pytestmark = pytest.mark.slow  # every command is a process

TITLE = "로그와 스냅샷 😀 é “x”"
PAGE = "비동기 처리\n트랜잭션 로그는 비동기 처리로 기록한다. Größe “quoted” – walrus 😀"
NO_UTF8 = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
# Of each: the environment, and the encoding in which all output must be.
LOCALES = {
    "C": ({"LC_ALL": "C"}, "ascii"),
    "Korean in ASCII": ({"LANG": "ko_KR.UTF-8", "PYTHONIOENCODING": "ascii:strict"}, "ascii"),
    "Latin-1": ({"LC_ALL": "en_US.ISO-8859-1"}, "latin-1"),
    "EUC-KR": ({"LC_ALL": "ko_KR.EUC-KR"}, "euc-kr"),
    "UTF-8": ({"LC_ALL": "C.UTF-8"}, "utf-8"),
}
BAD_NAME = b"bad\xff name.pdf"
CALLS: tuple[tuple[str | bytes, ...], ...] = (
    ("cli", "search", "--help"),
    ("cli", "search", "비동기 처리"),
    ("cli", "search", "--json", "비동기 처리 😀"),
    ("cli", "search", "--book", "없는 책", "walrus"),
    ("cli", "add", "--json", BAD_NAME),
    ("cli", "add", "없는 파일.pdf"),
    ("cli", "rename", "log.pdf", "“New” 제목 😀"),
    ("cli", "rename", "log.pdf", TITLE),
    ("cli", "eval", "없는 파일.jsonl"),
    ("admin", "health"),
    ("admin", "health", "--json"),
    ("admin", "verify", "없는 파일"),
)


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the locales of other encodings, as `locale-gen` makes them."""
    folder = tmp_path_factory.mktemp("locales")
    if not shutil.which("localedef") or not Path("/usr/share/i18n/locales/ko_KR").exists():
        pytest.skip("no localedef or no sources here: apt-get install locales")
    for language, encoding in (("ko_KR", "EUC-KR"), ("en_US", "ISO-8859-1")):
        target = folder / f"{language}.{encoding}"
        subprocess.run(["localedef", "-i", language, "-f", encoding, target], check=True)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands work: a library of one book, and a PDF whose name is no text."""
    made = tmp_path_factory.mktemp("home")
    book = pdfs.book(made / "log.pdf", [PAGE], title=TITLE)
    assert _run(made, {"LC_ALL": "C.UTF-8"}, "cli", "add", str(book)).returncode == 0
    os.rename(
        pdfs.book(made / "x.pdf", ["Another."], title="x"), os.fsencode(made) + b"/" + BAD_NAME
    )
    return made


def _run(
    folder: Path, locale: Mapping[str, str], part: str | bytes, *arguments: str | bytes
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(  # noqa: PLW1510
        [sys.executable, "-P", "-m", "support.entry", part, *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"], "HOME": str(folder), "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]), "BOOKBRAIN_HOME": str(folder / "library"),
            **locale,
        },
        stdin=subprocess.DEVNULL, capture_output=True, timeout=240,
    )  # fmt: skip


@pytest.mark.parametrize("name", LOCALES)
def test_no_command_ends_in_a_traceback(folder: Path, locales: Path, name: str) -> None:
    environ, encoding = LOCALES[name]
    environ = NO_UTF8 | {"LOCPATH": str(locales)} | environ
    for call in CALLS:
        done = _run(folder, environ, *call)
        assert b"Traceback" not in done.stdout + done.stderr, (call, done.stderr.decode("latin-1"))
        assert done.returncode in (0, 1, 2, 65, 69, 78), call
        out = done.stdout.decode(encoding)
        if "--json" in call and done.stdout:
            json.loads(done.stdout)
            json.loads(out)


@pytest.mark.parametrize("name", LOCALES)
def test_what_the_encoding_has_is_shown(folder: Path, locales: Path, name: str) -> None:
    environ, encoding = LOCALES[name]
    environ = NO_UTF8 | {"LOCPATH": str(locales)} | environ
    _run(folder, {"LC_ALL": "C.UTF-8"}, "cli", "rename", "log.pdf", TITLE)  # others were at it
    for command in (("books",), ("search", "walrus"), ("search", "--markdown", "walrus")):
        done = _run(folder, environ, "cli", *command)
        assert done.returncode == 0
        shown = done.stdout.decode(encoding)
        assert TITLE.encode(encoding, "replace").decode(encoding) in shown
    for command in (("books", "--json"), ("search", "--json", "walrus")):
        found = json.loads(_run(folder, environ, "cli", *command).stdout)
        book = found[0] if isinstance(found, list) else found["hits"][0]
        assert book["title"] == TITLE
    asked = json.loads(_run(folder, environ, "cli", "search", "--json", b"a\xff walrus").stdout)
    assert asked["hits"]


def test_a_query_in_utf8_is_found_where_the_locale_is_c(folder: Path) -> None:
    done = _run(folder, NO_UTF8 | {"LC_ALL": "C"}, "cli", "search", "--json", "비동기 처리")
    found = json.loads(done.stdout)
    assert found["query"] == "비동기 처리"
    assert found["hits"]
