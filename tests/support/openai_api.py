"""What OpenAI's embeddings API takes, refuses and answers, and the ways in which it goes wrong.

Sizes, limits and the shape of errors are OpenAI's. The vectors are feature hashes: texts that share
words, or pairs of Hangul syllables, are near; everything else is at a right angle.
"""

import base64
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal

import numpy as np

MODELS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
FIXED_SIZE = frozenset({"text-embedding-ada-002"})  # refuses `dimensions`
MAX_INPUTS = 2048
MAX_REQUEST_TOKENS = 300_000
MAX_INPUT_TOKENS = 8192

Kind = Literal[
    "status",  # an error answer: status, retry_after, code
    "hang",  # nothing for `seconds`, then the connection closes
    "cut",  # the connection closes in the middle of the body; the answer was computed (and billed)
    "malformed",  # 200 with half a JSON document
    "refuse_text",  # 400 for a request with a text that matches `text`
    "nan",  # NaN in the first vector, or in each with every=True
    "wrong_dimensions",  # vectors of `dimensions`, or of one less than asked
    "missing_items",  # the last vector is left out
    "wrong_order",  # the vectors come last first, with their right `index`
    "slow",  # the right answer, `seconds` later
    "drip_head",  # a byte of the answer's head every `seconds`, for ever
    "drip_body",  # a byte of its body every `seconds`, for ever
    "endless",  # a body that goes on for ever, as fast as it is read
    "bomb",  # gigabytes in one megabyte of gzip
    "redirect",  # 307 to the address `to`
    "escape",  # 400 with a text that would steer a terminal
    "nested",  # lists in lists, 200,000 deep
    "infinite_index",  # "index": 1e999
    "twice",  # each vector has the index 0
    "two_dimensional",  # a vector in a list
    "words",  # a vector of strings
    "huge",  # 3e38 in each place: the square is no float32
    "tiny",  # 1e-45 in each place
    "infinity",  # Infinity, which is no JSON
    "object",  # an object that has nothing of what is asked for
    "refusal",  # of a picture: the model says why it does not read it
    "filtered",  # an answer that a filter of contents took away
    "empty",  # an answer without a word
    "long",  # an answer of two megabytes
    "stopped",  # an answer that ends in the middle, for its tokens are used up
]
WRONG: frozenset[Kind] = frozenset(
    {"nested", "infinite_index", "twice", "two_dimensional", "words", "huge", "tiny", "infinity",
     "object"}
)  # fmt: skip
WIRE: frozenset[Kind] = frozenset({"drip_head", "drip_body", "endless", "bomb", "redirect"})
UNSOUND: frozenset[Kind] = WRONG | {"nan", "wrong_dimensions", "missing_items", "malformed"}
ESCAPE = "\x1b]0;owned\x07\x1b[2J\u202etext\ud800\n" * 50


@dataclass(frozen=True, slots=True)
class Fault:
    """`times` requests meet it, None: all until cleared, of those that have a text with `text` in
    it, or for which that is true."""

    kind: Kind
    times: int | None = 1
    status: int = 500
    retry_after: float | None = None
    code: str | None = None
    seconds: float = 0.0
    every: bool = False
    dimensions: int | None = None
    text: str | Callable[[str], bool] = ""
    to: str = ""

    def concerns(self, texts: tuple[str, ...]) -> bool:
        wanted = self.text
        if callable(wanted):
            return any(wanted(text) for text in texts)
        return not wanted or any(wanted in text for text in texts)


