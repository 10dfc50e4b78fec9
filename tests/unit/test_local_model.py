"""A model on this machine: what its vectors are, where it comes from, and the one process of it."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from onnx import load, numpy_helper, save
from support.open_models import write_minilm, write_tiny
from support.shelf import wait_for
from tokenizers import Tokenizer

from bookbrain.errors import BookBrainError, ConfigError, InputError, UnavailableError
from bookbrain.model import text_digest
from bookbrain.models import Purchase
from bookbrain.models.local_model import LocalEmbedder, bound_socket, check_memory, state
from bookbrain.models.local_model_child import LoadedModel, pooled
from bookbrain.models.model_folder import choose_model, install_model, plan_model
from bookbrain.models.open_models import OPEN_MODELS, Digest, InstalledModel, installed
from bookbrain.paths import LibraryPaths
from bookbrain.processes import _free_in_cgroups, free_memory
from bookbrain.settings import EmbeddingSettings, load_settings
from bookbrain.store.embeddings import Vector

E5, MINILM = "multilingual-e5-small", "all-MiniLM-L6-v2"
MEANINGS = [["car", "automobile"], ["tree"], ["lock", "mutex"], ["river"]]
_LATER = 30.0  # minutes: no test takes so long


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "library"
    folder.mkdir()
    yield folder
    for pid in processes(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes(home: Path) -> list[int]:
    """Those that have a model of the library in memory, or are about to."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"bookbrain.models.local_model_child" in words and os.fsencode(home) in words:
                found.append(int(folder.name))
    return found


def install(
    home: Path, folder: Path, name: str = E5, digests: tuple[str, ...] = ()
) -> InstalledModel:
    settings = EmbeddingSettings()
    plan = plan_model(home, settings, name, folder, digests)
    return install_model(home, plan, settings, lambda done, total: None)


def embedder(home: Path, found: InstalledModel, minutes: float = _LATER) -> LocalEmbedder:
    return LocalEmbedder(home, EmbeddingSettings(model=found.setting, local_minutes=minutes))


def loaded(home: Path, folder: Path, name: str = E5) -> LoadedModel:
    found = install(home, folder, name)
    return LoadedModel(found, found.folder(home))


# What a vector is


def test_the_mean_is_of_the_tokens_that_are_there() -> None:
    random = np.random.default_rng(1)
    hidden = random.standard_normal((3, 5, 4)).astype(np.float32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    by_mean, by_first = pooled(hidden, mask, "mean"), pooled(hidden, mask, "first")
    for row, count in enumerate((5, 2, 1)):
        for found, expected in (
            (by_mean[row], sum(hidden[row, n] for n in range(count)) / count),
            (by_first[row], hidden[row, 0]),
        ):
            length = float(np.sqrt(sum(x * x for x in expected)))
            assert np.allclose(found, expected / length, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "before"),
    [(E5, "query", "query: "), (E5, "passage", "passage: "), (MINILM, "query", "")],
)
def test_a_text_has_the_prefix_of_its_kind(
    home: Path, tmp_path: Path, name: str, kind: str, before: str
) -> None:
    folder = write_tiny(tmp_path / "model", MEANINGS)
    table = numpy_helper.to_array(load(folder / "model.onnx").graph.initializer[0])
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(before + "tree river").ids
    expected = table[ids].mean(axis=0)
    (found, *_), cut = loaded(home, folder, name).vectors(kind, ["tree river"])  # type: ignore[arg-type]
    assert np.allclose(found, expected / np.linalg.norm(expected), atol=1e-5)
    assert cut == 0


