"""Few-shot training end to end: what is learned, what is seen, what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.loaders import load
from inrzoo.store import open_store
from inrzoo.store.weights_array import WeightsArray
from inrzoo.tasks import evaluate, few_shot, measure, train
from inrzoo.tasks.few_shot import FewShot, Network

SMALL = {
    "way": 3, "shot": 2, "query": 3, "steps": 10, "validate_every": 5, "lr": 3e-3, "validation_episodes": 20,
    "test_ways": (3, 4), "test_shots": (1, 2), "test_episodes": 60,
}  # fmt: skip
MLP = {"name": "flat_mlp", "tensors": "all", "hidden_features": 32}


def state(folder: Path) -> dict[str, torch.Tensor]:
    return dict(read(folder).module)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


SLOW_ENCODERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("layer_transformer", "deep_sets")]


@pytest.mark.parametrize("encoder", ["flat_mlp", *SLOW_ENCODERS])
def test_training_learns_to_tell_unseen_classes_apart(characters, tmp_path, encoder, curves):
    """Far above chance (33 %) on the test split; the patterns are easy."""
    task = FewShot(**{**SMALL, "steps": 120, "validate_every": 40}, encoder={"name": encoder})
    found = measure(task, characters, tmp_path / "run", quiet=True)
    assert set(found) == {"3-way 1-shot", "3-way 2-shot", "4-way 1-shot", "4-way 2-shot", "CPU minutes"}
    best = found["3-way 2-shot"]
    assert best.trials == 60
    assert best.mean - 2 * best.interval > 100 / 3
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [40, 80, 120]
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    assert (tmp_path / "run" / "curve.png").stat().st_size > 1000


def test_the_raw_encoder_is_cosine_of_normalised_weights(characters, tmp_path):
    task = FewShot(**SMALL, view_use="none", encoder={"name": "raw"})
    found = measure(task, characters, tmp_path / "run", quiet=True)["3-way 1-shot"]
    dataset = load(characters, split="test", normalise="per_parameter")
    episodes = task.episodes(dataset, 3, 1, 60, training=False)
    weights = torch.nn.functional.normalize(dataset[:].weights.double(), dim=1)
    shares = []
    for number in range(60):
        items = episodes.items(number)
        nearest = (weights[items.query] @ weights[items.support].T).argmax(dim=1).numpy()
        shares.append((items.support_target[nearest] == items.query_target).mean())
    assert found.mean == pytest.approx(100 * float(np.mean(shares)))
    assert read(tmp_path / "run").progress["step"] == 0  # nothing to train


def test_normalisation_is_that_of_the_training_split(characters):
    task = FewShot(**SMALL, inputs="signals", normalise="per_parameter", encoder={"name": "raw"})
    inputs = task.begin(characters, "cpu").module.inputs
    values = load(characters, split="train", signals=True)[:].targets.flatten(1).double()
    torch.testing.assert_close(inputs.mean, values.mean(0).float())
    spread = values.std(0, correction=0).float()
    torch.testing.assert_close(inputs.std, torch.where(spread < 1e-6, 1.0, spread))
    single = FewShot(**SMALL, inputs="signals", encoder={"name": "raw"}).begin(characters, "cpu").module.inputs
    torch.testing.assert_close(single.mean, values.mean().float().expand(64))
    torch.testing.assert_close(single.std, values.std(correction=0).float().expand(64))


def test_normalised_weights_are_the_loader_s(characters):
    for kind in ("auto", "per_parameter", "per_tensor", "none"):
        task = FewShot(**SMALL, normalise=kind, view_use="none", encoder={"name": "raw"})
        network = task.begin(characters, "cpu").module
        there = load(characters, split="train", normalise=kind)[:8].weights
        torch.testing.assert_close(network(load(characters, split="train", normalise="none")[:8].weights), there)


class Spy:
    """Notes which signals are read, and may put other weights in their place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, hidden: set[int], scramble: bool) -> None:
        self.read: set[int] = set()
        gather = WeightsArray.gather

        def spied(array, signal, seed, step):
            self.read |= set(np.asarray(signal).tolist())
            weights = gather(array, signal, seed, step)
            if scramble:
                weights[np.isin(signal, list(hidden))] = 1e3
            return weights

        monkeypatch.setattr(WeightsArray, "gather", spied)


def signals_of(path: Path, split: str) -> set[int]:
    store = open_store(path)
    return set(np.flatnonzero(store.split == store.info.split_names.index(split)).tolist())


CHOICES = {"weights": {}, "canonical": {"inputs": "canonical"}, "augmented": {"noise": 0.1, "mixtures": 0.5}}


