"""Every message that the code can show a person, read from its source: the ids of the catalogue."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

# What is called with messages, and which of its arguments are, where not all of them can be.
_TELLING = {
    "fill", "message_of", "say", "note", "shown", "tr", "translated", "echo", "secho", "confirm",
    "BookBrainError", "InputError", "NotFoundError", "UnavailableError", "BusyError", "ConfigError",
    "UnreadPageError", "UsageError", "Flaw", "Unsound", "Damage", "Check", "ok", "warn", "fail",
    "_asked", "Delivery", "Outcome", "on_step", "Steps", "pick", "storage_error",
    "storage_errors", "Kind", "_setting",
}  # fmt: skip
_MESSAGES_OF = {
    "fill": slice(1),
    "_asked": slice(1),
    "translated": slice(1),
    "Delivery": slice(2, None),
    "Outcome": slice(3, None),
    "Kind": slice(2, 3),
    "_setting": slice(3, 4),
}
_FILLING = ("fill", "say", "note", "shown", "tr")  # which get its values, too
_STYLE = ("fg", "dim", "err")
_KEYWORDS = ("reason", "hint", "seen", "remedy", "help")

# Messages that go another way: what functions have in them, and what variables are.
_OTHERS = {
    "errors.py": ("OLDER_BACKUP",),
    "formats/pdf.py": ("_REASONS",),
    "library/findings.py": ("remedy",),
    "model.py": ("Step",),
    "ocr/choice.py": (
        "NO_TEXT",
        "OUTLINED",
        "GARBLED",
        "UNTRUSTED",
        "PARTLY",
        "UNREADABLE",
        "ATTACHED",
        "FORM",
    ),
    "store/folder.py": ("GO_ON", "DELETE_OTHERS"),
    "store/identity.py": ("check_catalog", "_WAYS_OUT"),
    "web/books_page.py": ("_DIALOGS",),
    "web/plain_page.py": ("_PLACES",),
}
_NO_TEXTS = ("SELECT ", "bold yellow", "<")


def run_together(package: Path) -> list[str]:
    """Where a value is put into a message as if it were words of ours, by file and line."""
    return sorted(
        f"{module.path}:{node.lineno}: {ast.unparse(node)}"
        for module in _modules(package)
        for argument in module.told()
        for node in module.pieced(argument)
    )


def given_as_data(package: Path) -> list[str]:
    """Words of ours that are a value of `fill` and no message, by file and line."""
    return sorted(
        f"{module.path}:{node.lineno}: {text!r}"
        for module in _modules(package)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and _name(node.func) in _FILLING
        for value in node.keywords
        if value.arg not in _STYLE
        for text in module.texts(value.value)
        if any(c.isalpha() for c in words_of(text))
    )


def shown_texts(package: Path) -> set[str]:
    """Their templates, with bare names.

    Fails when a command has a text that goes to no function that shows it.
    """
    found: set[str] = set()
    for module in _modules(package):
        where = module.path.relative_to(package).as_posix()
        found.update(text for argument in module.told() for text in module.texts(argument))
        found.update(text for name in _OTHERS.get(where, ()) for text in module.named(name))
        if where.startswith(("cli/", "admin/")):
            found.update(module.of_commands())
            module.check_that_all_was_seen()
    return {text for text in found if any(c.isalpha() for c in words_of(text))}


def words_of(template: str) -> str:
    return "".join(own for own, *_ in Formatter().parse(template))


def bare(text: str) -> str:
    """The template without formats; a text that is none has its braces doubled."""
    try:
        pieces = list(Formatter().parse(text))
    except ValueError:
        pieces = [(text, None, None, None)]
    if not all(name is None or name.isidentifier() for _, name, _, _ in pieces):
        pieces = [(text, None, None, None)]
    return "".join(
        own.replace("{", "{{").replace("}", "}}") + (f"{{{name}}}" if name is not None else "")
        for own, name, _, _ in pieces
    )


@cache
def _modules(package: Path) -> list["_Module"]:
    return [_Module(path) for path in package.rglob("*.py")]


class _Module:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        self.functions = {n.name: n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef)}
        self.scopes = {n: f for f in self.functions.values() for n in ast.walk(f)}
        self.seen: set[ast.AST] = set()

    def told(self) -> Iterator[ast.expr]:
        """What is given to functions as a message; that of `fill` may have names in braces."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and (name := _name(node.func)) in _TELLING:
                yield from node.args[_MESSAGES_OF.get(name, slice(None))]
                if name not in _FILLING:
                    yield from (k.value for k in node.keywords if k.arg in _KEYWORDS)

    def pieced(self, node: ast.expr) -> Iterator[ast.expr]:
        """The texts with values that the expression can be and that are not filled."""
        match node:
            case ast.JoinedStr(values=values):
                own = "".join(str(v.value) for v in values if isinstance(v, ast.Constant))
                if any(c.isalpha() for c in own):
                    yield node
            case ast.BinOp(op=ast.Add() | ast.Mod()):
                yield node
            case ast.Call(func=ast.Attribute(attr="join"), args=[ast.Call(func=split)]) if (
                _name(split) == "split"
            ):  # one text, its spaces put right
                return
            case ast.Call(func=ast.Attribute(attr="format" | "join" | "format_map")):
                yield node
            case ast.IfExp(body=body, orelse=orelse):
                yield from self.pieced(body)
                yield from self.pieced(orelse)
            case ast.Name(id=name):
                for value in self._assigned(name, node):
                    if not isinstance(value, ast.Name):
                        yield from self.pieced(value)

    def of_commands(self) -> Iterator[str]:
        """The help of commands and options, and what functions of theirs return."""
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
        if function := self.functions.get(name):
            found = [text for node in _strings(function) for text in self.texts(node)]
            yield from (text for text in found if " " in text)
        else:
            for value in self._assigned(name, self.tree):
                yield from self.texts(value)

    def texts(self, node: ast.expr) -> list[str]:
        """What an expression can be as a message; those that are filled see to themselves."""
        self.seen.add(node)
        match node:
            case ast.Constant(value=str(text)):
                return [] if text.startswith(_NO_TEXTS) else [bare(text)]
            case ast.IfExp(body=body, orelse=orelse):
                return self.texts(body) + self.texts(orelse)
            case ast.Tuple(elts=items) | ast.Dict(values=items):
                return [text for item in items for text in self.texts(item)]
            case ast.Subscript(value=ast.Name(id="Literal"), slice=names):
                return self.texts(names)
            case ast.Subscript(value=ast.Name() as table):
                return self.texts(table)
            case ast.Name(id=name):
                values = [v for v in self._assigned(name, node) if node not in ast.walk(v)]
                return [text for value in values for text in self.texts(value)]
        return []

    def _assigned(self, name: str, node: ast.AST) -> list[ast.expr]:
        """What a variable is set to where it is used, else in the module."""
        scope = self.scopes.get(node, self.tree)
        return _set_in(scope).get(name) or _set_in(self.tree).get(name, [])

    def check_that_all_was_seen(self) -> None:
        for function in self.functions.values():
            for node in _strings(function):
                if node not in self.seen:
                    wordy = [text for text in self.texts(node) if " " in words_of(text).strip()]
                    assert not wordy, f"{self.path}:{node.lineno} shows without say: {wordy}"


def _strings(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """The texts in a function but for docstrings, pieces of other texts, and what is logged."""
    passed: set[ast.AST] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.JoinedStr):
            passed.update(n for value in node.values for n in ast.walk(value))
        if isinstance(node, ast.Expr):
            passed.add(node.value)
        if isinstance(node, ast.Call) and _name(getattr(node.func, "value", None)) == "_log":
            passed.update(node.args)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in passed:
            yield node


@cache
def _set_in(scope: ast.AST) -> dict[str, list[ast.expr]]:
    """What each variable is set to."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                found.setdefault(_name(target), []).append(node.value)
    return found


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
