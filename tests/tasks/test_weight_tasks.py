"""Contrastive learning and classification on a tiny store: what is drawn, what is changed, and the same bits again."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_store import tiny

from inrzoo import checkpoint, tasks
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.loaders import load
from inrzoo.loaders.transforms import generator_for
from inrzoo.tasks.classify import Classify, chosen
from inrzoo.tasks.contrastive import Contrastive, ContrastiveNetwork
from inrzoo.tasks.probes import linear_probe, retrieval
from inrzoo.tasks.weight_tasks import WeightNetwork, batch_of

SMALL = {
    "encoder": {"name": "equivariant_mlp", "hidden_features": 6, "num_layers": 2, "out_features": 8},
    "batch_size": 8,
    "warmup": 0,
}
TASKS = {
    "contrastive": Contrastive(**SMALL, steps=7, validate_every=3, projector_hidden=8, projector_features=4),
    "classify": Classify(**SMALL, steps=7, validate_every=3, ema=0.9, label_smoothing=0.1),
}
AUGMENT = (
    {"name": "noise", "std": 0.3},
    {"name": "scale"},
    {"name": "dropout", "p": 0.2},
    {"name": "rotate"},
)
EVERY = pytest.mark.parametrize("name", TASKS)


def state(folder, name="last.safetensors"):
    return checkpoint.read(folder / name).module


@EVERY
def test_a_run_that_was_stopped_continues_to_the_same_bits(finished, tmp_path, name):
    task = TASKS[name]
    tasks.train(task, finished, tmp_path / "whole", quiet=True, device="cpu")
    for _ in range(3):
        tasks.train(task, finished, tmp_path / "parts", quiet=True, device="cpu", stop_after=2)
    run = tasks.train(task, finished, tmp_path / "parts", quiet=True, device="cpu")
    assert run.step == 7
    for one, other in zip(state(tmp_path / "whole").values(), state(tmp_path / "parts").values(), strict=True):
        assert torch.equal(one, other)
    lines = [(tmp_path / part / "metrics.jsonl").read_text().splitlines() for part in ("whole", "parts")]
    assert [json.loads(line) for line in lines[0]] == [json.loads(line) for line in lines[1]]


@EVERY
def test_a_checkpoint_is_measured_and_training_moves_all_parameters(finished, tmp_path, name):
    tasks.train(TASKS[name], finished, tmp_path / "run", quiet=True, device="cpu")
    found = tasks.evaluate(tmp_path / "run", finished, split="test", device="cpu")
    names = [one.name for one in found]
    if name == "classify":
        assert names == ["accuracy"]
    else:
        assert names[:2] == ["linear probe", "k-nearest neighbours"] and names[2].startswith("top-1 of ")
    assert all(0 <= one.mean <= 100 and one.trials > 0 for one in found)
    learner = TASKS[name].begin(finished, "cpu")
    learner.module.train()
    learner.loss(0)[0].backward()
    without = [key for key, value in learner.module.named_parameters() if value.requires_grad and value.grad is None]
    assert without == []


def test_probes_read_features_and_retrieval_reads_projections(finished, tmp_path):
    tasks.train(TASKS["contrastive"], finished, tmp_path / "run", quiet=True, device="cpu")
    found = {one.name: one for one in tasks.evaluate(tmp_path / "run", finished, device="cpu", test_raw=True)}
    task, module = TASKS["contrastive"], state(tmp_path / "run", "best.safetensors")
    parts = [task.dataset(finished, split) for split in ("train", "validation", "test")]
    encoder = task.trained(parts[0], module, "cpu")
    features = [encoder.features_of(part, "digit", "cpu") for part in parts]
    assert found["linear probe"] == linear_probe(*features)
    network = ContrastiveNetwork(task, parts[0])
    network.load_state_dict(module)
    projected = replace(features[2], features=network.projector(features[2].features).detach())
    for one in retrieval(projected):
        assert found[one.name] == one
    dataset = load(finished, split="test", normalise="per_tensor")
    weights = replace(features[2], features=dataset[:].weights)
    for one in retrieval(weights):
        assert found[f"{one.name}, raw weights"].mean == one.mean
    assert len(found) == 8


@pytest.mark.parametrize("inputs", ["weights", "canonical"])
def test_weights_without_an_encoder_are_compared_as_they_are(finished, tmp_path, inputs):
    """No projector that nobody trained stands between them and what is measured."""
    task = Contrastive(encoder={"name": "raw"}, inputs=inputs, steps=1, batch_size=8, warmup=0, test_raw=True)
    found = tasks.measure(task, finished, tmp_path / "run", quiet=True, device="cpu")
    plain = [name for name in found if ", raw" not in name and name != "CPU minutes"]
    assert len(plain) == 4
    for name in plain:
        assert replace(found[f"{name}, raw {inputs}"], name=name) == found[name]


def test_pairs_are_two_seeds_of_one_signal(finished):
    pairs = Contrastive(**SMALL).pairs(finished, "train")
    seen = set()
    for epoch in range(3):
        pair = pairs.read(np.arange(len(pairs)), epoch=epoch, key=0)
        assert torch.equal(pair.first.signal, pair.second.signal) and (pair.first.seed != pair.second.seed).all()
        seen |= set(pair.first.seed.tolist())
    assert seen == {0, 1}


def test_a_store_with_one_seed_gives_two_views_and_says_so(tmp_path, caplog):
    caplog.set_level("INFO", "inrzoo")
    build(tiny(seeds=1, fit__views=[20, 40], fit__stop_psnr=0.0), tmp_path / "one.zarr", in_process=True, quiet=True)
    pairs = Contrastive(**SMALL).pairs(tmp_path / "one.zarr", "train")
    assert "signals have one seed; pairs are two snapshots of one fit" in caplog.text
    pair = pairs.read(np.arange(len(pairs)), epoch=0, key=0)
    assert torch.equal(pair.first.signal, pair.second.signal) and (pair.first.step != pair.second.step).all()
    with pytest.raises(InrzooError, match="no signal has two seeds"):
        Contrastive(**SMALL, between="seeds").pairs(tmp_path / "one.zarr", "train")


def test_both_views_are_augmented_each_by_its_own_draw(finished):
    learner = TASKS["contrastive"].begin(finished, "cpu")
    seen = []
    network = learner.module.weights
    spy = lambda weights, generator: seen.append(torch.rand(1, generator=generator)) or weights  # noqa: E731
    network.__dict__["_transforms"] = (spy, lambda weights, generator: weights)
    learner.loss(0), learner.loss(1), learner.loss(0)
    assert len(seen) == 6 and len({float(value) for value in seen[:4]}) == 4
    assert seen[:2] == seen[4:]


def test_motions_come_before_normalisation_and_noise_after(finished):
    """Order of the module's docstring: the encoder sees noisy(normalised(moved weights))."""
    task = Contrastive(**SMALL | {"encoder": {"name": "raw"}}, augment=AUGMENT)
    dataset = task.dataset(finished, "train")
    network = WeightNetwork(task, dataset)
    network.inputs.fit(dataset, "per_tensor")
    batch = dataset[:5]
    exact, noisy = task.transforms(dataset.inr)
    generator = generator_for(1, 2, 3)
    expected = noisy(network.inputs(exact(batch.weights, generator)), generator)
    assert torch.equal(network(batch, generator_for(1, 2, 3)), expected)
    assert torch.equal(network(batch), network.inputs(batch.weights))
    names = [type(change).__name__ for change in (*exact.transforms, *noisy.transforms)]
    assert names == ["Scale", "Rotate", "Noise", "Dropout"]


