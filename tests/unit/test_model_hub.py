"""Fetching a model: from a hub on this machine, which breaks off, lies and leads elsewhere."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support.model_hub import REVISION, ModelHub
from support.open_models import write_tiny
from support.stand_in import make_certificate

from bookbrain.errors import BookBrainError, ConfigError, InputError, UnavailableError
from bookbrain.models.model_folder import install_model, plan_model
from bookbrain.models.open_models import OPEN_MODELS, InstalledModel
from bookbrain.paths import LibraryPaths
from bookbrain.settings import EmbeddingSettings

NAME = "all-MiniLM-L6-v2"  # no digest of it is in the table
MODEL = OPEN_MODELS[NAME]
PINNED = OPEN_MODELS["multilingual-e5-small"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    words = [[f"word{n}"] for n in range(400)]
    return write_tiny(tmp_path / "hub", words, weights=MODEL.weights.path)


@pytest.fixture
def hub(files: Path) -> Iterator[ModelHub]:
    with ModelHub(files, MODEL.repository) as server:
        yield server


def fetch(home: Path, hub: ModelHub, name: str = NAME, digest: str = "") -> InstalledModel:
    settings = EmbeddingSettings(hub_url=hub.url, local_minutes=0.01)
    plan = plan_model(home, settings, name, None, (digest,) if digest else ())
    heard: list[tuple[int, int]] = []
    found = install_model(home, plan, settings, lambda done, total: heard.append((done, total)))
    if plan.fetched:
        assert heard[-1] == (plan.fetched, plan.fetched)
        assert heard == sorted(heard)
    return found


def _weights(home: Path) -> list[Path]:
    return sorted(LibraryPaths(home).models.rglob("model.onnx"))


@pytest.mark.slow
def test_it_is_fetched_once_and_is_what_the_hub_has(home: Path, hub: ModelHub, files: Path) -> None:
    found = fetch(home, hub)
    assert found.origin == REVISION
    (weights,) = _weights(home)
    assert weights.read_bytes() == (files / MODEL.weights.path).read_bytes()
    assert found.weights.sha256 == sha256(weights.read_bytes()).hexdigest()
    asked = len(hub.calls)
    assert fetch(home, hub) == found
    assert len(hub.calls) == asked, "what is there is not asked for"


def test_its_size_is_known_before_anything_is_fetched(
    home: Path, hub: ModelHub, files: Path
) -> None:
    plan = plan_model(home, EmbeddingSettings(hub_url=hub.url), NAME, None, ())
    expected = [(files / f.path).stat().st_size for f in MODEL.files.values()]
    assert plan.fetched == sum(expected)
    assert [path.partition("?")[0] for path, _ in hub.calls] == [f"/api/models/{MODEL.repository}"]
    assert not LibraryPaths(home).models.exists()


@pytest.mark.slow
@pytest.mark.parametrize("ranges", [True, False])
def test_what_broke_off_is_gone_on_with_or_begun_anew(
    home: Path, hub: ModelHub, files: Path, ranges: bool
) -> None:
    hub.most, hub.ranges = 100_000, ranges
    with pytest.raises(UnavailableError, match="cannot be reached"):
        fetch(home, hub)
    (part,) = _weights(home)
    assert part.stat().st_size == 100_000
    hub.most = None
    hub.calls.clear()
    fetch(home, hub)
    assert ("/lfs/onnx/model_quantized.onnx", 100_000) in hub.calls
    (weights,) = _weights(home)
    assert weights.read_bytes() == (files / MODEL.weights.path).read_bytes()
    assert not list(LibraryPaths(home).models.glob("*.part"))


@pytest.mark.slow
def test_a_part_that_is_of_something_else_is_no_part(
    home: Path, hub: ModelHub, files: Path
) -> None:
    hub.most = 100_000
    with pytest.raises(UnavailableError):
        fetch(home, hub)
    hub.most = None
    (part,) = _weights(home)
    part.write_bytes(b"x" * 100_000)
    with pytest.raises(InputError, match="is not what it must be"):
        fetch(home, hub)
    assert not _weights(home)
    fetch(home, hub)
    (weights,) = _weights(home)
    assert weights.read_bytes() == (files / MODEL.weights.path).read_bytes()


def _other_weights(said: dict[str, Any]) -> None:
    for file in said["siblings"]:
        if "lfs" in file:
            file["lfs"]["sha256"] = "0" * 64


def _other_tokenizer(said: dict[str, Any]) -> None:
    for file in said["siblings"]:
        if "lfs" not in file:
            file["blobId"] = "0" * 40


def _longer(said: dict[str, Any]) -> None:
    for file in said["siblings"]:
        file["size"] += 1


def _shorter(said: dict[str, Any]) -> None:
    for file in said["siblings"]:
        file["size"] -= 1


@pytest.mark.parametrize("say", [_other_weights, _other_tokenizer, _longer, _shorter])
def test_a_file_that_is_not_what_the_hub_says_is_refused(
    home: Path, hub: ModelHub, say: Callable[[dict[str, Any]], None]
) -> None:
    hub.say = say
    with pytest.raises(BookBrainError) as failed:
        fetch(home, hub)
    assert failed.value.hint
    assert not list(LibraryPaths(home).models.glob("*@*"))


def _no_files(said: dict[str, Any]) -> None:
    said["siblings"] = []


def _no_digest(said: dict[str, Any]) -> None:
    for file in said["siblings"]:
        file.pop("lfs", None)
        file["blobId"] = "main"


def _no_size(said: dict[str, Any]) -> None:
    said["siblings"][0]["size"] = said["siblings"][1]["size"] = -1


def _huge(said: dict[str, Any]) -> None:
    said["siblings"][0]["size"] = said["siblings"][1]["size"] = 1 << 50


def _no_commit(said: dict[str, Any]) -> None:
    said["sha"] = "../../../etc"


def _no_list(said: dict[str, Any]) -> None:
    said["siblings"] = {"a": 1}


@pytest.mark.parametrize("say", [_no_files, _no_digest, _no_size, _huge, _no_commit, _no_list])
def test_a_list_that_says_nothing_is_no_list(
    home: Path, hub: ModelHub, say: Callable[[dict[str, Any]], None]
) -> None:
    hub.say = say
    with pytest.raises(UnavailableError, match="does not say what it has"):
        fetch(home, hub)
    assert not LibraryPaths(home).models.exists()


def test_what_the_table_knows_goes_before_what_the_hub_says(home: Path, files: Path) -> None:
    (files / PINNED.weights.path).write_bytes(b"another model")
    with ModelHub(files, PINNED.repository) as hub:
        hub.say = lambda said: said.update(sha=PINNED.revision)
        with pytest.raises(InputError, match="has another onnx/model_quantized"):
            fetch(home, hub, PINNED.name)
        assert f"/revision/{PINNED.revision}" in hub.calls[0][0]

        def lie(said: dict[str, Any]) -> None:
            said["sha"] = PINNED.revision
            for file in said["siblings"]:
                digest = {f.path: f.sha256 for f in PINNED.files.values()}[file["rfilename"]]
                file["lfs"] = {"sha256": digest}

        hub.say = lie
        with pytest.raises(InputError, match="is not what it must be"):
            fetch(home, hub, PINNED.name)


@pytest.mark.slow
def test_what_came_once_comes_again_or_nothing_does(home: Path, hub: ModelHub, files: Path) -> None:
    found = fetch(home, hub)
    _weights(home)[0].unlink()
    (files / MODEL.weights.path).write_bytes(
        (write_tiny(files.parent / "other", [["x"]], seed=9) / "model.onnx").read_bytes()
    )
    with pytest.raises(InputError, match="has another onnx/model_quantized"):
        fetch(home, hub)
    words = [[f"word{n}"] for n in range(400)]
    write_tiny(files, words, weights=MODEL.weights.path)
    assert fetch(home, hub).name == found.name
    assert any(f"/revision/{REVISION}" in path for path, _ in hub.calls)


@pytest.mark.slow
def test_a_digest_that_is_given_must_be_that_of_a_file(
    home: Path, hub: ModelHub, files: Path
) -> None:
    with pytest.raises(InputError, match="No file of the model has the digest"):
        fetch(home, hub, digest="0" * 64)
    assert not list(LibraryPaths(home).models.iterdir())
    right = sha256((files / MODEL.weights.path).read_bytes()).hexdigest()
    assert fetch(home, hub, digest=right).weights.sha256 == right


@pytest.mark.parametrize(
    "elsewhere",
    ["http://example.org", "http://127.0.0.1.example.org", "ftp://127.0.0.1", "file://"],
)
def test_nobody_is_followed_to_where_it_is_not_private(
    home: Path, hub: ModelHub, elsewhere: str
) -> None:
    hub.elsewhere = elsewhere
    with pytest.raises(ConfigError, match="is not asked by https"):
        fetch(home, hub)


def test_going_round_in_circles_has_an_end(home: Path, hub: ModelHub) -> None:
    hub.elsewhere = f"{hub.url}/{MODEL.repository}/resolve/{REVISION}/lfs"
    with pytest.raises(UnavailableError, match="cannot be reached"):
        fetch(home, hub)


@pytest.mark.parametrize("url", ["http://example.org", "http://10.0.0.1", "http://localhost.org"])
def test_a_hub_is_asked_by_https(home: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="is not asked by https"):
        plan_model(home, EmbeddingSettings(hub_url=url), NAME, None, ())


def test_a_certificate_that_nobody_signed_is_refused(
    home: Path, files: Path, tmp_path: Path
) -> None:
    with ModelHub(files, MODEL.repository, make_certificate(tmp_path)) as hub:
        with pytest.raises(UnavailableError, match="cannot be reached"):
            fetch(home, hub)
        assert hub.calls == []


def test_a_hub_without_the_model_and_one_that_is_not_there(home: Path, files: Path) -> None:
    with ModelHub(files, "Somebody/else") as hub:
        with pytest.raises(ConfigError, match="has no such model") as failed:
            fetch(home, hub)
        assert "--from" in failed.value.hint
    with pytest.raises(UnavailableError, match="cannot be reached") as failed:
        fetch(home, hub)
    assert "--from" in failed.value.hint


def test_hf_endpoint_names_a_mirror_too(
    home: Path, hub: ModelHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/")
    plan = plan_model(home, EmbeddingSettings(), NAME, None, ())
    assert plan.where == hub.url


def test_the_table_of_models_is_one_that_can_be_used() -> None:
    for name, model in OPEN_MODELS.items():
        assert name == model.name
        assert model.repository.count("/") == 1
        for file in model.files.values():
            assert file.size > 0
            assert file.sha256 == "" or len(bytes.fromhex(file.sha256)) == 32
        assert bool(model.revision) == all(file.sha256 for file in model.files.values())