@pytest.mark.parametrize("choice", CHOICES)
def test_training_never_sees_the_test_split(characters, tmp_path, monkeypatch, choice):
    task = FewShot(**SMALL, **CHOICES[choice], encoder=MLP)
    train(task, characters, tmp_path / "clean", quiet=True)
    hidden = signals_of(characters, "test")
    spy = Spy(monkeypatch, hidden, scramble=True)
    train(task, characters, tmp_path / "scrambled", quiet=True)
    assert spy.read & signals_of(characters, "train")
    assert not spy.read & hidden
    assert same(state(tmp_path / "clean"), state(tmp_path / "scrambled"))


def test_normalisation_sees_the_training_split_alone(characters, monkeypatch):
    task = FewShot(**SMALL, inputs="canonical", encoder=MLP)
    spy = Spy(monkeypatch, set(), scramble=False)
    task.begin(characters, "cpu")
    assert spy.read == signals_of(characters, "train")


@pytest.mark.parametrize("leak", ["normalisation", "early stopping"])
def test_a_planted_leak_is_caught(characters, tmp_path, monkeypatch, leak):
    """The two tests above turn red when statistics or validation are taken from where they must not be."""
    wanted = "train" if leak == "normalisation" else "validation"
    proper = FewShot.dataset

    def leaky(self, path, split, all_views):
        return proper(self, path, None if split == wanted and leak == "normalisation" else
                      "test" if split == wanted else split, all_views)  # fmt: skip

    monkeypatch.setattr(FewShot, "dataset", leaky)
    task = FewShot(**SMALL, inputs="canonical", encoder=MLP)
    train(task, characters, tmp_path / "clean", quiet=True)
    spy = Spy(monkeypatch, signals_of(characters, "test"), scramble=True)
    train(task, characters, tmp_path / "scrambled", quiet=True)
    assert spy.read & signals_of(characters, "test")
    metrics = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("clean", "scrambled")]
    assert metrics[0] != metrics[1]


def test_another_store_of_the_same_conventions_is_measured_with_the_old_normalisation(characters, make_store, tmp_path):
    task = FewShot(**SMALL, encoder=MLP)
    first = measure(task, characters, tmp_path / "run", quiet=True)
    copy = tmp_path / "copy.zarr"
    shutil.copytree(characters, copy)
    again = evaluate(tmp_path / "run", copy)
    assert list(first.values())[:-1] == list(again)  # the last is the time that training took


def test_a_streamed_store_trains_the_same_network(characters, tmp_path, monkeypatch):
    """By its URL: shards are fetched as episodes ask for them."""
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path / "cache"))
    task = FewShot(**SMALL, encoder=MLP)
    train(task, characters, tmp_path / "local", quiet=True)
    train(task, f"file://{characters}", tmp_path / "streamed", quiet=True)
    assert same(state(tmp_path / "local"), state(tmp_path / "streamed"))
    assert evaluate(tmp_path / "local", f"file://{characters}") == evaluate(tmp_path / "streamed", characters)