@pytest.mark.slow
def test_a_text_has_the_vector_that_it_has_alone(home: Path, tmp_path: Path) -> None:
    model = loaded(home, write_tiny(tmp_path / "model", MEANINGS))
    texts = ["car " * n + "tree river lock "[: 5 * (n % 3)] for n in (40, 1, 300, 7, 100, 2)]
    together, _ = model.vectors("passage", texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.allclose(model.vectors("passage", [text])[0][0], vector, atol=1e-5)


@pytest.mark.slow
def test_what_is_longer_than_the_model_reads_is_cut_and_counted(home: Path, tmp_path: Path) -> None:
    longest = OPEN_MODELS[E5].longest
    room = longest - 4  # beside [CLS], `passage`, `:` and [SEP]
    model = loaded(home, write_tiny(tmp_path / "model", MEANINGS))
    whole, cut = model.vectors("passage", ["car " * room])
    assert cut == 0
    longer, cut = model.vectors("passage", ["car " * room + "tree " * 400, "river"])
    assert cut == 1
    assert np.allclose(whole[0], longer[0], atol=1e-5)


@pytest.mark.slow
def test_minilm_gives_what_its_authors_show(home: Path, tmp_path: Path) -> None:
    """The similarities of the first example in the documentation of Sentence Transformers."""
    model = loaded(home, write_minilm(tmp_path / "minilm"), MINILM)
    said = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    vectors, _ = model.vectors("passage", said)
    alike = vectors @ vectors.T
    assert np.allclose(alike[np.triu_indices(3, 1)], [0.6660, 0.1046, 0.1411], atol=2e-4)


@pytest.mark.slow
def test_a_question_and_a_passage_of_the_same_words_are_kept_apart(
    home: Path, tmp_path: Path
) -> None:
    asked = embedder(home, install(home, write_tiny(tmp_path / "model", MEANINGS)))
    assert asked.kept_as("car") == "query: car"
    plain = embedder(home, install(home, write_tiny(tmp_path / "other", MEANINGS), MINILM))
    assert plain.kept_as("car") == "car"


# Where it comes from


def _plain(folder: Path) -> Path:
    return write_tiny(folder, MEANINGS)


def _as_repository(folder: Path) -> Path:
    return write_tiny(folder, MEANINGS, weights="onnx/model_quantized.onnx")


def _below_its_name(folder: Path) -> Path:
    write_tiny(folder / "Xenova" / E5, MEANINGS, weights="onnx/model_quantized.onnx")
    return folder


def _as_cache(folder: Path) -> Path:
    """As the hub's own tools keep it: names are links to files named by their digests."""
    top = folder / f"models--Xenova--{E5}"
    kept = write_tiny(top / "blobs", MEANINGS)
    snapshot = top / "snapshots" / "abc"
    (snapshot / "onnx").mkdir(parents=True)
    (snapshot / "onnx" / "model_quantized.onnx").symlink_to(kept / "model.onnx")
    (snapshot / "tokenizer.json").symlink_to(kept / "tokenizer.json")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("write", [_plain, _as_repository, _below_its_name, _as_cache])
def test_a_folder_has_it_plain_or_as_the_hub_lays_it_out(
    home: Path, tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    found = install(home, write(tmp_path / "model"))
    assert installed(home, found.setting) == found
    assert found.seconds > 0
    assert embedder(home, found).vector("car").shape == (384,)
    assert os.stat(LibraryPaths(home).models).st_mode & 0o777 == 0o700


def _nothing(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _a_folder_for_a_file(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").mkdir()


@pytest.mark.parametrize("spoil", [_nothing, _no_tokenizer, _a_folder_for_a_file])
def test_a_folder_that_is_no_model_is_refused(
    home: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    folder = write_tiny(tmp_path / "model", MEANINGS)
    spoil(folder)
    with pytest.raises(InputError, match="There is no model in"):
        install(home, folder)
    assert not LibraryPaths(home).models.exists()


def _cut_off(folder: Path) -> None:
    data = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(data[: len(data) // 2])


def _empty(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"")


def _no_onnx(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a model" * 1000)


def _no_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{not json")


def _other_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(json.dumps({"model": []}))


def _other_dimensions(folder: Path) -> None:
    write_tiny(folder, MEANINGS, dimensions=64)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil", [_cut_off, _empty, _no_onnx, _no_json, _other_json, _other_dimensions]
)
def test_a_model_that_cannot_be_loaded_is_not_kept(
    home: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    folder = write_tiny(tmp_path / "model", MEANINGS)
    good = install(home, folder)
    spoil(folder)
    with pytest.raises(UnavailableError, match="The local model cannot be loaded: ") as failed:
        install(home, folder)
    assert failed.value.hint
    assert [path.name for path in LibraryPaths(home).models.iterdir()] == [good.name]
    assert embedder(home, good).vector("car").shape == (384,)


@pytest.mark.slow
def test_a_model_that_gives_no_numbers_is_not_kept(home: Path, tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "model", MEANINGS)
    graph = load(folder / "model.onnx")
    table = np.full_like(numpy_helper.to_array(graph.graph.initializer[0]), np.nan)
    graph.graph.initializer[0].raw_data = table.tobytes()
    save(graph, str(folder / "model.onnx"))
    with pytest.raises(UnavailableError, match="not of finite numbers"):
        install(home, folder)
    assert list(LibraryPaths(home).models.iterdir()) == []


@pytest.mark.slow
def test_one_of_the_files_must_have_the_digest_that_is_given(home: Path, tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "model", MEANINGS)
    right = [
        sha256((folder / n).read_bytes()).hexdigest() for n in ("model.onnx", "tokenizer.json")
    ]
    for digests in (("0" * 64,), (right[0], "0" * 64), (right[0][:40],)):
        with pytest.raises(InputError, match="digest") as failed:
            install(home, folder, digests=digests)
        assert right[0] in failed.value.hint
        assert list(LibraryPaths(home).models.iterdir()) == []
    assert install(home, folder, digests=(right[0].upper(), right[1]))


@pytest.mark.slow
def test_other_weights_are_another_space(home: Path, tmp_path: Path) -> None:
    one = install(home, write_tiny(tmp_path / "one", MEANINGS, seed=1))
    two = install(home, write_tiny(tmp_path / "two", MEANINGS, seed=2))
    again = install(home, write_tiny(tmp_path / "again", MEANINGS, seed=1))
    assert one.setting != two.setting
    assert one.setting == again.setting
    assert one.setting.startswith("local/multilingual-e5-small@")


@pytest.mark.slow
def test_what_is_there_and_whole_stays(home: Path, tmp_path: Path) -> None:
    """A kill in the midst of installing it again costs nothing."""
    folder = write_tiny(tmp_path / "model", MEANINGS)
    found = install(home, folder)
    weights = found.folder(home) / "model.onnx"
    before = weights.stat().st_ino
    assert install(home, folder) == found
    assert weights.stat().st_ino == before
    assert [path.name for path in LibraryPaths(home).models.iterdir()] == [found.name]


@pytest.mark.slow
def test_damage_is_noticed_and_mended_by_installing_again(home: Path, tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "model", MEANINGS)
    found = install(home, folder)
    for pid in processes(home):
        os.kill(pid, signal.SIGKILL)
    weights = found.folder(home) / "model.onnx"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(UnavailableError, match=r"model\.onnx is damaged"):
        embedder(home, found).vector("car")
    weights.write_bytes(data[:-1])
    with pytest.raises(BookBrainError, match="is damaged"):
        embedder(home, found)
    install(home, folder)
    assert embedder(home, found).vector("car").shape == (384,)


@pytest.mark.parametrize("name", ["nobody", "../../etc", "", "e5@00000000"])
def test_a_model_that_there_is_not_is_named(home: Path, name: str) -> None:
    with pytest.raises(BookBrainError) as failed:
        installed(home, f"local/{name}")
    assert failed.value.hint


# Which one embeds


def _settings(home: Path, **env: str) -> EmbeddingSettings:
    return load_settings({"BOOKBRAIN_HOME": str(home), **env}).embedding


def test_the_choice_holds_until_the_owner_says_otherwise(home: Path) -> None:
    chosen = f"local/{E5}@0123abcd"
    assert not _settings(home).enabled
    assert choose_model(home, chosen)
    assert not choose_model(home, chosen)
    plain = _settings(home)
    assert (plain.model, plain.enabled, plain.is_local) == (chosen, True, True)
    assert (plain.expected_dimensions, plain.dollars_per_million_tokens) == (None, 0.0)
    assert _settings(home, OPENAI_API_KEY="sk-x").model == chosen
    for named in ("text-embedding-3-small", "bge-m3", f"local/{MINILM}"):
        assert _settings(home, BOOKBRAIN_EMBEDDING_MODEL=named).model == named
    assert _settings(home, BOOKBRAIN_EMBEDDING_MODEL=f"local/{E5}").model == chosen
    assert choose_model(home, None)
    assert _settings(home).model == "text-embedding-3-small"


@pytest.mark.parametrize(
    "said", ["", "gpt", "local/x", f"local/{E5}@0123abcd\nx", "local/../x@0123abcd"]
)
def test_a_choice_that_nobody_wrote_is_none(home: Path, said: str) -> None:
    LibraryPaths(home).model_choice.write_text(said)
    assert not _settings(home).is_local


def test_a_choice_is_a_file_and_no_link(home: Path, tmp_path: Path) -> None:
    (tmp_path / "else").write_text(f"local/{E5}@0123abcd\n")
    LibraryPaths(home).model_choice.symlink_to(tmp_path / "else")
    assert not _settings(home).is_local
    LibraryPaths(home).model_choice.unlink()
    os.mkfifo(LibraryPaths(home).model_choice)
    assert not _settings(home).is_local


@pytest.mark.skipif(os.geteuid() != 0, reason="only root meets libraries of others")
def test_root_does_not_look_into_a_library_of_somebody_else(home: Path) -> None:
    choose_model(home, f"local/{E5}@0123abcd")
    os.chown(home, 65534, 65534)
    assert not _settings(home).is_local
    os.chown(home, 0, 0)
    assert _settings(home).is_local


def test_another_model_in_the_settings_is_said(home: Path, tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "model", MEANINGS)
    settings = _settings(home, BOOKBRAIN_EMBEDDING_MODEL="text-embedding-3-large")
    with pytest.raises(ConfigError, match="BOOKBRAIN_EMBEDDING_MODEL is text-embedding-3-large"):
        plan_model(home, settings, E5, folder, ())


# One process


@pytest.mark.slow
def test_all_share_one_process(home: Path, tmp_path: Path) -> None:
    found = install(home, write_tiny(tmp_path / "model", MEANINGS))
    for pid in processes(home):
        os.kill(pid, signal.SIGKILL)
    with ThreadPoolExecutor(8) as pool:
        vectors = list(pool.map(lambda n: embedder(home, found).vector("car"), range(24)))
    assert len(processes(home)) == 1
    assert all(np.array_equal(vector, vectors[0]) for vector in vectors)
    place = LibraryPaths(home).model_socket
    assert place.is_socket()
    assert place.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_it_ends_when_nobody_asks_and_comes_back(home: Path, tmp_path: Path) -> None:
    found = install(home, write_tiny(tmp_path / "model", MEANINGS))
    for pid in processes(home):
        os.kill(pid, signal.SIGKILL)
    briefly = embedder(home, found, minutes=0.01)
    before = briefly.vector("car")
    wait_for(lambda: not processes(home), "its end")
    assert state(home) is None
    assert not LibraryPaths(home).model_socket.exists()
    assert np.array_equal(briefly.vector("car"), before)


@pytest.mark.slow
def test_a_kill_is_no_answer_less(home: Path, tmp_path: Path) -> None:
    asked = embedder(home, install(home, write_tiny(tmp_path / "model", MEANINGS)))
    for _ in range(3):
        asked.vector("car")
        (pid,) = processes(home)
        os.kill(pid, signal.SIGKILL)
    assert asked.vector("car").shape == (384,)


@pytest.mark.slow
def test_another_model_takes_its_place(home: Path, tmp_path: Path) -> None:
    one = embedder(home, install(home, write_tiny(tmp_path / "one", MEANINGS, seed=1)))
    two = embedder(home, install(home, write_tiny(tmp_path / "two", MEANINGS, seed=2)))
    first, second = one.vector("car"), two.vector("car")
    assert not np.allclose(first, second, atol=0.1)
    for _ in range(2):
        assert np.array_equal(one.vector("car"), first)
        assert np.array_equal(two.vector("car"), second)
    wait_for(lambda: len(processes(home)) == 1, "the end of the other")


@pytest.mark.slow
def test_a_text_on_which_it_ends_is_given_up_and_no_other(home: Path, tmp_path: Path) -> None:
    asked = embedder(home, install(home, write_tiny(tmp_path / "model", MEANINGS, fatal="boom")))
    texts = ["car", "tree", "boom", "lock", "river car"]
    kept: dict[str, Vector] = {}
    purchase = Purchase()
    asked.embed(texts, purchase, kept.update)
    assert sorted(kept) == sorted(set(texts) - {"boom"})
    assert list(purchase.refused) == [text_digest("boom")]
    assert (purchase.embedded, purchase.tokens) == (4, 0)


@pytest.mark.slow
def test_a_question_on_which_it_ends_is_said(home: Path, tmp_path: Path) -> None:
    asked = embedder(home, install(home, write_tiny(tmp_path / "model", MEANINGS, fatal="boom")))
    with pytest.raises(UnavailableError, match="The process of the local model ended"):
        asked.vector("boom")
    assert asked.vector("car").shape == (384,)


def test_a_library_may_be_as_deep_as_it_likes(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a folder with a long name"] * 8)
    deep.mkdir(parents=True)
    with bound_socket(deep) as server:
        assert LibraryPaths(deep).model_socket.is_socket()
        assert server.fileno() > 0
    assert not LibraryPaths(deep).model_socket.exists()


@pytest.mark.slow
def test_what_a_kill_left_of_a_socket_is_in_nobodys_way(home: Path, tmp_path: Path) -> None:
    found = install(home, write_tiny(tmp_path / "model", MEANINGS))
    (pid,) = processes(home)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not processes(home), "its end")
    assert LibraryPaths(home).model_socket.exists()
    assert embedder(home, found).vector("car").shape == (384,)


# Memory


@pytest.mark.slow
def test_too_little_memory_is_said_in_figures(home: Path, tmp_path: Path) -> None:
    """Its weights are terabytes, of which the disk has none: nothing of them is read."""
    found = install(home, write_tiny(tmp_path / "model", MEANINGS))
    (pid,) = processes(home)
    large = replace(found, weights=Digest(5 * 10**12, "0" * 64))
    found.folder(home).rename(large.folder(home))
    os.truncate(large.folder(home) / "model.onnx", large.weights.size)
    (large.folder(home) / "model.json").write_bytes(large.record())
    asked = embedder(home, large)
    for ask in (asked.check, lambda: asked.vector("car"), lambda: asked.passages(["car"])):
        with pytest.raises(UnavailableError, match=r"needs [\d,]{9,} MB of memory, and [\d,]+ MB"):
            ask()
    assert set(processes(home)) <= {pid}
    assert free_memory() > 0


@pytest.mark.slow
def test_what_is_in_memory_needs_no_more(home: Path, tmp_path: Path) -> None:
    found = install(home, write_tiny(tmp_path / "model", MEANINGS))
    check_memory(home, found.name, 10**15)
    with pytest.raises(UnavailableError):
        check_memory(home, MINILM, 10**15)


def _group(folder: Path, limit: str, used: int, cached: int) -> None:
    folder.mkdir()
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 7\ninactive_file {cached}\nactive_file 9\n")


def test_each_cgroup_above_a_process_has_its_limit(tmp_path: Path) -> None:
    top = tmp_path / "cgroup"
    _group(top, "max", 0, 0)
    _group(top / "system", "1000", 600, 50)
    _group(top / "system" / "unit", "900", 200, 0)
    _group(top / "system" / "unit" / "inner", "max", 100, 0)
    found = list(_free_in_cgroups(top, "system/unit/inner", "memory.max", "memory.current"))
    assert found == [700, 450]
    assert list(_free_in_cgroups(top, "gone", "memory.max", "memory.current")) == []
