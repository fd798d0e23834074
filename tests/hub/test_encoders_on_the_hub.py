"""A trained encoder on the Hub: the same features, checked conventions, nothing executed, nothing overwritten."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from client import Client
from server import Fault, Hub
from tiny_store import small

import inrzoo
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.store import open_store
from inrzoo.tasks.trained_encoders import CONFIG, TENSORS

MODEL = "models/ada/encoder"
FIELDS: dict[str, Any] = {"steps": 3, "validate_every": 1, "batch_size": 4}
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "classify": ("classify", {"encoder": {"name": "flat_mlp", "hidden_features": 8}, "ema": 0.5}),
    "canonical": ("contrastive", {"encoder": {"name": "flat_mlp", "hidden_features": 8}, "inputs": "canonical"}),
    "function": ("classify", {"encoder": {"name": "function_probe", "hidden_features": 8, "out_features": 8}}),
}


@pytest.fixture(scope="session")
def runs(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, made = tmp_path_factory.mktemp("runs"), {}
    for name, (task, fields) in RUNS.items():
        made[name] = inrzoo.train(task, finished, out=folder / name, quiet=True, **{**FIELDS, **fields}).folder
    return made


def embedded(client: Client, store: Path, encoder: object, out: Path) -> np.ndarray:
    done = client.inrzoo("embed", store, encoder, "--out", out, cwd=out.parent)
    assert done.code == 0, done.err
    return np.stack(pq.read_table(out)["features"].to_numpy())


@pytest.mark.parametrize("name", RUNS)
def test_a_loaded_encoder_gives_the_features_of_its_run(
    runs: dict[str, Path], finished: Path, client: Client, name: str, tmp_path: Path
) -> None:
    encoder = inrzoo.load_encoder(runs[name]).check(finished)
    store = open_store(finished)
    assert not encoder.training and not any(parameter.requires_grad for parameter in encoder.parameters())
    assert encoder.layout == store.layout and encoder.inr == store.inr
    ordered = np.array(store.weights[:, :, -1]).swapaxes(0, 1)  # as the rows of `embed`: seed by seed
    weights = torch.from_numpy(ordered.copy()).reshape(-1, store.layout.num_params)
    before = weights.clone()
    features = encoder(weights)
    assert torch.equal(weights, before) and features.shape == (12, encoder.out_features)
    expected = embedded(client, finished, runs[name], tmp_path / "rows.parquet")
    np.testing.assert_allclose(features.numpy(), expected, rtol=1e-6, atol=1e-6)
    for file, content in encoder.files().items():
        (tmp_path / file).write_bytes(content)
    again = inrzoo.load_encoder(tmp_path)
    assert torch.equal(again(weights), features) and again.files() == encoder.files()


LOAD = """
import inrzoo, numpy, torch
encoder = inrzoo.load_encoder({name!r}).check({store!r})
store = inrzoo.open_store({store!r})
numpy.save("features.npy", encoder(torch.from_numpy(store.weights[:, 0, -1].copy())).numpy())
print(encoder.where)
"""


@pytest.mark.slow
def test_an_encoder_comes_back_from_the_hub_to_the_bit(
    hub: Hub, client: Client, runs: dict[str, Path], finished: Path, tmp_path: Path
) -> None:
    done = client.inrzoo("push", runs["classify"], "ada/encoder")
    assert done.code == 0 and f"{hub.endpoint}/ada/encoder: an encoder" in done.out, done.err
    assert {*hub.tree(MODEL)} == {".gitattributes", "README.md", CONFIG, TENSORS}
    assert len(hub.repos[MODEL].commits) == 2  # the new repository, and all files in one
    loaded = client.python(LOAD.format(name="ada/encoder", store=str(finished)), cwd=tmp_path, token=None)
    assert loaded.out.strip() == f"ada/encoder@{hub.repos[MODEL].refs['main']}", loaded.err
    weights = torch.from_numpy(open_store(finished).weights[:, 0, -1].copy())
    np.testing.assert_array_equal(np.load(tmp_path / "features.npy"), inrzoo.load_encoder(runs["classify"])(weights))
    from_run = embedded(client, finished, runs["classify"], tmp_path / "run.parquet")
    np.testing.assert_array_equal(embedded(client, finished, "ada/encoder", tmp_path / "hub.parquet"), from_run)
    assert client.python(LOAD.format(name="hf://ada/encoder@main", store=str(finished)), cwd=tmp_path).code == 0
    again = client.inrzoo("push", runs["classify"], "ada/encoder", "--json")
    assert json.loads(again.out)["changed"] is False and len(hub.repos[MODEL].commits) == 2


@pytest.mark.slow
def test_the_card_says_what_was_measured_and_how_to_train_it(
    hub: Hub, client: Client, runs: dict[str, Path], finished: Path, tmp_path: Path
) -> None:
    assert client.inrzoo("push", runs["classify"], "ada/encoder").code == 0
    card = hub.tree(MODEL)["README.md"].decode()
    lines = [json.loads(line) for line in (runs["classify"] / "metrics.jsonl").read_text().splitlines()]
    config = json.loads(hub.tree(MODEL)[CONFIG])
    best = next(line for line in lines if line["step"] == config["step"])
    assert config["measured"] == {key: best[key] for key in ("validation_accuracy", "validation_loss")}
    assert f"| `validation_loss` | {best['validation_loss']:.4g} |" in card
    header = yaml.safe_load(card.split("---\n")[1])
    values = {one["type"]: one["value"] for one in header["model-index"][0]["results"][0]["metrics"]}
    assert values == config["measured"] and header["library_name"] == "inrzoo"
    options = re.search(r"^```toml\n(.*?)^```", card, re.M | re.S)[1]
    (tmp_path / "run.toml").write_text(options)
    words = ["train", "classify", finished, "--config", tmp_path / "run.toml", "--out", tmp_path / "again"]
    assert client.inrzoo(*words).code == 0
    assert inrzoo.load_encoder(tmp_path / "again").files()[TENSORS] == hub.tree(MODEL)[TENSORS]
    python = re.search(r"^```python\n(.*?)^```", card, re.M | re.S)[1]
    assert client.python(python.replace('"STORE"', repr(str(finished))), cwd=tmp_path).code == 0


def test_other_conventions_are_refused_by_name(runs: dict[str, Path], finished: Path, tmp_path: Path) -> None:
    build(small(inr__omega_0=11.0, seeds=1), tmp_path / "other.zarr", in_process=True, quiet=True)
    build(small(fit__steps=9, seeds=1), tmp_path / "shorter.zarr", in_process=True, quiet=True)
    encoder = inrzoo.load_encoder(runs["classify"])
    with pytest.raises(InrzooError, match=r"other conventions than those of .*other\.zarr: inr\.omega_0"):
        encoder.check(tmp_path / "other.zarr")
    with pytest.raises(InrzooError, match=r"other fits than those of .*shorter\.zarr: fit\.steps"):
        encoder.check(tmp_path / "shorter.zarr")
    assert encoder.check(tmp_path / "shorter.zarr", force=True) is encoder


def test_a_model_of_something_else_stays(hub: Hub, client: Client, runs: dict[str, Path]) -> None:
    other = """
