"""The Chroma server, as the program `chroma` starts it, but without Chroma's Python client.

It answers after 0.1 s and takes 40 MB, instead of 2 s and 110 MB. Its arguments are those of
`chroma`.
"""

import os
import sys
from pathlib import Path
from subprocess import Popen

from bookbrain.paths import LibraryPaths
from bookbrain.processes import start_program


def start_server(home: Path, port: int) -> "Popen[bytes]":
    """Start that of the library in `home`; it says on our stdout what goes wrong."""
    folder = LibraryPaths(home).chroma
    folder.mkdir(mode=0o700, exist_ok=True)
    # The client's environment may point elsewhere; a server needs none of it.
    env = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "RUST_LOG": "error"}
    env["ANONYMIZED_TELEMETRY"] = "False"
    return start_program(
        [sys.executable, "-P", "-m", "bookbrain.store.chroma_server", "run",
         "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)],
        cwd=str(folder), stdout=sys.stdout.buffer, env=env,
    )  # fmt: skip


def main() -> None:
    from chromadb_rust_bindings import cli  # noqa: PLC0415  (only the server's own process needs it)

    cli(["chroma", *sys.argv[1:]])


if __name__ == "__main__":
    main()
