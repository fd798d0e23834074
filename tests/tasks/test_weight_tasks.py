"""Contrastive learning, classification and regression on a tiny store: draws, changes, and the same bits again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_store import tiny

from inrzoo import checkpoint, tasks
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.loaders import Pairs, load
from inrzoo.loaders.transforms import generator_for, make_transforms
from inrzoo.tasks.classify import Classify, chosen
from inrzoo.tasks.contrastive import Contrastive, ContrastiveNetwork
from inrzoo.tasks.probes import linear_probe, retrieval
from inrzoo.tasks.regress import Regress
from inrzoo.tasks.reporting.embedding import features
from inrzoo.tasks.training.batches import TrainingBatches
from inrzoo.tasks.weight_tasks import WeightNetwork

SMALL = {
    "encoder": {"name": "equivariant_mlp", "hidden_features": 6, "num_layers": 2, "out_features": 8},
    "batch_size": 8,
    "warmup": 0,
}
TASKS = {
    "contrastive": Contrastive(**SMALL, steps=7, validate_every=3, projector_hidden=8, projector_features=4),
    "classify": Classify(**SMALL, steps=7, validate_every=3, ema=0.9, label_smoothing=0.1),
    "regress": Regress(**SMALL, steps=7, validate_every=3),
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


def test_a_run_from_before_a_field_existed_continues(finished, tmp_path):
    tasks.train(TASKS["classify"], finished, tmp_path, quiet=True, device="cpu", stop_after=2)
    last = checkpoint.read(tmp_path / "last.safetensors")
    del last.task["train_seeds"]
    last.write(tmp_path / "last.safetensors")
    assert tasks.train(TASKS["classify"], finished, tmp_path, quiet=True, device="cpu").step == 7


@EVERY
def test_a_checkpoint_is_measured_and_training_moves_all_parameters(finished, tmp_path, name):
    tasks.train(TASKS[name], finished, tmp_path / "run", quiet=True, device="cpu")
    found = tasks.evaluate(tmp_path / "run", finished, split="test", device="cpu")
    names = [one.name for one in found]
    if name == "classify":
        assert names == ["accuracy"]
    elif name == "regress":
        assert names == ["R²", "mean absolute error"] and found[0].mean <= 100 and found[1].mean > 0
    else:
        assert names[:2] == ["linear probe", "k-nearest neighbours"] and names[2].startswith("top-1 of ")
    assert all(one.trials > 0 for one in found)
    assert name == "regress" or all(0 <= one.mean <= 100 for one in found)
    learner = TASKS[name].begin(finished, "cpu")
    learner.module.train()
    learner.loss(0)[0].backward()
    without = [key for key, value in learner.module.named_parameters() if value.requires_grad and value.grad is None]
    assert without == []


def test_stores_of_other_fits_need_force(finished, tmp_path, caplog):
    """Other settings of the fits change the distribution of weights: refused by name, or measured with a warning."""
    run, other, foreign = tmp_path / "run", tmp_path / "other.zarr", tmp_path / "foreign.zarr"
    tasks.train(TASKS["classify"], finished, run, quiet=True, device="cpu")
    build(tiny(fit__lr=2e-3, fit__schedule="cosine"), other, in_process=True, quiet=True)
    build(tiny(fit__lr=2e-3, inr__omega_0=15.0), foreign, in_process=True, quiet=True)
    for measured in (tasks.evaluate, features):
        with pytest.raises(InrzooError, match="other fits than those") as caught:
            measured(run, other)
        named = ("fit.lr: ", " → 0.002", "fit.schedule: absent → cosine", "--force")
        assert all(part in str(caught.value) for part in named) and "\n" not in str(caught.value)
        caplog.clear()
        with caplog.at_level("WARNING", "inrzoo.tasks"):
            assert measured(run, other, force=True)
        assert "fit.lr: " in caplog.text
        with pytest.raises(InrzooError, match="other conventions"):
            measured(run, foreign, force=True)


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


def pairs_of(task: Contrastive, store: Path) -> Pairs:
    dataset, between = task.paired(store, "train")
    return Pairs(dataset, between=between, seed=task.seed)


def test_pairs_are_two_seeds_of_one_signal(finished):
    pairs = pairs_of(Contrastive(**SMALL), finished)
    seen = set()
    for epoch in range(3):
        pair = pairs.read(np.arange(len(pairs)), epoch=epoch, key=0)
        assert torch.equal(pair.first.signal, pair.second.signal) and (pair.first.seed != pair.second.seed).all()
        seen |= set(pair.first.seed.tolist())
    assert seen == {0, 1}


def test_a_store_with_one_seed_gives_two_views_and_says_so(tmp_path, caplog):
    caplog.set_level("INFO", "inrzoo")
    build(tiny(seeds=1, fit__views=[20, 40], fit__stop_psnr=0.0), tmp_path / "one.zarr", in_process=True, quiet=True)
    pairs = pairs_of(Contrastive(**SMALL), tmp_path / "one.zarr")
    assert "signals have one seed; pairs are two snapshots of one fit" in caplog.text
    pair = pairs.read(np.arange(len(pairs)), epoch=0, key=0)
    assert torch.equal(pair.first.signal, pair.second.signal) and (pair.first.step != pair.second.step).all()
    with pytest.raises(InrzooError, match="no loaded signal has two seeds"):
        pairs_of(Contrastive(**SMALL, between="seeds"), tmp_path / "one.zarr")


def test_both_views_are_augmented_each_by_its_own_draw(finished):
    """The two views of a step, and those of other steps, have draws of their own; a step has the same ones again."""
    task = replace(TASKS["contrastive"], augment=({"name": "noise", "std": 1.0},))

    def noise(step: int) -> list[torch.Tensor]:
        pair = task.begin(finished, "cpu")._batches(step)
        clean = replace(task, augment=()).begin(finished, "cpu")._batches(step)
        assert torch.equal(pair.first.signal, clean.first.signal)
        return [getattr(pair, view).weights - getattr(clean, view).weights for view in ("first", "second")]

    views = [*noise(0), *noise(1)]
    assert len({float(view[0, 0]) for view in views} - {0.0}) == 4
    assert all(torch.equal(one, again) for one, again in zip(views, [*noise(0), *noise(1)], strict=True))


@pytest.mark.parametrize("inputs", ["weights", "canonical"])
def test_motions_come_before_normalisation_and_noise_after(finished, inputs):
    """Order of the module's docstring: the encoder reads noisy(normalised(canonical(moved weights)))."""
    task = Contrastive(**SMALL | {"encoder": {"name": "raw"}}, augment=AUGMENT, inputs=inputs, normalise="per_tensor")
    dataset = task.dataset(finished, "train")
    statistics = task.statistics(dataset, WeightNetwork(task, dataset).encoder)
    as_fitted, normalised = make_transforms(AUGMENT, dataset.inr)
    names = [type(change).__name__ for change in (*as_fitted.transforms, *normalised.transforms)]
    assert names == ["Scale", "Rotate", "Noise", "Dropout"]
    prepared = task.prepared(dataset, statistics, augmented=True)
    generator = generator_for(task.seed, 2, 3)
    expected = as_fitted(dataset[:5].weights, generator)
    expected = dataset.inr.canonicalise(expected) if inputs == "canonical" else expected
    expected = normalised((expected - statistics.mean) / statistics.std, generator)
    assert torch.equal(prepared.read(np.arange(5), epoch=2, key=3).weights, expected)


