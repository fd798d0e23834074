"""The task `end_to_end` on a tiny store of real digits that carries its signals."""

import pytest
import torch

from inrzoo import registry, tasks
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError

INR = {"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": 16, "hidden_layers": 2}
NETWORK = {"name": "end_to_end", "inner_steps": 2, "features": 16, "num_layers": 1, "head_features": 8}


def make(**fields):
    spec = {"steps": 30, "validate_every": 15, "lr": 1e-3, "rates_factor": 10.0, "batch": 8}
    return registry.make("tasks", {"name": "end_to_end", "hypernet": NETWORK, "inr": INR, **spec, **fields})


def test_training_learns_digits(finished, tmp_path):
    """48 digits of 10 classes in all: the training signals are learned by heart, which takes all parts to work."""
    task = make(steps=150, validate_every=150, classifier_factor=2.0)
    tasks.train(task, finished, tmp_path / "run", device="cpu", quiet=True)
    accuracy, decibels = tasks.evaluate(tmp_path / "run", finished, split="train", device="cpu")
    assert (accuracy.name, decibels.name) == ("accuracy", "PSNR")
    assert accuracy.mean > 40
    assert decibels.mean > 12


def test_a_run_that_was_stopped_continues_to_the_same_bits(finished, tmp_path):
    task = make(hypernet={**NETWORK, "inner_fraction": 0.5})
    tasks.train(task, finished, tmp_path / "whole", device="cpu", quiet=True)
    tasks.train(task, finished, tmp_path / "parts", device="cpu", quiet=True, stop_after=11)
    tasks.train(task, finished, tmp_path / "parts", device="cpu", quiet=True)
    whole, parts = (read(tmp_path / name / "last.safetensors").module for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_step_sizes_of_the_three_groups(finished, tmp_path):
    """A group with factor 0 does not move, the others do."""
    started = dict(make().begin(finished, "cpu").module.named_parameters())
    assert set(started) >= {"start", "rates", "classifier.0.base"}
    for fields, still in [({"rates_factor": 0.0}, {"rates"}), ({"classifier_factor": 0.0}, {"classifier.0.base"})]:
        task = make(steps=3, validate_every=3, **fields)
        with torch.random.fork_rng():
            torch.manual_seed(task.seed)
            before = {key: part.detach().clone() for key, part in task.begin(finished, "cpu").module.named_parameters()}
        out = tmp_path / "_".join(still)
        tasks.train(task, finished, out, device="cpu", quiet=True)
        after = read(out / "last.safetensors").module
        watched = {"start", "rates", "classifier.0.base"}
        assert {key for key in watched if torch.equal(after[key], before[key])} == still


def test_mixed_precision_is_of_the_classifier_in_training_alone(finished, tmp_path):
    """Scores in training are those of bfloat16: near, not equal. INRs, and scores where it is measured, stay."""
    task = make(mixed_precision=True)
    among = task.signals(finished, "train")
    part = next(among.parts("cpu", 4))
    coords, values = part.where, part.values
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = task.network(among)
    network.inner_fraction = 1.0
    mixed, scores = network.classify(network.instances(coords, values)), []
    for network.mixed_precision in (True, False):
        scores.append(network.eval().classify(network.instances(coords, values)))
    exact = network.train().classify(network.instances(coords, values))
    assert mixed.dtype == torch.float32
    assert torch.equal(*scores)
    assert 0 < (mixed - exact).abs().max() < 0.05 * exact.abs().max()
    run = tasks.train(task, finished, tmp_path, device="cpu", quiet=True, stop_after=2)
    assert run.step == 2


def test_measuring_with_more_pixels_is_the_tasks_choice(finished, tmp_path):
    task = make(hypernet={**NETWORK, "inner_fraction": 0.25}, steps=2, validate_every=2)
    tasks.train(task, finished, tmp_path, device="cpu", quiet=True)
    half, other, all_pixels = (
        tasks.evaluate(tmp_path, finished, device="cpu", **changes)[1].mean
        for changes in ({}, {"test_inner_fraction": 0.25}, {"test_inner_fraction": 1.0})
    )
    assert half == other != all_pixels
    with pytest.raises(InrzooError, match="test_inner_fraction"):
        make(test_inner_fraction=0.0)


def test_impossible_fields_are_refused(finished):
    with pytest.raises(InrzooError, match="batch"):
        make(batch=0)
    with pytest.raises(InrzooError, match="hypernet"):
        make(hypernet={"name": "cavia"})
    with pytest.raises(InrzooError, match="label = 'colour' is no label column"):
        make(label="colour").begin(finished, "cpu")
