"""What ARCHITECTURE.md promises of the modules, read from their syntax trees."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from bookbrain.paths import PDF, Below, LibraryPaths

pytestmark = pytest.mark.xdist_group("trees")

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "bookbrain"

# What each part may import of the others, beside itself. Modules of the package's own folder are
# the base of all.
MAY_IMPORT = {
    "base": set(),
    "ocr": {"base"},
    "formats": {"base", "ocr"},
    "index": {"base"},
    "store": {"base", "index", "ocr"},
    "models": {"base", "ocr", "store"},
    "search": {"base", "index", "store", "models"},
    "answers": {"base", "index", "store", "models", "search"},
    "library": {"base", "ocr", "formats", "index", "store", "models", "search", "answers"},
    "backup": {"base", "store", "library"},
    "upgrade": {"base", "store"},
    "server": {"base"},
    "checks": {"base", "store", "library", "backup", "server"},
    "web": {"base", "answers", "formats", "store", "library", "server", "checks"},
    "cli": {"base", "answers", "store", "search", "library", "web"},
    "admin": {"base", "store", "library", "backup", "server", "checks", "cli"},
    "sample": set(),  # data
}

# Where a library is at home. A folder stands for its modules.
HOMES = {
    "chromadb": {"store/vectors.py"},
    "apprise": {"checks/channels_child.py"},
    "requests": {"checks/channels_child.py", "server/caddy.py"},
    "httpx": {"store/vectors.py"},
    "httpx2": {
        "remote.py",
        "models/rerank_api.py",
        "models/chat_api.py",
        "models/model_hub.py",
        "models/paced_client.py",
    },
    "onnxruntime": {"models/local_model_child.py"},
    "tokenizers": {"models/local_model_child.py"},
    "openai": {"models/openai_api.py", "models/vision_api.py", "models/chat_api.py"},
    "rank_bm25": {"index/segment.py"},
    "pypdfium2": {"formats", "ocr/page_scan_child.py"},
    "python_multipart": {"web/uploads.py"},
    "PIL": {
        "formats/page_image_child.py",
        "formats/letter_ink.py",
        "ocr/page_scan_child.py",
        "ocr/vision.py",
    },
    "kiwipiepy": {"korean.py"},
    "mcp": {"web/agent_tools.py", "web/agent_endpoint.py"},
    "Stemmer": {"index/analyzer.py"},
    "bcrypt": {"server"},
    "caddy_api_client": {"server"},
    "click": {"cli", "admin"},
    "rich": {"cli", "admin"},
    "streamlit": {"web"},
    "systemd": {"server/journal.py", "log.py", "web/server.py"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "zstandard": {"backup/archive.py"},
}
CALL_HOMES = {
    "subprocess": {"processes.py"},
    "sqlite3.connect": {"store/database.py"},
}
_PROCESS_STARTERS = {
    "os.system", "os.popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp",
    "os.execv", "os.execve", "os.execvp", "os.execvpe", "os.execl", "os.spawnv", "pty.spawn",
    "pty.fork",
}  # fmt: skip
_CODE_IN_DATA = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "joblib",
}

FEWEST_LINES, MOST_LINES_OF_A_FUNCTION = 30, 40
MOST_MODULES, MOST_GERUNDS = 185, 3
MOST_BLANKET_EXCEPTS = 4


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


class _Trees(Mapping[str, ast.Module]):
    """The tree of every module, by its path in the package, made when a test asks for it."""

    def __init__(self) -> None:
        self._paths = {p.relative_to(PACKAGE).as_posix(): p for p in sorted(PACKAGE.rglob("*.py"))}

    def __getitem__(self, path: str) -> ast.Module:
        return _parsed(self._paths[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


MODULES = _Trees()
NAMES = {"bookbrain"} | {
    ".".join(("bookbrain", *Path(path).with_suffix("").parts)).removesuffix(".__init__")
    for path in MODULES
}


@cache
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """All that is in a module."""
    return tuple(ast.walk(tree))


@cache
def imports(tree: ast.Module) -> frozenset[str]:
    """Whatever a module imports, wherever in it: `a.b` for `import a.b` and `from a import b`."""
    found = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{'.' * node.level}{node.module or ''}.{a.name}" for a in node.names)
    return frozenset(found)


def calls(tree: ast.Module) -> Iterator[str]:
    """What a module calls, by its full name: `subprocess.run`, under whatever name it is known."""
    known = {}
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            known.update({a.asname or a.name.split(".")[0]: a.name for a in node.names})
        elif isinstance(node, ast.ImportFrom):
            known.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
    for node in nodes(tree):
        if isinstance(node, ast.Call):
            first, *rest = ast.unparse(node.func).split(".")
            yield ".".join((known.get(first, first), *rest))


def blanket_excepts(tree: ast.Module) -> Iterator[str]:
    """Handlers of everything; one that only cleans up and raises on is none."""
    for node in nodes(tree):
        if not isinstance(node, ast.ExceptHandler) or _ends_in_raise(node):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if any(c is None or ast.unparse(c) in ("Exception", "BaseException") for c in caught):
            yield f"line {node.lineno}"


def _ends_in_raise(handler: ast.ExceptHandler) -> bool:
    return isinstance(last := handler.body[-1], ast.Raise) and last.exc is None


def _part(path: str) -> str:
    return path.split("/", maxsplit=1)[0] if "/" in path else "base"


def _is_at_home(path: str, homes: set[str]) -> bool:
    return path in homes or path.split("/", maxsplit=1)[0] in homes


def _imported_parts(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for name in imports(tree):
        first, *rest = name.split(".")
        if first == "bookbrain":
            yield (rest[0] if rest[0] in MAY_IMPORT else "base"), name


# The instruments themselves

SEEN = ast.parse("""
import subprocess as sp, os.path
from sqlite3 import connect as open_it
def late():
    import chromadb.config
    from openai import OpenAI
    sp.run(["x"])
    open_it("x")
    os.path.join("a")
    'no docstring'
    return home / "in.home"
