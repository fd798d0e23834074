"""The task `classify_signals`: pictures and points, of stores and of datasets without INRs."""

import pytest
import torch
from tiny_store import tiny

from inrzoo import manifest, registry, tasks
from inrzoo.builder import build
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.tasks import UnfittedDataset
from inrzoo.tasks.classify_signals import SignalClassifier
from inrzoo.tasks.signals import signal_set

CONV = {"name": "conv_net", "hidden_features": 16, "num_blocks": 2}
POINTS = {"name": "point_net", "num_points": 64}


def make(encoder=CONV, **fields):
    table = {"name": "classify_signals", "encoder": encoder, "steps": 6, "validate_every": 3, "batch": 8, "lr": 2e-3}
    return registry.make("tasks", {**table, **fields})


def solids(**changes):
    counts = {"num_points": 256, "num_held_out": 20, "num_validation": 3, "num_test": 3}
    few = {"fit.steps": 2, "fit.engine": "reference", "inr.hidden_features": 8}
    return manifest.load("solids", overrides={**{f"source.{key}": n for key, n in counts.items()}, **few, **changes})


def test_pictures_are_learned_by_heart(finished, tmp_path):
    tasks.train(make(steps=80, validate_every=80), finished, tmp_path / "run", device="cpu", quiet=True)
    (accuracy,) = tasks.evaluate(tmp_path / "run", finished, split="train", device="cpu")
    assert accuracy.name == "accuracy" and accuracy.mean > 80


def test_spheres_boxes_and_tori_are_told_apart_by_their_points(tmp_path):
    dataset = UnfittedDataset(solids())
    task = make(POINTS, steps=100, validate_every=100, batch=6, lr=5e-4)
    tasks.train(task, dataset, tmp_path / "run", device="cpu", quiet=True)
    (accuracy,) = tasks.evaluate(tmp_path / "run", dataset, split="train", device="cpu")
    assert accuracy.mean == 100


@pytest.mark.parametrize("kind", ["pictures", "points"])
def test_a_dataset_and_a_store_of_it_train_the_same_network(kind, finished, tmp_path):
    if kind == "pictures":
        store, dataset, task = finished, UnfittedDataset(tiny()), make()
    else:
        store, dataset, task = tmp_path / "solids.zarr", UnfittedDataset(solids()), make(POINTS, batch=4)
        build(solids(), store, in_process=True, quiet=True)
    for name, data in (("store", store), ("dataset", dataset)):
        tasks.train(task, data, tmp_path / name, device="cpu", quiet=True)
    of_store, of_dataset = (read(tmp_path / name) for name in ("store", "dataset"))
    assert all(torch.equal(part, of_dataset.module[key]) for key, part in of_store.module.items())
    assert of_store.conventions == of_dataset.conventions
    assert tasks.evaluate(tmp_path / "store", dataset) == tasks.evaluate(tmp_path / "dataset", store)


def test_a_run_that_was_stopped_continues_to_the_same_bits(tmp_path):
    task = make(POINTS, batch=4, augment=({"name": "turn"}, {"name": "scale", "high": 1.2}))
    dataset = UnfittedDataset(solids())
    tasks.train(task, dataset, tmp_path / "whole", device="cpu", quiet=True)
    tasks.train(task, dataset, tmp_path / "parts", device="cpu", quiet=True, stop_after=4)
    tasks.train(task, dataset, tmp_path / "parts", device="cpu", quiet=True)
    whole, parts = (read(tmp_path / name / "last.safetensors").module for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    plain = make(POINTS, batch=4)
    tasks.train(plain, dataset, tmp_path / "plain", device="cpu", quiet=True)
    other = read(tmp_path / "plain" / "last.safetensors").module
    assert not all(torch.equal(whole[key], other[key]) for key in whole)


def test_a_point_is_its_coordinates_and_its_value():
    signals = signal_set(UnfittedDataset(solids()), "train")
    network = SignalClassifier(make(POINTS), signals).eval()
    (part,) = signals.parts("cpu")
    numbers = torch.tensor([[*where, *values] for where, values in zip(part.where[1], part.values[1], strict=True)])
    expected = network.head(network.encoder(numbers.flatten()[None]))
    torch.testing.assert_close(network(part.values, part.where)[1:2], expected)


@pytest.mark.parametrize(
    ("encoder", "data", "fields", "said"),
    [
        (
            {"name": "flat_mlp"},
            "tiny",
            {},
            "encoder.name = flat_mlp reads weights; conv_net and point_net read signals",
        ),
        (POINTS, "tiny", {}, "point_net reads points"),
        (CONV, "solids", {}, "conv_net reads pixels"),
        (CONV, "balls", {}, "these signals are views"),
        (CONV, "tones", {}, r"these signals have a grid of \[256\]"),
        (CONV, "tiny", {"label": "colour"}, "label = 'colour' is no label column"),
        (CONV, "tiny", {"batch": 0}, "batch = 0"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(encoder, data, fields, said):
    made = {"tiny": tiny, "solids": solids}.get(data, lambda: manifest.load(data))
    with pytest.raises(InrzooError, match=said) as error:
        make(encoder, **fields).begin(UnfittedDataset(made()), "cpu")
    assert "\n" not in str(error.value)