def test_an_epoch_has_every_item_once():
    task = Classify(batch_size=4)
    for epoch in range(3):
        items = [batch_of(task, 5 * epoch + number, 22) for number in range(5)]
        assert {found for found, _ in items} == {epoch}
        assert len(set(np.concatenate([positions for _, positions in items]).tolist())) == 20
    assert not np.array_equal(batch_of(task, 0, 22)[1], batch_of(task, 5, 22)[1])


def test_fewer_training_signals_are_nested_and_balanced(finished):
    task = Classify(**SMALL)
    dataset = task.dataset(finished, "train")
    column = task.column(dataset)
    signal = dataset.rows.signals(dataset.rows.places(np.arange(len(dataset))))
    few, more = (chosen(dataset, column, count, 0) for count in (10, 20))
    assert set(few.tolist()) < set(more.tolist()) and len(few) == 20
    label = dataset.labels[column][np.unique(signal[few])]
    assert sorted(label.tolist()) == list(range(10))
    with pytest.raises(InrzooError, match="train_signals = 1000 is more than"):
        chosen(dataset, column, 1000, 0)


def test_what_is_measured_is_the_average(finished, tmp_path):
    task = Classify(**SMALL, steps=6, validate_every=3, ema=0.9, lr=0.05)
    tasks.train(task, finished, tmp_path / "run", quiet=True, device="cpu")
    tensors = state(tmp_path / "run")
    learned = {key.removeprefix("network."): value for key, value in tensors.items() if key.startswith("network.")}
    average = {
        key.removeprefix("average.module."): value
        for key, value in tensors.items()
        if key.startswith("average.module.")
    }
    assert learned.keys() == average.keys() and int(tensors["average.n_averaged"]) == 7
    assert any((learned[key] - average[key]).abs().max() > 1e-3 for key in learned)
    # A network with the average's parameters and nothing averaged measures the same.
    plain = Classify(**SMALL, ema=0.0)
    swapped = {f"network.{key}": value for key, value in average.items()}
    split = "validation"
    assert plain.evaluate(finished, split, swapped, "cpu") == task.evaluate(finished, split, tensors, "cpu")


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Contrastive(temperature=0.0), "temperature = 0.0 is not allowed; it must be above 0"),
        (lambda: Contrastive(batch_size=1), "batch_size = 1 is not allowed; it must be at least 2"),
        (lambda: Classify(ema=1.0), "ema = 1.0 is not allowed"),
    ],
)
def test_impossible_fields_are_refused(make, words):
    with pytest.raises(InrzooError, match=words):
        make()


def test_what_a_store_does_not_have_is_said(finished, tmp_path):
    for task, words in [
        (Classify(label="species"), "no label column called 'species'; there are: "),
        (Classify(batch_size=10_000), "batch_size = 10000 is more than"),
        (Contrastive(batch_size=10_000), "batch_size = 10000 is more than"),
        (Contrastive(encoder={"name": "conv_net"}, batch_size=8), "conv_net does not read weights"),
    ]:
        with pytest.raises(InrzooError, match=words):
            tasks.train(task, finished, tmp_path / "run", quiet=True, device="cpu")