@pytest.fixture(scope="module")
def trained(characters, tmp_path_factory) -> Path:
    """A run of few steps."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(FewShot(**{**SMALL, "steps": 2, "validate_every": 2}, encoder=MLP), characters, folder, quiet=True)
    return folder


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"inr__omega_0": 15.0}, "inr.omega_0: 30.0 → 15.0"),
        ({"inr__hidden_features": 6}, "layout.weight_0: [8, 2] ['hidden_0', 'in'] → [6, 2] ['hidden_0', 'in']"),
        pytest.param({"inr__name": "relu_mlp"}, "inr.name: siren → relu_mlp", marks=pytest.mark.slow),
        ({"init__mode": "random"}, "init.mode: fixed → random"),
        pytest.param({"coords__axis_order": "x_y"}, "coords.axis_order: row_col → x_y", marks=pytest.mark.slow),
        ({"fit__steps": 50, "fit__views": [20, 30, 50]}, "init.start"),
    ],
)
def test_stores_of_other_conventions_are_refused_by_name(trained, make_store, changes, named):
    with pytest.raises(InrzooError) as caught:
        evaluate(trained, make_store("other", **{"limit": 6, **changes}))
    assert "the network was trained on INRs of other conventions" in str(caught.value)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_first_layers(characters):
    task = FewShot(**SMALL, layers="first-2", encoder={"name": "raw"}, view_use="none")
    network = task.begin(characters, "cpu").module
    assert [tensor.name for tensor in network.inputs.layout.tensors] == ["weight_0", "bias_0", "weight_1", "bias_1"]
    dataset = task.dataset(characters, "train", False)
    whole = load(characters, split="train", normalise="per_parameter")[:4].weights
    torch.testing.assert_close(network(network.inputs.read(dataset[:4])), whole[:, : network.inputs.layout.num_params])
    for wrong in ("first-0", "first-4", "last-1"):
        with pytest.raises(InrzooError, match="expected all, or first-1 to first-3"):
            FewShot(**SMALL, layers=wrong).begin(characters, "cpu")


def test_turned_weights_are_weights_of_the_turned_function(characters):
    """Exact: the values of the turned INR on the grid are those of the INR on the turned grid; pixels alike."""
    dataset = load(characters, split="train", normalise="none", signals=True)
    batch, inr = dataset[:4], dataset.inr
    turns = torch.arange(4)
    coords = torch.from_numpy(dataset.stores[0].coords())
    weights = FewShot(**SMALL).begin(characters, "cpu").module.inputs.read(batch, turns)
    images = inr(batch.weights.double(), coords.double()).reshape(4, 8, 8)
    moved = inr(weights.double(), coords.double()).reshape(4, 8, 8)
    found = {
        k for k in (-1, 1) if all(torch.allclose(moved[n], torch.rot90(images[n], k * n), atol=1e-4) for n in turns)
    }
    assert len(found) == 1
    pixels = FewShot(**SMALL, inputs="signals", encoder={"name": "raw"}).begin(characters, "cpu").module.inputs
    rotated = pixels.read(batch, turns).reshape(4, 8, 8)
    assert all(torch.equal(rotated[n], torch.rot90(batch.targets[n].reshape(8, 8), int(n))) for n in turns)


def test_a_learned_temperature_begins_at_ten_and_moves(characters, tmp_path):
    task = FewShot(**SMALL, encoder=MLP, temperature="learned")
    assert float(task.begin(characters, "cpu").module.scale.detach()) == pytest.approx(10)
    train(task, characters, tmp_path / "run", quiet=True)
    assert float(state(tmp_path / "run")["log_scale"].exp()) != pytest.approx(10, abs=1e-4)


def test_several_episodes_in_a_step_are_their_mean(characters):
    def first_loss(count: int, step: int) -> float:
        torch.manual_seed(0)
        learner = FewShot(**SMALL, encoder=MLP, episodes_per_step=count).begin(characters, "cpu")
        return float(learner.loss(step)[0].detach())

    assert first_loss(2, 1) == pytest.approx((first_loss(1, 2) + first_loss(1, 3)) / 2, rel=1e-5)


def test_mixtures_average_two_classes_with_one_share_each(characters):
    """Every input of a mixed class is s a + (1 − s) b: a of the episode, b of its partner, s the same for the class."""
    plain = {**SMALL, "input_dropout": 0.0, "view_use": "both", "encoder": {"name": "raw"}}
    learner = FewShot(**plain, mixtures=1.0).begin(characters, "cpu")
    untouched = FewShot(**plain, mixtures=0.0).begin(characters, "cpu")
    episodes, inputs = learner._episodes, learner.module.inputs
    first, other = (torch.cat([inputs.read(part) for part in few_shot._parts(episodes[n])]) for n in (8, 9))
    assert torch.equal(untouched._inputs(episodes[8], 4), first)
    mixed = learner._inputs(episodes[8], 4)
    share = ((mixed - other) * (first - other)).sum(1) / (first - other).square().sum(1)
    torch.testing.assert_close(mixed, share[:, None] * first + (1 - share[:, None]) * other, rtol=1e-4, atol=1e-5)
    target = torch.cat([episodes[8].support_target, episodes[8].query_target])
    for label in range(3):
        assert float(share[target == label].std()) < 1e-3
        assert 0.25 <= float(share[target == label].mean()) <= 0.75
    assert not set(episodes[8].query.signal.tolist()) & set(episodes[8].support.signal.tolist())


def test_measuring_does_not_depend_on_how_features_are_batched(characters, tmp_path, monkeypatch):
    train(FewShot(**SMALL, encoder=MLP), characters, tmp_path / "run", quiet=True)
    usual = evaluate(tmp_path / "run", characters)
    monkeypatch.setattr(few_shot, "ROWS_AT_ONCE", 7)
    assert evaluate(tmp_path / "run", characters) == usual


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"temperature": 0}, "temperature = 0 is not allowed; it must be above 0, or learned"),
        ({"way": 1}, "at least 2"),
        ({"mixtures": 1.5}, "from 0 to 1"),
        ({"test_ways": ()}, "one or more"),
        ({"lr": -1.0}, "at least 0"),
        ({"steps": 0}, "at least 1"),
    ],
)
def test_impossible_fields(fields, message):
    with pytest.raises(InrzooError, match=message):
        FewShot(**fields)


def test_a_network_on_pixels_needs_pixels(characters):
    with pytest.raises(InrzooError, match='conv_net reads pixels; it needs inputs = "signals"'):
        FewShot(**SMALL, encoder={"name": "conv_net"}).begin(characters, "cpu")
    with pytest.raises(InrzooError, match="no encoders called 'convnet'"):
        FewShot(**SMALL, encoder={"name": "convnet"}).begin(characters, "cpu")


def test_the_dataset_of_a_network_stays_outside_its_state(characters):
    dataset = load(characters, split="train", normalise="none")
    names = set(Network(FewShot(**SMALL, encoder=MLP), dataset).state_dict())
    assert names == {"inputs.mean", "inputs.std"} | {name for name in names if name.startswith("encoder.network.")}
