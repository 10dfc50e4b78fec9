"""Every text that the code can show a person, read from its source."""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from string import Formatter

PLACE = "\0"  # where a value stands in a text

_ERRORS = {
    "BookBrainError", "InputError", "NotFoundError", "UnavailableError", "BusyError", "ConfigError",
    "_unavailable",
}  # fmt: skip
_TRANSLATING = {"say", "shown", "_shown", "tr", "translated", "Check", "Seen", "Flaw", "Unsound"}
_TRANSLATING |= {"Damage", "Delivery", "Outcome", "message_of", "SearchResult", "_Leg"} | _ERRORS
_SHOWING = {"say", "shown", "_shown", "echo", "secho", "confirm", "UsageError", "Check"}

# Texts that go another way: what functions have or are called with, and what variables are.
_OTHERS = {
    "admin/alerts/channels.py": ("Delivery",),
    "admin/alerts/mail.py": ("Delivery",),
    "admin/alerts/message.py": ("translated",),
    "admin/alerts/web.py": ("Delivery",),
    "backup/archive.py": ("Flaw",),
    "backup/manifest.py": ("Flaw",),
    "backup/mending.py": ("Flaw", "seen"),
    "backup/packing.py": ("on_step", "Steps", "_lost"),
    "backup/restoring.py": ("Steps", "pick"),
    "backup/taking.py": ("Flaw", "on_step", "Steps"),
    "backup/trust.py": ("Flaw",),
    "backup/verifying.py": ("Steps", "Flaw"),
    "backup/workplace.py": ("NoRoomError",),
    "children.py": ("describe_exit",),
    "citation.py": ("translated",),
    "errors.py": ("OLDER_BACKUP",),
    "index/database.py": ("MEND",),
    "index/problems.py": ("problems_of", "_pages"),
    "index/endpoint.py": ("complaint", "_RefusedError", "_MalformedError"),
    "index/soundness.py": ("Unsound",),
    "ingest/reading.py": ("_REASONS",),
    "library/checking.py": ("Damage",),
    "library/damage.py": ("Seen", "seen", "_BRING_BACK", "_CHECK", "_REPAIR"),
    "library/checkup.py": ("seen", "remedy"),
    "library/identity.py": ("check_catalog", "_lost", "_WAYS_OUT"),
    "library/adding.py": ("reason", "hint"),
    "library/attempts.py": ("doubt",),
    "library/facade.py": ("hint", "pick"),
    "library/reports.py": ("Step",),
    "library/searching.py": ("_Leg",),
    "library/semantic.py": ("lacking",),
    "model.py": ("remark", "_place"),
    "upgrade/going_back.py": (
        "put_back",
        "_put_embeddings_back",
        "_put_catalog_back",
        "_set_damaged_aside",
        "_changed",
        "_arrived",
    ),
    "web/views/reader.py": ("tr", "_count"),
    "library/storage.py": ("storage_error", "GO_ON", "AGAIN", "DELETE_OTHERS"),
    "library/replacing.py": ("_as_before",),
    "library/stores.py": ("storage_error",),
    "library/uploading.py": ("storage_error",),
    "web/arriving.py": ("tr",),
    "web/editing.py": ("tr",),
    "web/uploading.py": ("tr",),
    "web/views/books.py": ("tr",),
    "web/condition.py": ("Seen",),
    "web/hits.py": ("tr",),
    "web/options.py": ("tr", "_called"),
    "web/script.py": ("tr",),
    "web/views/search.py": ("tr",),
    "web/views/system.py": ("tr",),
}
_NO_TEXTS = ("SELECT ", "bold yellow", "<")


def run_together(package: Path) -> list[str]:
    """Where a value is put into a shown text as if it were words of ours, by file and line."""
    found: list[str] = []
    for module in _modules(package):
        for node in module.given_to(_TRANSLATING):
            found += [f"{module.path}:{n.lineno}: {ast.unparse(n)}" for n in module.pieced(node)]
        for name in _OTHERS.get(module.path.relative_to(package).as_posix(), ()):
            if function := module.functions.get(name):
                for node in _strings(function):
                    if _is_wordy(module.texts(node)):
                        found += [f"{module.path}:{node.lineno}" for _ in module.pieced(node)]
    return sorted(set(found))


