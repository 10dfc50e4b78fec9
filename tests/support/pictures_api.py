"""What OpenAI's chat completions take and answer where a model is asked what is on a picture."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from support.openai_api import ApiError, Call, Fault, count_tokens, wrong_answer

ReadPicture = Callable[[bytes], str]
MODEL = "gpt-4.1-mini"
MODELS = {MODEL, "gpt-4o-mini", "a-model-of-mine"}
PICTURE_TOKENS = 2488
_ADDRESS = "data:image/jpeg;base64,"
_LONG = 2 << 20


@dataclass(frozen=True, slots=True)
class PictureCall(Call):
    """A request with a picture; its text is the picture's digest, `said` what it says beside it."""

    picture: bytes = b""
    said: tuple[str, ...] = ()


def read_picture_call(body: bytes) -> PictureCall:
    """Raise ApiError where OpenAI refuses."""
    asked = json.loads(body)
    model = asked.get("model")
    if model not in MODELS:
        raise ApiError(404, f"The model `{model}` does not exist.", code="model_not_found")
    pictures, said = [], []
    for message in asked["messages"]:
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                said.append(part["text"])
            else:
                pictures.append(_picture(part["image_url"]["url"]))
    if len(pictures) != 1:
        raise ApiError(400, "Invalid content.", "messages")
    tokens = PICTURE_TOKENS + sum(map(count_tokens, said))
    digest = sha256(pictures[0]).hexdigest()
    return PictureCall((digest,), model, 0, "", tokens, pictures[0], tuple(said))


def _picture(address: str) -> bytes:
    data = base64.b64decode(address.removeprefix(_ADDRESS), validate=True)
    with Image.open(BytesIO(data)) as image:
        image.load()
        if image.format != "JPEG":
            raise ApiError(400, "You uploaded an unsupported image.", code="invalid_image_format")
    return data


def picture_answer(call: PictureCall, read: ReadPicture, fault: Fault | None) -> bytes:
    """The body of a 200."""
    kind = fault.kind if fault else None
    if kind in ("nested", "object"):
        return wrong_answer(kind, call)
    said: Any = {
        "refusal": None,
        "filtered": None,
        "empty": " \n",
        "long": "word " * (_LONG // 5),
    }.get(kind or "", read(call.picture))
    message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None}
    ending = {"filtered": "content_filter", "stopped": "length"}.get(kind or "", "stop")
    if kind == "refusal":
        message["refusal"] = "I cannot help with that."
    if kind == "stopped":
        message["content"] = said[: len(said) // 2]
    answered = count_tokens(said or "")
    usage = {
        "prompt_tokens": call.tokens, "completion_tokens": answered,
        "total_tokens": call.tokens + answered,
    }  # fmt: skip
    choice = {"index": 0, "message": message, "finish_reason": ending}
    whole = {"object": "chat.completion", "model": call.model, "choices": [choice], "usage": usage}
    body = json.dumps(whole).encode()
    return body[: len(body) // 2] if kind == "malformed" else body


def reader_of(pages: Sequence[tuple[Image.Image, str]]) -> ReadPicture:
    """A model that reads well: it knows these pages by their pictures, and what stands on them."""

    def read(picture: bytes) -> str:
        with Image.open(BytesIO(picture)) as image:
            seen = image.convert("L")
        return min(pages, key=lambda page: _difference(seen, page[0]))[1]

    return read


def _difference(seen: Image.Image, page: Image.Image) -> float:
    resized = page.convert("L").resize(seen.size)
    return float(np.abs(np.asarray(seen, np.int16) - np.asarray(resized, np.int16)).mean())