try: late()
except (ValueError, Exception): pass
try: late()
except: pass
try: late()
except BaseException:
    late()
    raise
try: late()
except OSError: pass
""")


def test_the_instruments_see_what_is_hidden() -> None:
    assert set(imports(SEEN)) == {
        "subprocess", "os.path", "sqlite3.connect", "chromadb.config", "openai.OpenAI"
    }  # fmt: skip
    assert {"subprocess.run", "sqlite3.connect", "late"} <= set(calls(SEEN))
    assert len(list(blanket_excepts(SEEN))) == 2
    assert {("no docstring", False), ("in.home", True)} <= set(texts(SEEN))
    assert len(MODULES) > 30


# Imports


def test_every_part_has_its_arrows_and_its_row_in_the_document() -> None:
    assert {_part(path) for path in MODULES} == MAY_IMPORT.keys()
    table = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    for part in MAY_IMPORT.keys() - {"base", "sample"}:
        assert any(f"`{part}/`" in row for row in rows), part
    for path in MODULES:
        if "/" not in path and path != "__init__.py":
            assert any(f"`{path}`" in row for row in rows), path


def test_imports_go_one_way() -> None:
    for path, tree in MODULES.items():
        part = _part(path)
        allowed = MAY_IMPORT[part] | {part}
        assert [name for to, name in _imported_parts(tree) if to not in allowed] == [], path


def test_imports_are_absolute_and_of_what_there_is() -> None:
    for path, name in ((path, name) for path, tree in MODULES.items() for name in imports(tree)):
        assert not name.startswith("."), (path, name)
        if name.startswith("bookbrain."):
            assert name in NAMES or name.rpartition(".")[0] in NAMES, (path, name)


def test_outsiders_import_the_face_of_the_library_only() -> None:
    inside = {
        f"{path}: {name}"
        for path, tree in MODULES.items()
        for name in imports(tree)
        if _part(path) != "library" and name.startswith("bookbrain.library.")
        if name in NAMES or name.rpartition(".")[0] in NAMES - {"bookbrain.library"}
    }
    assert inside == set()


@pytest.mark.slow
def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """However they are imported, in a function too; only what is for type checking is no circle."""
    arrows = {}
    for path, tree in MODULES.items():
        own = ".".join(("bookbrain", *Path(path).with_suffix("").parts)).removesuffix(".__init__")
        run = _without_type_checking(tree)
        found = {n if n in NAMES else n.rpartition(".")[0] for n in imports(run)}
        arrows[own] = (found & NAMES) - {own, "bookbrain"}
    while leaves := {name for name, to in arrows.items() if not to & arrows.keys()}:
        arrows = {name: to for name, to in arrows.items() if name not in leaves}
    assert arrows == {}


def _without_type_checking(tree: ast.Module) -> ast.Module:
    body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return ast.Module(body, [])


@pytest.mark.parametrize("library", HOMES)
def test_each_library_has_one_home(library: str) -> None:
    users = {
        path
        for path, tree in MODULES.items()
        if library in {name.split(".")[0] for name in imports(tree)}
    }
    assert {path for path in users if not _is_at_home(path, HOMES[library])} == set()
    for home in HOMES[library]:
        assert any(_is_at_home(path, {home}) for path in users), f"{home} has no use of {library}"


# Calls


def test_processes_start_in_children_only() -> None:
    starters = {
        path
        for path, tree in MODULES.items()
        for call in calls(tree)
        if call.startswith(("subprocess.", "multiprocessing.", "asyncio.create_subprocess"))
        or call in _PROCESS_STARTERS
        or call.endswith("ProcessPoolExecutor")
    }
    assert starters == CALL_HOMES["subprocess"]


def test_databases_are_opened_in_one_place() -> None:
    openers = {path for path, tree in MODULES.items() if "sqlite3.connect" in set(calls(tree))}
    assert openers == CALL_HOMES["sqlite3.connect"]


def texts(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """The texts in a module that are no docstrings; and whether each is a part of a path: `x / it`,
    or the beginning of it."""
    docs = {id(node.body[0].value) for node in nodes(tree) if _has_docstring(node)}
    parts = {
        id(constant)
        for node in nodes(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        for constant in ast.walk(node.right)
    }
    for node in nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value, id(node) in parts


def _has_docstring(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node) is not None


def test_what_is_in_a_library_is_named_in_one_place() -> None:
    names = {below.name for below in vars(LibraryPaths).values() if isinstance(below, Below)}
    assert len(names) > 25
    assert [
        (path, text)
        for path, tree in MODULES.items()
        if path != "paths.py"
        for text, is_part in texts(tree)
        if (" " not in text and any(name in text for name in names if "." in name.lstrip(".")))
        or (is_part and text.strip("/").split("/")[0] in names)
    ] == []


def test_how_the_file_of_a_book_ends_is_said_in_one_place() -> None:
    end = re.compile(rf"{re.escape(PDF)}\b")
    said = [path for path, tree in MODULES.items() for text, _ in texts(tree) if end.search(text)]
    assert said == ["paths.py"]


def test_modules_that_are_started_exist() -> None:
    started = [
        node.args[0]
        for path, tree in MODULES.items()
        for node in nodes(tree)
        if isinstance(node, ast.Call)
        and path != "formats/fork_server.py"  # as it is told
        and ast.unparse(node.func).endswith(("start_module", "ForkServer"))
    ]
    assert started
    for argument in started:
        assert isinstance(argument, ast.Constant), ast.unparse(argument)
        assert argument.value in NAMES


def test_nothing_stored_can_run_code() -> None:
    for path, tree in MODULES.items():
        assert {name.split(".")[0] for name in imports(tree)} & _CODE_IN_DATA == set(), path
        assert {"eval", "exec", "compile", "__import__"} & set(calls(tree)) == set(), path
        pickles = [
            ast.unparse(keyword.value)
            for node in nodes(tree)
            if isinstance(node, ast.Call)
            for keyword in node.keywords
            if keyword.arg == "allow_pickle"
        ]
        assert set(pickles) <= {"False"}, path


# Names and size

ROOMS = {path for path in MODULES if not Path(path).stem.startswith("__")}


def test_a_module_says_what_it_does() -> None:
    assert [path for path, tree in MODULES.items() if not ast.get_docstring(tree)] == []


def test_there_are_few_modules_and_none_is_a_scrap() -> None:
    assert len(ROOMS) <= MOST_MODULES
    lines = {path: len((PACKAGE / path).read_text("utf-8").splitlines()) for path in ROOMS}
    assert {path for path, count in lines.items() if count < FEWEST_LINES} == set()


def test_one_name_means_one_thing() -> None:
    stems = Counter(Path(path).stem for path in ROOMS)
    assert [stem for stem, count in stems.items() if count > 1] == []
    assert sum(stem.endswith("ing") for stem in stems) <= MOST_GERUNDS
    classes = Counter(
        node.name
        for tree in MODULES.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in classes.items() if count > 1] == []


def test_a_function_fits_a_screen() -> None:
    long = {
        f"{path}: {node.name}": node.end_lineno - node.lineno + 1
        for path, tree in MODULES.items()
        for node in nodes(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_few_places_catch_everything() -> None:
    found = [f"{path}: {at}" for path, tree in MODULES.items() for at in blanket_excepts(tree)]
    assert len(found) <= MOST_BLANKET_EXCEPTS, found