def shown_texts(package: Path) -> set[str]:
    """The texts, with PLACE for each value; what is put together from pieces is one text.

    Fails when a command has a text that goes to no function that shows it.
    """
    found = {text for module in _modules(package) for text in _texts_of(module, package)}
    for name in ("SCANNED", "GARBLED", "UNREADABLE"):
        texts = list(_Module(package / "ingest" / "quality.py").named(name))
        assert texts, name
        found.update(f"{PLACE}: {text}" for text in texts)
    return {text for text in found if any(c.isalpha() for c in text)}


def _modules(package: Path) -> list["_Module"]:
    return [_Module(path) for path in package.rglob("*.py")]


def _texts_of(module: "_Module", package: Path) -> Iterator[str]:
    where = module.path.relative_to(package).as_posix()
    yield from module.arguments(_ERRORS)
    for name in _OTHERS.get(where, ()):
        yield from module.named(name)
    if where.startswith(("cli/", "admin/")):
        yield from module.of_commands()
        module.check_that_all_was_seen()


class _Module:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.functions = {n.name: n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef)}
        self.scopes = {n: f for f in self.functions.values() for n in ast.walk(f)}
        self.seen: set[ast.AST] = set()

    def arguments(self, names: set[str]) -> Iterator[str]:
        """What the functions or classes of these names are called with."""
        for argument in self.given_to(names):
            yield from self.texts(argument)

    def given_to(self, names: set[str]) -> Iterator[ast.expr]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and _name(node.func) in names:
                is_delivery = (
                    _name(node.func) == "Delivery"
                )  # to whom, whether it came, what was said
                yield from node.args[2 * is_delivery :]
                yield from (k.value for k in node.keywords if k.arg in ("reason", "hint", "seen"))

    def pieced(self, node: ast.expr) -> Iterator[ast.expr]:
        """The texts with values that the expression can be, or is made of, and that are not filled.

        What a function is called with is its own; where it is `fill`, its messages are looked at.
        """
        match node:
            case ast.JoinedStr(values=values):
                if any(isinstance(value, ast.FormattedValue) for value in values):
                    yield node
            case ast.BinOp(op=ast.Add() | ast.Mod()):
                yield node
            case ast.Call(func=ast.Attribute(attr="join"), args=[ast.Call(func=split)]) if (
                _name(split) == "split"
            ):  # one text, its spaces put right
                return
            case ast.Call(func=ast.Attribute(attr="format" | "join" | "format_map")):
                yield node
            case ast.Call(func=ast.Name(id="fill"), args=[template, *_]):
                if not isinstance(template, ast.Constant):
                    yield from self.pieced(template)
            case ast.IfExp(body=body, orelse=orelse):
                yield from self.pieced(body)
                yield from self.pieced(orelse)
            case ast.Name(id=name):
                scope = self.scopes.get(node, self.tree)
                for value in _assigned(name, scope) or _assigned(name, self.tree):
                    if not isinstance(value, ast.Name):
                        yield from self.pieced(value)

    def of_commands(self) -> Iterator[str]:
        yield from self.arguments(_SHOWING)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.keyword) and node.arg == "help":
                yield from self.texts(node.value)
        for function in self.functions.values():
            if any(word in ast.dump(d) for d in function.decorator_list
                   for word in ("'command'", "'group'")):  # fmt: skip
                yield from _help(ast.get_docstring(function) or "")
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and _name(function.returns) == "str" and node.value:
                    yield from self.texts(node.value)

    def named(self, name: str) -> Iterator[str]:
        if name in self.functions:
            for node in _strings(self.functions[name]):
                yield from (text for text in self.texts(node) if " " in text)
        else:
            yield from self.arguments({name})
            for value in _assigned(name, self.tree):
                yield from self.texts(value)

    def texts(self, node: ast.expr) -> list[str]:
        """What an expression can be as a text."""
        self.seen.add(node)
        match node:
            case ast.Constant(value=str(text)):
                return [] if text.startswith(_NO_TEXTS) else [text]
            case ast.Call(func=ast.Name(id="fill"), args=[template]):
                return [text for one in self.texts(template) for text in self._filled(one, node)]
            case ast.Call(func=ast.Name(id="message_of"), args=[text]):
                return self.texts(text)
            case ast.JoinedStr(values=values):
                return ["".join(pieces) for pieces in product(*map(self.texts, values))]
            case ast.FormattedValue(value=value):
                return self.texts(value)
            case ast.IfExp(body=body, orelse=orelse):
                return self.texts(body) + self.texts(orelse)
            case ast.Tuple(elts=items) | ast.Dict(values=items):
                return [text for item in items for text in self.texts(item)]
            case ast.Subscript(value=ast.Name(id="Literal"), slice=names):
                return self.texts(names)
            case ast.Name(id=name):
                return self._variable(name, self.scopes.get(node, self.tree))
        return [PLACE]

    def _filled(self, template: str, call: ast.Call) -> Iterator[str]:
        """The texts of a template whose values are given by `call`."""
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        pieces: list[list[str]] = []
        for own, name, _, _ in Formatter().parse(template):
            pieces += [[own], self.texts(given[name])] if name else [[own]]
        yield from ("".join(chosen) for chosen in product(*pieces))

    def _variable(self, name: str, scope: ast.AST) -> list[str]:
        values = _assigned(name, scope) or _assigned(name, self.tree)
        strings = [
            v for v in values if isinstance(v, ast.Constant | ast.JoinedStr | ast.IfExp | ast.Call)
        ]
        found = [text for value in strings for text in self.texts(value)]
        for node in ast.walk(scope):
            if isinstance(node, ast.AugAssign) and _name(node.target) == name:
                found += [a + b for a in found for b in self.texts(node.value)]
        return found or [PLACE]

    def check_that_all_was_seen(self) -> None:
        for function in self.functions.values():
            for node in _strings(function):
                if node not in self.seen:
                    texts = self.texts(node)
                    wordy = _is_wordy(texts)
                    assert not wordy, f"{self.path}:{node.lineno} shows without say: {texts}"


