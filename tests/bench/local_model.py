"""Times and memory of a model on this machine, asked as searches and `bookbrain embed` ask it.

    python -m bench.local_model [--folder FOLDER --model NAME]   # in tests/

Without a folder: MiniLM with its real weights, then a model of the size of multilingual-e5-small,
int8, with random ones: times depend on the size, not on what the numbers say.
"""

import argparse
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from onnx import save
from onnxruntime.quantization import QuantType, quantize_dynamic
from support.open_models import bert, write_minilm

from bookbrain.models.local_model import LocalEmbedder
from bookbrain.models.model_folder import install_model, plan_model
from bookbrain.settings import EmbeddingSettings

_LAYERS, _HIDDEN, _INNER, _HEADS, _WORDS = 12, 384, 1536, 12, 250_037  # of multilingual-e5-small
_QUERIES, _PASSAGES = 200, 32
_SAID = "The writer holds the lock until the rename is on the disk, and a reader never waits. "


def write_like_e5(folder: Path) -> Path:
    """A model of its size, quantised as the hub's is."""
    random = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.02).astype(np.float32)

    def norm(name: str) -> dict[str, np.ndarray]:
        ones, none = np.ones(_HIDDEN, np.float32), np.zeros(_HIDDEN, np.float32)
        return {f"{name}.weight": ones, f"{name}.bias": none}

    weights = {
        "embeddings.word_embeddings.weight": some(_WORDS, _HIDDEN),
        "embeddings.token_type_embeddings.weight": some(2, _HIDDEN),
        "embeddings.position_embeddings.weight": some(512, _HIDDEN),
        **norm("embeddings.LayerNorm"),
    }
    for number in range(_LAYERS):
        layer = f"encoder.layer.{number}"
        dense = {
            **{f"attention.self.{n}": (_HIDDEN, _HIDDEN) for n in ("query", "key", "value")},
            "attention.output.dense": (_HIDDEN, _HIDDEN),
            "intermediate.dense": (_INNER, _HIDDEN),
            "output.dense": (_HIDDEN, _INNER),
        }
        for name, shape in dense.items():
            weights[f"{layer}.{name}.weight"] = some(*shape)
            weights[f"{layer}.{name}.bias"] = some(shape[0])
        weights |= norm(f"{layer}.attention.output.LayerNorm")
        weights |= norm(f"{layer}.output.LayerNorm")
    write_minilm(folder)  # for its tokenizer
    save(bert(weights, _HEADS), str(folder / "whole.onnx"))
    quantize_dynamic(folder / "whole.onnx", folder / "model.onnx", weight_type=QuantType.QUInt8)
    (folder / "whole.onnx").unlink()
    return folder


def memory(pid: int, name: str) -> float:
    """MB of a process that /proc calls so."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def processor(pid: int) -> float:
    """Seconds of it that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(home: Path, folder: Path, name: str) -> None:
    settings = EmbeddingSettings()
    found = install_model(
        home, plan_model(home, settings, name, folder, ()), settings, lambda done, total: None
    )
    embedder = LocalEmbedder(home, EmbeddingSettings(model=found.setting))
    embedder.vector("warm")
    pid = next(
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdecimal()
        and b"local_model_child" in (path / "cmdline").read_bytes()
        and os.fsencode(home) in (path / "cmdline").read_bytes()
    )
    took = []
    for number in range(_QUERIES):
        begun = time.perf_counter()
        embedder.vector(f"how does the writer release lock {number} after a crash")
        took.append((time.perf_counter() - begun) * 1000)
    idle, worked, begun = memory(pid, "VmRSS"), processor(pid), time.perf_counter()
    for start in range(0, _PASSAGES, 16):
        embedder.passages([f"{n} {_SAID * 40}" for n in range(start, min(start + 16, _PASSAGES))])
    rate, each = _PASSAGES / (time.perf_counter() - begun), processor(pid) - worked
    p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[18]
    size = found.weights.size / 1e6
    print(
        f"{name} ({size:.0f} MB): query p50 {p50:.1f} ms, p95 {p95:.1f} ms; passages of "
        f"{found.model.longest} tokens {rate:.1f} a second, {_PASSAGES / each:.1f} a second of one "
        f"processor; memory {idle:.0f} MB, at most "
        f"{memory(pid, 'VmHWM'):.0f} MB, addresses {memory(pid, 'VmPeak'):.0f} MB; said to need "
        f"{found.memory / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f}"
    )
    os.kill(pid, signal.SIGTERM)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--folder", type=Path)
    options.add_argument("--model", default="multilingual-e5-small")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "library"
        home.mkdir()
        if given.folder:
            measure(home, given.folder, given.model)
            return
        measure(home, write_minilm(Path(scratch) / "minilm"), "all-MiniLM-L6-v2")
        measure(home, write_like_e5(Path(scratch) / "e5"), "multilingual-e5-small")


if __name__ == "__main__":
    main()
