"""The vectors of questions: all of the process ask the endpoint over the same connections."""

from threading import Lock

from bookbrain.config import EmbeddingSettings
from bookbrain.elsewhere import Service
from bookbrain.index.embeddings import Vector
from bookbrain.index.endpoint import Endpoint
from bookbrain.model import EmbeddingSpace

_SECONDS = 1.75  # for a vector; OpenAI takes 0.1 to 1.5
_ALONE = 10.0  # where nobody else is held up
_PLACES = 16


class Questions:
    """The endpoint as searches ask it: once for a question, and never for long."""

    def __init__(self, settings: EmbeddingSettings, space: EmbeddingSpace) -> None:
        self._endpoint = Endpoint(settings.with_timeout(_ALONE), space.dimensions, retries=0)
        self._longest = settings.timeout
        self._service = Service(settings.base_url or "OpenAI", _PLACES)

    def close(self) -> None:
        self._endpoint.close()

    @property
    def rest(self) -> bool:
        """Whether the endpoint failed so often that it is left alone for a while."""
        return self._service.rests

    def vector(self, text: str) -> Vector:
        """The vector of a question, in 1.75 s with a Turn, in ten without; or BookBrainError."""
        return self._service.ask(
            lambda: self._endpoint.post(text),
            lambda answer: self._endpoint.read(text, answer),
            min(_SECONDS, self._longest),
            alone=min(_ALONE, self._longest),
        )


_known: dict[tuple[EmbeddingSettings, EmbeddingSpace], Questions] = {}
_making = Lock()


def questions(settings: EmbeddingSettings, space: EmbeddingSpace) -> Questions:
    """The one of the process, kept as long as that lives."""
    with _making:
        key = settings, space
        if key not in _known:
            _known[key] = Questions(settings, space)
        return _known[key]
