"""Every text that the code can show a person, read from its source."""

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

PLACE = "\0"  # where a value stands in a text

_ERRORS = {
    "BookBrainError", "InputError", "UnavailableError", "BusyError", "ConfigError", "_unavailable",
}  # fmt: skip
_SHOWING = {"say", "shown", "echo", "secho", "confirm", "UsageError", "Check"}
_STYLES = {"bold yellow"}


class UnseenTextError(AssertionError):
    """A command has a text with words in it that goes to no function that shows it."""


def shown_texts(package: Path) -> set[str]:
    """The texts, `PLACE` for each value. What is put together from pieces is one text."""
    found: set[str] = set()
    for path in package.rglob("*.py"):
        module = _Module(path)
        found.update(module.errors())
        where = path.relative_to(package).as_posix()
        if where.startswith(("cli/", "admin/")):
            found.update(module.commands())
        found.update(module.named(_TEXTS_OF.get(where, ())))
    found.update(f"{PLACE}: {text}" for text in _Module(package / "ingest/quality.py").constants())
    found.update(_Module(package / "library/reports.py").literal("Step"))
    return {text for text in found if _has_words(text)}


# Texts that reach a person by another way: by function (what it returns, or all of its texts with a
# space), or by the name of a variable.
_TEXTS_OF: dict[str, tuple[str, ...]] = {
    "children.py": ("describe_exit",),
    "index/catalog.py": ("_problems", "_pages"),
    "index/endpoint.py": ("complaint", "_RefusedError"),
    "ingest/reading.py": ("_REASONS",),
    "library/adding.py": ("reason", "hint"),
    "library/semantic.py": ("lacking",),
    "library/searching.py": ("_Leg",),
}


class _Module:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.functions = {n.name: n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef)}
        self.scope = {
            child: function for function in self.functions.values() for child in ast.walk(function)
        }
        self.seen: set[ast.AST] = set()

    def calls(self, names: set[str]) -> Iterator[ast.Call]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and _name(node.func) in names:
                yield node

    def errors(self) -> Iterator[str]:
        for call in self.calls(_ERRORS):
            for argument in call.args:
                yield from self.texts(argument)

    def commands(self) -> Iterator[str]:
        """What commands print, their help and that of their options."""
        for call in self.calls(_SHOWING):
            for argument in call.args:
                yield from self.texts(argument)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.keyword) and node.arg == "help":
                yield from self.texts(node.value)
        for function in self.functions.values():
            if any("command" in ast.dump(d) or "group" in ast.dump(d)
                   for d in function.decorator_list):  # fmt: skip
                yield from _help(ast.get_docstring(function) or "")
        self._check_all_seen()

    def named(self, names: tuple[str, ...]) -> Iterator[str]:
        for name in names:
            for node in self._assigned(name, None):
                yield from self.texts(node)
            for call in self.calls({name} - _ERRORS):
                for argument in call.args if name not in self.functions else ():
                    yield from self.texts(argument)
            if name in self.functions:
                for node in _outermost_strings(self.functions[name]):
                    yield from (t for t in self.texts(node) if " " in t and "SELECT" not in t)

    def constants(self) -> Iterator[str]:
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                if _name(node.targets[0]).isupper() and isinstance(node.value.value, str):
                    if not _name(node.targets[0]).startswith("_"):
                        yield node.value.value

    def literal(self, name: str) -> Iterator[str]:
        for node in self._assigned(name, None):
            yield from (c.value for c in ast.walk(node) if isinstance(c, ast.Constant))

    def texts(self, node: ast.expr) -> list[str]:
        """What an expression can be as a text; a value is PLACE."""
        self.seen.add(node)
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=values):
                return ["".join(pieces) for pieces in product(*map(self.texts, values))]
            case ast.FormattedValue(value=value):
                return self.texts(value)
            case ast.IfExp(body=body, orelse=orelse):
                return self.texts(body) + self.texts(orelse)
            case ast.Tuple(elts=items) | ast.Dict(values=items):
                return [text for item in items for text in self.texts(item)]
            case ast.Name(id=name):
                return self._variable(name, self.scope.get(node))
            case ast.Call(func=ast.Name(id=name)) if name in self.functions:
                return [PLACE]
        return [PLACE]

    def _variable(self, name: str, scope: ast.FunctionDef | None) -> list[str]:
        values = self._assigned(name, scope) or self._assigned(name, None)
        strings = [v for v in values if isinstance(v, ast.Constant | ast.JoinedStr | ast.IfExp)]
        found = [text for value in strings for text in self.texts(value)] or [PLACE]
        for node in ast.walk(scope or self.tree):
            if isinstance(node, ast.AugAssign) and _name(node.target) == name:
                found += [a + b for a in found for b in self.texts(node.value)]
        return found

    def _assigned(self, name: str, scope: ast.FunctionDef | None) -> list[ast.expr]:
        return [
            node.value
            for node in ast.walk(scope or self.tree)
            if isinstance(node, ast.Assign) and name in map(_name, node.targets)
        ]

    def _check_all_seen(self) -> None:
        for function in self.functions.values():
            for node in _outermost_strings(function):
                if isinstance(node, ast.JoinedStr):
                    text = "".join(p.value if isinstance(p, ast.Constant) else PLACE
                                   for p in node.values)  # fmt: skip
                else:
                    text = node.value
                if " " in text and _has_words(text) and text not in _STYLES | {""}:
                    if node not in self.seen:
                        raise UnseenTextError(f"{self.path}:{node.lineno}: {text!r}")
