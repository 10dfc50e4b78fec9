"""What every test starts from: no settings of the person who runs it, no library of theirs."""

import gc
import os
import runpy
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_SETTINGS = ("BOOKBRAIN_", "OPENAI_", "CHROMA_", "XDG_")
_OTHERS = ("CREDENTIALS_DIRECTORY", "JOURNAL_STREAM", "FORCE_COLOR", "NO_COLOR", "COLUMNS")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")

_UNTIL = float(os.environ.get("BOOKBRAIN_UNTIL", "inf"))  # tests themselves do not see it
_OUT_OF_TIME = "no time is left on this machine"

# The tests of a group run in one process, one after another: the longest groups begin first.
_LONGEST = ("bookworm", "trixie", "browser")

# The same examples every time, and nothing written into the checkout.
settings.register_profile(
    "tests",
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """An editable install has the translations of the day of its making."""
    root = Path(__file__).parents[1]
    if not hasattr(config, "workerinput"):
        catalogue = runpy.run_path(str(root / "packaging" / "catalogue.py"))
        catalogue["compile_catalogues"](root)


@pytest.hookimpl(trylast=True)  # a folder may have put them into a group of its own
def pytest_itemcollected(item: pytest.Item) -> None:
    """The tests of a file that share a fixture run in one process, or each would make it anew."""
    if isinstance(item, pytest.Function) and not item.get_closest_marker("xdist_group"):
        fixtures = chain.from_iterable(item._fixtureinfo.name2fixturedefs.values())
        if any(fixture.scope in ("class", "module") for fixture in fixtures):
            name = f"{item.path.parent.name}/{item.path.stem}"
            item.add_marker(pytest.mark.xdist_group(name))


@pytest.hookimpl(trylast=True)  # pytest itself puts together what shares a fixture
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each process of pytest-xdist is given the next group, or test, in this order."""
    items.sort(key=_turn)


def pytest_collection_finish() -> None:
    """What is there by now stays; to look through it again and again would take minutes."""
    gc.collect()
    gc.freeze()


def _turn(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    name = group.args[0] if group else ""
    if name in _LONGEST:
        return _LONGEST.index(name)
    return len(_LONGEST) + bool(item.get_closest_marker("slow"))


def pytest_runtest_setup() -> None:
    """Begin nothing after BOOKBRAIN_UNTIL: `tests/run` says what that is."""
    if time.time() > _UNTIL:
        pytest.skip(_OUT_OF_TIME)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much was left out because the machine is slow is told where everybody reads."""
    skipped = terminalreporter.getreports("skipped")
    if count := sum(_OUT_OF_TIME in str(report.longrepr) for report in skipped):
        terminalreporter.section(f"{_OUT_OF_TIME}: {count} tests", "!", red=True, bold=True)


@pytest.fixture(autouse=True, scope="session")
def _nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For what runs outside of a test: fixtures of a module or of the session."""
    with pytest.MonkeyPatch.context() as patch:
        _isolate(patch, tmp_path_factory.mktemp("nobody"))
        yield


@pytest.fixture(autouse=True)
def _somebody_new(tmp_path: Path) -> Iterator[None]:
    """HOME and BOOKBRAIN_HOME of a test are below its own folder."""
    with pytest.MonkeyPatch.context() as patch:
        _isolate(patch, tmp_path)
        yield


def _isolate(patch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in list(os.environ):
        if name.startswith(_SETTINGS) or name in _OTHERS or name.lower() in _PROXIES:
            patch.delenv(name)
    (folder / "home").mkdir()
    patch.setenv("HOME", str(folder / "home"))
    patch.setenv("LC_ALL", "C.UTF-8")
    patch.setenv("BOOKBRAIN_HOME", str(folder / "home" / "library"))
