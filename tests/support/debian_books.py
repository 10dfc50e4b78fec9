"""Real books for tests: the PDFs of Debian packages, fetched once into `.cache/books`.

In a test, `books(package)` skips with the reason when they cannot be had; a script calls `fetch`.
"""

import fcntl
import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGES = (
    "installation-guide-amd64",  # install.<language>.pdf: the same guide in 18 languages
    "texlive-lang-korean",  # lshort-ko.pdf, kotex-doc.pdf (a broken character map), …
    "developers-reference",
    "debian-reference-en",
)
LIBRARY = (  # a thousand books, 29,000 pages: 450 MB
    *PACKAGES,
    "texlive-latex-base-doc",
    "texlive-pictures-doc",
    "texlive-science-doc",
)
CACHE = Path(__file__).parents[2] / ".cache" / "books"
QUERIES = (
    "how do I partition a disk", "파티션을 나누는 방법", "boot from the network",
    "package signature", "preseed", "암호화한 볼륨", "kernel module", "logs of the installer",
)  # fmt: skip
SMALLEST = 30_000  # bytes; what is below is a specimen, not a book
_refused: dict[str, str] = {}


class NoBooks(Exception):
    """The package cannot be had here; the message says why."""


@contextmanager
def needed() -> Iterator[None]:
    """Ends a script that cannot have the books it asks for in the block, with 69 and the reason."""
    try:
        yield
    except NoBooks as reason:
        print(f"No books to measure with: {reason}", file=sys.stderr)
        raise SystemExit(69) from None


def five_books() -> list[Path]:
    """Some of each kind, most in English or Korean; what QUERIES ask is in them."""
    found = [*fetch("installation-guide-amd64"), *fetch("developers-reference")]
    return sorted(found, key=lambda path: "en" not in path.name and "ko" not in path.name)[:5]


def books(package: str) -> list[Path]:
    """The PDFs of the package, by name; skips the test when there are none to be had."""
    import pytest  # here, because a script that calls `fetch` needs none

    try:
        return fetch(package)
    except NoBooks as reason:
        pytest.skip(str(reason))


def fetch(package: str) -> list[Path]:
    """As `books`, but raises NoBooks. Any number of processes may ask at the same time."""
    if package in _refused:
        raise NoBooks(_refused[package])
    folder = CACHE / package
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with _lock(CACHE / f"{package}.lock"):
            try:
                if not folder.is_dir():
                    _build(package, folder)
            except NoBooks as reason:
                _refused[package] = str(reason)
                raise
    return sorted(folder.glob("*.pdf"))


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(package: str, folder: Path) -> None:
    """Fill `folder`, which appears only when it is whole."""
    with TemporaryDirectory(dir=CACHE, prefix="unpack-") as name:
        work = Path(name)
        tree, whole = work / "tree", work / "whole"
        whole.mkdir()
        _run(["dpkg-deb", "-x", str(_download(package, work)), str(tree)])
        for source in sorted([*tree.rglob("*.pdf"), *tree.rglob("*.pdf.gz")]):
            if source.is_file() and not source.is_symlink():
                _keep(source, whole)
        if not any(whole.iterdir()):
            raise NoBooks(f"{package} has no PDF of a book's size")
        whole.rename(folder)


def _download(package: str, work: Path) -> Path:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NoBooks("no apt here: real books come from Debian packages")
    if os.geteuid() == 0 and not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        _run(["apt-get", "-q", "update"])
    options = ["APT::Sandbox::User=root", "Acquire::Retries=1", "Acquire::http::Timeout=20"]
    flags = [flag for option in options for flag in ("-o", option)]
    _run(["apt-get", "-q", *flags, "download", package], cwd=work)
    return next(work.glob("*.deb"))


def _keep(source: Path, whole: Path) -> None:
    name = source.name.removesuffix(".gz")
    target = whole / name
    if target.exists():
        target = whole / f"{source.parent.name}-{name}"
    opener = gzip.open if source.suffix == ".gz" else open
    with opener(source, "rb") as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain)
    if target.stat().st_size < SMALLEST:
        target.unlink()


def _run(command: list[str], cwd: Path | None = None) -> None:
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
        )
    except subprocess.TimeoutExpired:
        raise NoBooks(f"{command[0]} took more than 15 minutes") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NoBooks(f"{' '.join(command[:1] + command[-1:])}: {last}")
