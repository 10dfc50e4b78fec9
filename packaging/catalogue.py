"""Makes what gettext reads of `bookbrain/i18n/*.po`: when a wheel of BookBrain is built, when an
editable one is installed, and before the tests."""

import os
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def compile_catalogues(root: Path) -> None:
    """Of the tree at `root`; raises ValueError for a file that is wrong."""
    for source in (root / "bookbrain" / "i18n").glob("*.po"):
        with source.open("rb") as po:
            catalogue = read_po(po, abort_invalid=True)
        target = source.with_suffix("") / "LC_MESSAGES" / "bookbrain.mo"
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}")
        with part.open("wb") as mo:
            write_mo(mo, catalogue)
        part.replace(target)


class CatalogueHook(BuildHookInterface[Any]):
    """What hatchling calls."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        compile_catalogues(Path(self.root))
