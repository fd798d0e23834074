"""The task `hypernetwork`: training, continuing, measuring, on a tiny store of real digits that carries its signals."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_store import tiny

from inrzoo import registry, tasks
from inrzoo.builder import build
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.store import open_store
from inrzoo.tasks.reporting.drawing import draw
from inrzoo.tasks.reporting.reconstruction_figure import _attention

RELU = {
    "name": "relu_mlp",
    "hidden_features": 16,
    "hidden_layers": 2,
    "encoding": "log_spaced",
    "num_frequencies": 6,
    "sigma": 4.0,
}
TRANSFORMER = {"patch": 4, "features": 16, "num_layers": 1, "num_heads": 2, "mlp_features": 16, "dropout": 0.0}
HYPERNETS = {
    "instance_patterns": {**TRANSFORMER, "rank": 8},
    "trans_inr": {**TRANSFORMER, "groups": 8},
    "learned_init": {"inner_lr": 0.05},
    "cavia": {"rank": 8},
}


def make(name="cavia", **fields):
    spec = {"hypernet": {"name": name, **HYPERNETS[name]}, "inr": RELU, "steps": 20, "validate_every": 10, "lr": 5e-3}
    return registry.make("tasks", {"name": "hypernetwork", **spec, "batch": 4, **fields})


LIKE_ANOTHER = [pytest.param(name, marks=pytest.mark.slow) for name in ("instance_patterns", "learned_init")]
"""Others serve for those in the default suite: one of the transformers, one that takes steps of its own."""


@pytest.mark.parametrize("name", ["trans_inr", "cavia", *LIKE_ANOTHER])
def test_training_raises_the_psnr_of_held_out_signals(name, finished, tmp_path):
    task = make(name)
    before = task.begin(finished, "cpu")
    before.module.eval()
    with torch.no_grad():
        untrained = before.validate()["score"]
    run = tasks.train(task, finished, tmp_path / "run", device="cpu", quiet=True)
    assert run.score > untrained + 0.3
    plain, optimised = tasks.evaluate(tmp_path / "run", finished, split="validation", device="cpu")
    assert plain.mean == pytest.approx(run.score, abs=1e-4)
    assert optimised.mean > plain.mean
    assert optimised.name == "PSNR, 100 steps on all"


def test_a_run_that_was_stopped_continues_to_the_same_bits(finished, tmp_path):
    task = make("instance_patterns", num_coords=20)
    tasks.train(task, finished, tmp_path / "whole", device="cpu", quiet=True)
    tasks.train(task, finished, tmp_path / "parts", device="cpu", quiet=True, stop_after=7)
    tasks.train(task, finished, tmp_path / "parts", device="cpu", quiet=True)
    whole, parts = (read(tmp_path / name / "last.safetensors").module for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_psnr_is_that_of_the_signals_in_the_store(finished):
    """Against the definition, with the store's own scale."""
    task = make("learned_init")
    among = task.signals(finished, "validation")
    network = task.network(among).eval()
    with torch.no_grad():
        (found, *_) = task.evaluate(finished, "validation", network.state_dict(), "cpu")
    store = open_store(finished)
    validation = store.split == store.info.split_names.index("validation")
    values = torch.from_numpy(store.signals(np.flatnonzero(validation))) / 127.5 - 1
    coords = torch.from_numpy(store.coords())
    weights = network(coords, values).detach()
    errors = (network.inr(weights, coords) - values).square().mean(dim=(1, 2)) / 4
    assert found.mean == pytest.approx(float((-10 * errors.log10()).mean()), abs=1e-3)
    assert found.trials == len(among) == validation.sum()


def test_reptile_trains(finished, tmp_path):
    reptile = {"name": "learned_init", "algorithm": "reptile", "inner_lr": 0.05}
    run = tasks.train(make(hypernet=reptile), finished, tmp_path, device="cpu", quiet=True)
    assert "train_psnr" not in (tmp_path / "metrics.jsonl").read_text()
    assert math.isfinite(run.score)
    with pytest.raises(InrzooError, match="mixed_precision"):
        make(hypernet=reptile, mixed_precision=True)