def test_statistics_of_canonical_weights_are_those_of_the_training_split(finished):
    task = Classify(**SMALL, inputs="canonical", normalise="per_parameter")
    dataset = task.dataset(finished, "train")
    canonical = dataset.inr.canonicalise(dataset[:].weights).double()
    statistics = task.statistics(dataset, WeightNetwork(task, dataset).encoder)
    torch.testing.assert_close(statistics.mean, canonical.mean(0).float())
    torch.testing.assert_close(statistics.std, canonical.std(0, correction=0).float())


def test_an_epoch_has_every_item_once_in_an_order_of_its_own(finished):
    dataset = Classify().dataset(finished, "train")
    size = 4
    per_epoch = len(dataset) // size
    batches = TrainingBatches(dataset, size, seed=0)
    orders = []
    for epoch in range(3):
        rows = [batches(epoch * per_epoch + number) for number in range(per_epoch)]
        orders.append([(int(s), int(k)) for batch in rows for s, k in zip(batch.signal, batch.seed, strict=True)])
        assert len(set(orders[-1])) == len(orders[-1]) == per_epoch * size
    assert orders[0] != orders[1] != orders[2]
    assert orders[0] != [(int(s), int(k)) for batch in map(TrainingBatches(dataset, size, seed=1), range(per_epoch))
                         for s, k in zip(batch.signal, batch.seed, strict=True)]  # fmt: skip


def test_a_step_has_the_same_batch_wherever_reading_begins(finished):
    task = Classify()
    dataset = task.prepared(task.dataset(finished, "train"), augmented=True)
    whole = TrainingBatches(dataset, 4, seed=0)
    expected = [whole(step).weights for step in range(40)]
    for start in (0, 7, 20, 39):
        late = TrainingBatches(dataset, 4, seed=0)
        for step in range(start, 40):
            assert torch.equal(late(step).weights, expected[step])
    assert torch.equal(whole(3).weights, expected[3])  # and back


def test_fewer_training_signals_are_nested_and_balanced(finished):
    task = Classify(**SMALL)
    dataset = task.dataset(finished, "train")
    column = task.label_column(dataset)
    signal = dataset.rows.signals(dataset.rows.locations(np.arange(len(dataset))))
    few, more = (chosen(dataset, column, count, 0) for count in (10, 20))
    assert set(few.tolist()) < set(more.tolist()) and len(few) == 20
    label = dataset.labels[column][np.unique(signal[few])]
    assert sorted(label.tolist()) == list(range(10))
    with pytest.raises(InrzooError, match="train_signals = 1000 is more than"):
        chosen(dataset, column, 1000, 0)


def test_fewer_training_seeds_are_the_first_ones_of_every_signal(finished):
    """Other splits keep all fits, so that rows of a table are measured on the same INRs."""
    task = Contrastive(**SMALL, train_seeds=1)
    both, one = Contrastive(**SMALL).dataset(finished, "train"), task.dataset(finished, "train")
    assert set(one[:].seed.tolist()) == {0} and torch.equal(one[:].weights, both[:].weights[both[:].seed == 0])
    assert len(task.dataset(finished, "test")) == len(Contrastive(**SMALL).dataset(finished, "test"))
    with pytest.raises(InrzooError, match=r"train_seeds = 3 is more than the 2 seed\(s\) of"):
        replace(task, train_seeds=3).dataset(finished, "train")


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
        (lambda: Classify(train_seeds=-1), "train_seeds = -1 is not allowed; it must be at least 0"),
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