from huggingface_hub import HfApi
api = HfApi()
api.create_repo("ada/encoder")
api.upload_file(path_or_fileobj=b'{"model_type": "bert"}', path_in_repo="config.json", repo_id="ada/encoder")
"""
    assert client.python(other).code == 0
    before = hub.tree(MODEL)
    done = client.inrzoo("push", runs["classify"], "ada/encoder")
    assert done.code == 2 and "the model ada/encoder is no encoder of inrzoo" in done.err and hub.tree(MODEL) == before


def test_errors_are_one_line(hub: Hub, client: Client, runs: dict[str, Path], finished: Path, tmp_path: Path) -> None:
    assert client.inrzoo("push", runs["classify"], "ada/encoder").code == 0
    said = {
        ("embed", finished, "ada/none", "--out", "x.parquet"): "no encoder at ada/none: there is no such run",
        ("push", runs["classify"], "ada/encoder", "--gallery"): "--gallery cannot be used with the run",
        ("push", runs["classify"], "encoder"): "expected USER/NAME",
    }
    for words, line in said.items():
        done = client.inrzoo(*words, cwd=tmp_path)
        assert done.code == 2 and line in done.err and len(done.err.splitlines()) == 1, done
    hub.faults = [Fault("GET /ada/encoder/resolve/.*/model.safetensors", times=10**6, kind="corrupt")]
    snippet = f"import os\nos.environ['INRZOO_CACHE'] = {str(tmp_path / 'cache')!r}\n" + LOAD
    done = client.python(snippet.format(name="ada/encoder", store=str(finished)), cwd=tmp_path)
    assert done.code == 1 and "model.safetensors of ada/encoder arrived damaged" in done.err
    assert not list((tmp_path / "cache" / "models").iterdir())


def changed(folder: Path, source: Path, **changes: object) -> Path:
    """A folder with the files of an encoder, of which some keys of the config are others."""
    for file, content in inrzoo.load_encoder(source).files().items():
        (folder / file).write_bytes(content)
    (folder / CONFIG).write_text(json.dumps({**json.loads((folder / CONFIG).read_text()), **changes}))
    return folder


@pytest.mark.parametrize("changes, said", [
    ({"encoder": {"name": "planted:Encoder"}}, "planted:Encoder"),
    ({"encoder": {"name": "no_such"}}, "no encoders called 'no_such'"),
    ({"encoder": {"name": "flat_mlp", "hidden_features": 9}}, "its tensors are not those of its encoder"),
    ({"encoder": {"name": "flat_mlp", "hidden_features": "x"}}, "expected a whole number"),
    ({"encoder": {"name": "flat_mlp", "hidden_features": 2**20}}, "its tensors are not those of its encoder"),
    ({"format": 2}, "format = 2; this version reads 1"),
    ({"library": "other"}, "it is not of an encoder of inrzoo"),
    ({"conventions": {}}, "inr = None is not allowed"),
    ({"conventions": {"inr": {"name": "siren", "in_features": 2, "out_features": 1}}}, "the layout of its weights"),
    ({"notes": {"grid": [10**6, 10**6]}}, "a grid of"),
    ({"notes": []}, "notes = [] is not allowed"),
])  # fmt: skip
def test_what_a_config_says_is_not_believed(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], said: str
) -> None:
    (tmp_path / "planted.py").write_text("open('mark', 'w')\nclass Encoder: pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InrzooError, match=re.escape(said)):
        inrzoo.load_encoder(changed(tmp_path, runs["classify"], **changes))
    assert not (tmp_path / "mark").exists()


def test_pickles_are_not_loaded(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = changed(tmp_path, runs["classify"])
    torch.save(inrzoo.load_encoder(runs["classify"]).state_dict(), folder / TENSORS)
    with pytest.raises(InrzooError, match=r"model\.safetensors of .* is damaged"):
        inrzoo.load_encoder(folder)