def test_mixed_precision_trains(finished, tmp_path):
    run = tasks.train(make("instance_patterns", mixed_precision=True), finished, tmp_path, device="cpu", quiet=True)
    assert math.isfinite(run.score)


def test_the_stores_inr_is_the_target_unless_another_is_named(finished):
    task = make("learned_init", inr={})
    assert task.network(task.signals(finished, "train")).inr == open_store(finished).inr
    assert task.conventions(finished)["inr"]["name"] == "siren"
    assert make().conventions(finished)["inr"]["name"] == "relu_mlp"


def test_a_store_without_signals_is_refused(tmp_path):
    path = tmp_path / "bare.zarr"
    build(tiny(limit=12, seeds=1, redistributable=False), path, in_process=True, quiet=True)
    with pytest.raises(InrzooError, match="signals"):
        make().begin(path, "cpu")


@pytest.mark.parametrize(
    "field, value", [("batch", 0), ("num_coords", 0), ("test_tto_lr", 0.0), ("validation_signals", 0)]
)
def test_impossible_fields_are_refused(field, value):
    with pytest.raises(InrzooError, match=field):
        make(**{field: value})


@pytest.mark.parametrize("name", ["trans_inr", pytest.param("cavia", marks=pytest.mark.slow)])
def test_pictures(name, finished, tmp_path):
    """One picture of each kind that the hypernetwork has; brighter where a token looks, and the originals in them."""
    tasks.train(make(name, steps=2, validate_every=2), finished, tmp_path / "run", device="cpu", quiet=True)
    made = draw(tmp_path / "run", finished, tmp_path / "pictures", split="train", count=3, device="cpu")
    expected = ["reconstructions.png", *(["attention.png"] if name == "trans_inr" else []), "activations.png"]
    assert [path.name for path in made] == expected
    sizes = [Image.open(path).size for path in made]
    assert sizes[0] == (3 * 240, 3 * 252)
    assert all(np.asarray(Image.open(path).convert("L")).std() > 5 for path in made)
    plain = make(name, steps=2, validate_every=2, test_tto_steps=0)
    tasks.train(plain, finished, tmp_path / "plain", device="cpu", quiet=True)
    first = draw(tmp_path / "plain", finished, tmp_path / "two rows", split="train", count=3, device="cpu")[0]
    assert Image.open(first).size == (3 * 240, 2 * 252), "nothing is optimised"


def test_attention_is_laid_over_the_signal(finished):
    task = make("trans_inr")
    among = task.signals(finished, "validation")
    network = task.network(among).eval()
    values = among.read_rows(slice(2)).values
    rows = _attention(network, values, -1.0)
    assert len(rows) == len(set(network.token_names))
    for row in rows:
        for (_, shown), whole in zip(row, values, strict=True):
            assert ((shown >= -1) & (shown <= whole + 1e-6)).all()
            assert shown.max() > -1


def test_attention_is_drawn_over_a_sound():
    """Darkening a sound would draw a line at its lowest value; the sound stays, the attention is a second curve."""
    inr = registry.make("inrs", {"name": "siren", "hidden_features": 4}, in_features=1, out_features=1)
    tokens = {"features": 8, "num_layers": 1, "num_heads": 2, "mlp_features": 8, "patch": 4}
    network = registry.make("hypernets", {"name": "trans_inr", **tokens}, inr=inr, sizes=(32,)).eval()
    values = torch.randn(2, 32, 1)
    for row in _attention(network, values, -1.0):
        for (_, shown), whole in zip(row, values, strict=True):
            assert torch.equal(shown[:, :1], whole)
            assert 0 <= float(shown[:, 1].min()) < float(shown[:, 1].max()) == 1