class ApiError(Exception):
    """An answer that is not a success, in OpenAI's words."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        kind = "server_error" if status >= 500 else "invalid_request_error"
        self.body = {
            "error": {"message": message, "type": kind, "param": param, "code": code},
        }


@dataclass(frozen=True, slots=True)
class Call:
    """A request that OpenAI would answer."""

    texts: tuple[str, ...]
    model: str
    dimensions: int
    encoding: str
    tokens: int


def count_tokens(text: str) -> int:
    """Four ASCII characters are a token, any other character is one: near enough to theirs."""
    ascii_only = sum(character < "\x80" for character in text)
    return -(-ascii_only // 4) + len(text) - ascii_only


def read_call(body: bytes, models: Mapping[str, int]) -> Call:
    """Raise ApiError where OpenAI refuses."""
    try:
        asked = json.loads(body)
    except ValueError:
        raise ApiError(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("model"), str):
        raise ApiError(400, "you must provide a model parameter", "model")
    model = asked["model"]
    if model not in models:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise ApiError(404, message, code="model_not_found")
    encoding = asked.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise ApiError(400, f"Invalid value: '{encoding}'.", "encoding_format", "invalid_value")
    texts = _read_texts(asked.get("input"))
    tokens = _check_tokens(texts)
    return Call(texts, model, _read_dimensions(asked, models[model]), encoding, tokens)


def _read_texts(given: Any) -> tuple[str, ...]:
    texts = [given] if isinstance(given, str) else given
    bad = ApiError(400, "'$.input' is invalid. Please check the API reference.", "input")
    if not isinstance(texts, list) or not texts:
        raise bad
    if len(texts) > MAX_INPUTS:
        message = (
            f"Invalid 'input': array too long. Expected an array with maximum length {MAX_INPUTS}, "
            f"but got an array with length {len(texts)} instead."
        )
        raise ApiError(400, message, "input", "array_above_max_length")
    if not all(isinstance(text, str) and text for text in texts):  # token ids among them
        raise bad
    return tuple(texts)


def _check_tokens(texts: tuple[str, ...]) -> int:
    counts = [count_tokens(text) for text in texts]
    if max(counts) > MAX_INPUT_TOKENS:
        message = (
            f"This model's maximum context length is {MAX_INPUT_TOKENS} tokens, however you "
            f"requested {max(counts)} tokens ({max(counts)} in your prompt; 0 for the completion)."
        )
        raise ApiError(400, message)
    if sum(counts) > MAX_REQUEST_TOKENS:
        message = f"Requested {sum(counts)} tokens, max {MAX_REQUEST_TOKENS} tokens per request"
        raise ApiError(400, message, code="max_tokens_per_request")
    return sum(counts)


def _read_dimensions(asked: dict[str, Any], native: int) -> int:
    given = asked.get("dimensions")
    if given is None:
        return native
    if asked["model"] in FIXED_SIZE:
        raise ApiError(400, "This model does not support specifying dimensions.", "dimensions")
    if not isinstance(given, int) or not 1 <= given <= native:
        message = f"Invalid value for 'dimensions' = {given}. Must be between 1 and {native}."
        raise ApiError(400, message, "dimensions")
    return given


def answer(call: Call, fault: Fault | None = None) -> bytes:
    """The body of a 200, spoiled by `fault` where that is of the spoiling kind."""
    kind = fault.kind if fault else None
    if kind in WRONG:
        return wrong_answer(kind, call)
    size = call.dimensions
    if fault and kind == "wrong_dimensions":
        size = fault.dimensions or call.dimensions - 1
    vectors = [embed(text, size) for text in call.texts]
    if fault and kind == "nan":
        for vector in vectors if fault.every else vectors[:1]:
            vector[0] = np.nan
    data = [
        {"object": "embedding", "index": index, "embedding": _encode(vector, call.encoding)}
        for index, vector in enumerate(vectors)
    ]
    if kind == "wrong_order":
        data.reverse()
    if kind == "missing_items":
        data.pop()
    usage = {"prompt_tokens": call.tokens, "total_tokens": call.tokens}
    whole = {"object": "list", "data": data, "model": call.model, "usage": usage}
    body = json.dumps(whole).encode()
    return body[: len(body) // 2] if kind == "malformed" else body


def wrong_answer(kind: Kind, call: Call) -> bytes:
    """200, and what no client should take."""
    if kind == "nested":
        return b"[" * 200_000
    if kind == "object":
        return b'{"data": {"embedding": null}, "usage": []}'
    values = {
        "two_dimensional": [[0.5] * call.dimensions],
        "words": ["0.5"] * call.dimensions,
        "huge": [3e38] * call.dimensions,
        "tiny": [1e-45] * call.dimensions,
        "infinity": [float("inf")] * call.dimensions,
    }.get(kind, [0.5] * call.dimensions)
    items = [
        {"object": "embedding", "index": 0 if kind == "twice" else index, "embedding": values}
        for index in range(len(call.texts) + (kind == "twice"))
    ]
    body = json.dumps({"object": "list", "data": items, "model": call.model})
    if kind == "infinite_index":
        body = re.sub(r'"index": \d+', '"index": 1e999', body)
    return body.encode()


def _encode(vector: np.ndarray, encoding: str) -> str | list[float]:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(value) for value in vector]


def embed(text: str, dimensions: int) -> np.ndarray:
    """A float32 unit vector of `dimensions`, the same in every process."""
    vector = np.zeros(dimensions, dtype=np.float32)
    for feature, count in Counter(_features(text)).items():
        for place in _places(feature):
            vector[(place >> 1) % dimensions] += (1 if place & 1 else -1) * np.sqrt(count)
    length = float(np.linalg.norm(vector))
    if length == 0.0:  # features that cancel out, in few dimensions
        vector[0] = length = 1.0
    return vector / np.float32(length)


def _features(text: str) -> list[str]:
    found: list[str] = []
    for run in re.findall(r"[a-z0-9_]+|[가-힣]+", unicodedata.normalize("NFKC", text).lower()):
        pairs = [run[i : i + 2] for i in range(len(run) - 1)] if run[0] >= "가" else []
        found += pairs or [run]
    return found or [text]


@lru_cache(maxsize=200_000)
def _places(feature: str) -> tuple[int, ...]:
    digest = blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4))