def _strings(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """The texts in a function but for docstrings, pieces of other texts, and what is logged."""
    passed: set[ast.AST] = set()
    for node in ast.walk(function):
        if _is_fill(node):
            passed.update(n for child in ast.iter_child_nodes(node) for n in ast.walk(child))
        if isinstance(node, ast.JoinedStr):
            passed.update(n for value in node.values for n in ast.walk(value))
        if isinstance(node, ast.Expr):
            passed.add(node.value)
        if isinstance(node, ast.Call) and _name(getattr(node.func, "value", None)) == "_log":
            passed.update(node.args)
        is_text = (isinstance(node, ast.JoinedStr) or _is_fill(node)) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        if is_text and node not in passed:
            assert isinstance(node, ast.expr)
            yield node


def _is_wordy(texts: list[str]) -> bool:
    return any(" " in t and any(c.isalpha() for c in t.replace(PLACE, "")) for t in texts)


def _is_fill(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) == "fill"


def _assigned(name: str, scope: ast.AST) -> list[ast.expr]:
    return [
        node.value
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign) and name in map(_name, node.targets)
    ]


def _help(text: str) -> Iterator[str]:
    """Its paragraphs; of one that keeps its lines, those that are no commands."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            lines = paragraph.splitlines()[1:]
            yield from (line for line in lines if not line.strip().startswith("bookbrain "))
        else:
            yield " ".join(paragraph.split())


def _name(node: ast.AST | None) -> str:
    return str(getattr(node, "id", None) or getattr(node, "attr", ""))
