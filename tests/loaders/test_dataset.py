"""`WeightDataset`: every number gives the INR it should, chosen, normalised and transformed as asked.

Shape letters: N signals, S seeds, T snapshots, P parameters, L INRs of a dataset.
"""

import functools
import operator
import pickle
import sys
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
import pytest
import torch
from made_stores import P, make_store, psnr_of, weights_of
from torch.utils.data import DataLoader

import inrzoo
from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightDataset, WeightStream
from inrzoo.loaders.transforms import Transform
from inrzoo.store import open_store
from inrzoo.weights import WeightLayout

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

N, S, T = 45, 3, 2
STEPS = (800, 1000)
BAD = {(4, 0), (7, 2)}


def triples(batch):
    return list(zip(batch.signal.tolist(), batch.seed.tolist(), batch.step.tolist(), strict=True))


def assert_is_what_it_says(batch):
    """Signal, seed and step stand in the first three weights of every INR."""
    expected = weights_of(N, S, T)
    for row, (signal, seed, step) in zip(batch.weights.numpy(), triples(batch), strict=True):
        np.testing.assert_array_equal(row, expected[signal, seed, STEPS.index(step)])
    assert batch.label.tolist() == [signal % 3 for signal in batch.signal.tolist()]
    assert batch.labels["drawer"].tolist() == [signal % 4 for signal in batch.signal.tolist()]


# --- which INRs --------------------------------------------------------------------------------------------------


def test_everything_good_once_in_the_order_of_the_shards(made):
    dataset = inrzoo.load(made, normalise="none", views=STEPS)
    batch = dataset[:]
    assert_is_what_it_says(batch)
    expected = [(n, s, t) for s in range(S) for n in range(N) for t in STEPS if (n, s) not in BAD]
    assert triples(batch) == expected
    assert len(dataset) == len(expected)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, lambda n, s, t: t == 1000),
        ({"split": "train"}, lambda n, s, t: n < 30 and t == 1000),
        ({"split": "test", "seeds": 1}, lambda n, s, t: n >= 35 and s == 1 and t == 1000),
        ({"seeds": [2, 0], "views": 800}, lambda n, s, t: s in (0, 2) and t == 800),
        ({"min_psnr": 30, "views": STEPS}, lambda n, s, t: psnr_of(N, S, T)[n, s, STEPS.index(t)] >= 30),
        ({"status": ("diverged",)}, lambda n, s, t: (n, s) in BAD and t == 1000),
    ],
)
def test_what_was_asked_for(made, options, expected):
    good = {(n, s, t) for n in range(N) for s in range(S) for t in STEPS if ((n, s) in BAD) == ("status" in options)}
    batch = inrzoo.load(made, normalise="none", **options)[:]
    assert_is_what_it_says(batch)
    assert set(triples(batch)) == {triple for triple in good if expected(*triple)}
    assert len(set(triples(batch))) == len(batch)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"split": "dev"}, ["'dev'", "train, validation, test"]),
        ({"seeds": [0, 3]}, ["no seed 3", "0 to 2"]),
        ({"seeds": -1}, ["no seed -1"]),
        ({"views": 900}, ["900", "800, 1000"]),
        ({"status": ("fine",)}, ["'fine'", "ok, early stop"]),
        ({"min_snr": 3}, ["'min_snr'", "min_psnr"]),
        ({"min_psnr": 500}, ["no INR", "min_psnr=500"]),
        ({"normalise": "z"}, ["'z'", "per_tensor"]),
        ({"shuffle": True}, ["shuffle", "streaming=True"]),
        ({"batch_size": 3}, ["batch_size", "streaming=True"]),
        ({"streaming": True, "batch_size": 0}, ["batch_size = 0"]),
        ({"streaming": True, "buffer": 0}, ["buffer = 0"]),
        ({"streaming": True, "rank": 2, "world": 2}, ["rank = 2"]),
        ({"streaming": True, "rank": 0}, ["world = None"]),
    ],
)
def test_a_wrong_wish_is_one_line_that_says_what_there_is(made, options, words):
    with pytest.raises(InrzooError) as caught:
        inrzoo.load(made, **options)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_no_store_and_no_path(tmp_path):
    with pytest.raises(InrzooError, match="no store at"):
        inrzoo.load(tmp_path / "absent.zarr")
    with pytest.raises(InrzooError, match="no store was named"):
        inrzoo.load([])


@pytest.mark.parametrize("index", [[0], [-1], [3, 100, 3], slice(5, 50, 7), np.array([1, 2]), torch.tensor([9, 8])])
def test_indexing_is_that_of_an_array(made, index):
    dataset = inrzoo.load(made, normalise="none", views=STEPS)
    numbers = np.arange(len(dataset))[index if not isinstance(index, torch.Tensor) else index.numpy()]
    assert triples(dataset[index]) == [triples(dataset[:])[number] for number in numbers]


@pytest.mark.parametrize("index", [0, -1, 17, np.int64(3), torch.tensor(9)])
def test_one_number_is_one_inr(made, index):
    dataset = inrzoo.load(made, normalise="none", views=STEPS, signals=True)
    one, batch = dataset[index], dataset[[int(index)]]
    assert one.is_single and not batch.is_single
    for name in ("weights", "label", "signal", "seed", "step", "targets"):
        assert one[name].shape == batch[name].shape[1:] and torch.equal(one[name], batch[name][0])
    with pytest.raises(TypeError, match=r"a single INR has no length; dataset\[\[number\]\]"):
        len(one)


def test_a_number_out_of_range_is_an_index_error(made):
    dataset = inrzoo.load(made)
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_random_access_equals_the_store_at_every_stage(tmp_path):
    """One seed published, the others still in blocks, one INR of them pending."""
    store = make_store(tmp_path / "half.zarr", shard_rows=12, publish=1)
    next((store.path / "_build" / "blocks").glob("seed00002*.npz")).unlink()
    dataset = inrzoo.load(store.path, normalise="none", views=STEPS)
    assert len(dataset) == (3 * N - store.partition.block_rows) * T
    numbers = np.random.default_rng(0).permutation(len(dataset))[:100]
    assert_is_what_it_says(dataset[numbers])


def test_a_store_without_plain_shards_is_read_through_zarr(made, monkeypatch):
    monkeypatch.setattr("inrzoo.store.weights_array.map_shard", lambda *_: None)
    assert_is_what_it_says(inrzoo.load(made, normalise="none", views=STEPS)[::3])


# --- values ------------------------------------------------------------------------------------------------------


def test_values_are_what_the_inrs_were_fitted_to(made):
    dataset = inrzoo.load(made, signals=True)
    batch = dataset[[40, 3, 3, 77]]
    expected = open_store(made).signals(batch.signal.numpy()).astype(np.float32) / 255 * 2 - 1
    np.testing.assert_allclose(batch.targets, expected, atol=1e-6)
    assert inrzoo.load(made)[0].targets is None


def test_signals_that_are_not_there_are_refused(made, monkeypatch):
    monkeypatch.setattr("inrzoo.store.Store.has_signals", False)
    with pytest.raises(InrzooError, match="does not hold its signals"):
        inrzoo.load(made, signals=True)


# --- normalising -------------------------------------------------------------------------------------------------


def training(made, views):
    weights = weights_of(N, S, T)
    rows = [weights[n, s, STEPS.index(t)] for n in range(30) for s in range(S) for t in views if (n, s) not in BAD]
    return np.array(rows, dtype=np.float64)


@pytest.mark.parametrize("views", [(1000,), STEPS])
def test_per_parameter_statistics_are_of_the_snapshots_that_were_loaded(made, views):
    dataset = inrzoo.load(made, normalise="per_parameter", views=views, split="test")
    exact = training(made, views)
    std = exact.std(axis=0)
    np.testing.assert_allclose(dataset.normaliser.mean, exact.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(dataset.normaliser.std, np.where(std < 1e-6, 1, std), rtol=1e-6)
    raw = inrzoo.load(made, normalise="none", views=views, split="test")[:].weights
    expected = (raw.numpy() - exact.mean(axis=0)) / np.where(std < 1e-6, 1, std)
    np.testing.assert_allclose(dataset[:].weights, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(dataset.normaliser.inverse(dataset[:].weights), raw, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(dataset.normaliser(raw), dataset[:].weights)


def test_per_tensor_statistics_are_over_all_entries_of_each_tensor(made):
    dataset = inrzoo.load(made, normalise="per_tensor", views=STEPS)
    for name, exact in dataset.layout.split(training(made, STEPS)).items():
        mean, std = (dataset.layout.split(vector)[name] for vector in (dataset.normaliser.mean, dataset.normaliser.std))
        np.testing.assert_allclose(mean, exact.mean(), rtol=1e-5)
        np.testing.assert_allclose(std, exact.std(), rtol=1e-5)


def test_a_parameter_that_never_varies_becomes_zero(made):
    """The step is the same in all INRs of one view; its standard deviation is 0."""
    batch = inrzoo.load(made, normalise="per_parameter", views=1000)[:]
    assert (batch.weights[:, 2] == 0).all()
    assert torch.isfinite(batch.weights).all()


@pytest.mark.parametrize(
    "mode, expected", [("random", "per_tensor"), ("fixed", "per_parameter"), ("file", "per_parameter")]
)
def test_auto_follows_the_start(tmp_path, mode, expected):
    store = make_store(tmp_path / "one.zarr", manifest={"init": {"mode": mode}})
    assert inrzoo.load(store.path).normaliser.kind == expected


def test_without_statistics_nothing_is_normalised_silently(tmp_path):
    store = make_store(tmp_path / "half.zarr", publish=2)
    with pytest.raises(InrzooError, match="no statistics"):
        inrzoo.load(store.path)
    assert len(inrzoo.load(store.path, normalise="none"))


# --- DataLoader, workers, pickling -------------------------------------------------------------------------------


@pytest.mark.parametrize("workers, context", [(0, None), (2, "fork"), pytest.param(2, "spawn", marks=pytest.mark.slow)])
def test_a_dataloader_needs_no_collate_fn(made, workers, context):
    dataset = inrzoo.load(made, views=STEPS)
    loader = DataLoader(dataset, batch_size=32, num_workers=workers, multiprocessing_context=context)
    batches = list(loader)
    assert [len(batch) for batch in batches] == [32] * (len(dataset) // 32) + [len(dataset) % 32]
    assert torch.equal(torch.cat([batch.weights for batch in batches]), dataset[:].weights)
    assert functools.reduce(operator.iadd, map(triples, batches), []) == triples(dataset[:])


def test_a_copy_holds_no_weights_and_gives_the_same(made):
    dataset = inrzoo.load(made, views=STEPS, signals=True)
    expected = dataset[:]
    content = pickle.dumps(dataset)
    assert len(content) < 20_000
    again = pickle.loads(content)[:]
    assert torch.equal(again.weights, expected.weights)
    assert torch.equal(again.targets, expected.targets)


def test_a_batch_moves_as_one(made):
    batch = inrzoo.load(made, signals=True)[:4].to("meta")
    for tensor in (batch.weights, batch.label, batch.labels["drawer"], batch.signal, batch.step, batch.targets):
        assert tensor.device.type == "meta"
    assert inrzoo.load(made)[:4].to("meta").targets is None


# --- transforms --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Add(Transform):
    """Adds one random number to each INR."""

    scale: float = 1.0

    def __call__(self, weights, generator):
        return weights + self.scale * torch.rand(len(weights), 1, generator=generator)


@dataclass(frozen=True)
class Double(Transform):
    def __call__(self, weights, generator):
        return weights * 2


def test_motions_come_before_normalising_and_noise_after(made):
    plain = inrzoo.load(made)
    before, after = inrzoo.load(made, transform=Double()), inrzoo.load(made, transform_normalised=Double())
    raw = inrzoo.load(made, normalise="none")[:].weights
    torch.testing.assert_close(before[:].weights, plain.normaliser(raw * 2))
    torch.testing.assert_close(after[:].weights, plain[:].weights * 2)


def test_draws_are_a_function_of_seed_epoch_and_batch(made):
    def draw(seed=0, epoch=0, index=(3, 4, 5)):
        dataset = inrzoo.load(made, transform=Add(), seed=seed)
        dataset.set_epoch(epoch)
        return dataset[list(index)].weights

    first = draw()
    assert torch.equal(draw(), first)
    for other in (draw(seed=1), draw(epoch=1), draw(index=(4, 3, 5))[[1, 0, 2]]):
        assert not torch.equal(other, first)


# --- several stores ----------------------------------------------------------------------------------------------


@pytest.fixture
def two(made, tmp_path):
    other = make_store(tmp_path / "other.zarr", splits=(11,), num_seeds=2, steps=(500, 800, 1000))
    return [made, other.path]


def test_two_stores_are_one(two):
    dataset = inrzoo.load(two, views=STEPS, normalise="none")
    parts = [inrzoo.load(path, views=STEPS, normalise="none") for path in two]
    assert len(dataset) == sum(map(len, parts))
    together, first, second = dataset[:], *(part[:] for part in parts)
    assert torch.equal(together.weights, torch.cat([first.weights, second.weights]))
    assert together.signal.tolist() == first.signal.tolist() + [N + signal for signal in second.signal.tolist()]
    assert together.step.tolist() == first.step.tolist() + second.step.tolist()
    assert together.labels["drawer"].tolist() == [*first.labels["drawer"].tolist(), *second.labels["drawer"].tolist()]
    mixed = np.random.default_rng(0).permutation(len(dataset))
    assert torch.equal(dataset[mixed].weights, together.weights[torch.from_numpy(mixed)])


def test_statistics_of_two_stores_are_merged(two):
    dataset = inrzoo.load(two, normalise="per_parameter", views=STEPS)
    other = weights_of(11, 2, 3)[:, :, 1:].reshape(-1, P)
    exact = np.concatenate([training(two[0], STEPS), other.astype(np.float64)])
    np.testing.assert_allclose(dataset.normaliser.mean, exact.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dataset.normaliser.std, exact.std(axis=0), rtol=1e-5)


def test_stores_of_the_same_signals_share_their_numbers(made, tmp_path):
    sha = open_store(made).info.signals_sha256
    again = make_store(tmp_path / "again.zarr", signals_sha256=sha)
    batch = inrzoo.load([made, again.path], normalise="none")[:]
    assert batch.signal.max() == N - 1
    assert batch.label.tolist() == [signal % 3 for signal in batch.signal.tolist()]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"inr": {"name": "siren", "omega_0": 10.0}}, "inr.omega_0: absent → 10.0"),
        ({"manifest": {"coords": {"spacing": "pixel_centres", "axis_order": "row_col"}}}, "coords.spacing"),
        ({"manifest": {"values": {"range": [0, 1]}}}, "values.range"),
        ({"manifest": {"init": {"mode": "fixed"}}}, "init.mode: random → fixed"),
        ({"num_classes": 2}, "label_names.class: 3 names"),
        ({"label_columns": ("drawer", "class")}, "label_columns"),
        ({"split_names": ("train", "test", "validation")}, "split_names"),
    ],
)
def test_stores_that_mean_different_things_are_not_mixed(made, tmp_path, changes, words):
    other = make_store(tmp_path / "other.zarr", finish=False, **changes)
    with pytest.raises(InrzooError) as caught:
        inrzoo.load([made, other.path])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_layout_is_named(made, tmp_path):
    first, second, *others = open_store(made).layout.tensors
    layout = WeightLayout((first, replace(second, axes=("other",)), *others))
    other = make_store(tmp_path / "other.zarr", finish=False, layout=layout)
    with pytest.raises(InrzooError, match=f"layout.{second.name}"):
        inrzoo.load([made, other.path])


def test_the_same_inrs_are_not_loaded_twice(made):
    with pytest.raises(InrzooError, match="hold the same INRs"):
        inrzoo.load([made, made])


def test_streaming_gives_a_stream_and_otherwise_a_dataset(made):
    assert isinstance(inrzoo.load(made), WeightDataset)
    assert isinstance(inrzoo.load(made, streaming=True), WeightStream)


def test_a_dataset_on_the_hub_is_read_from_one_commit(made, monkeypatch):
    """`inrzoo.hub.pin` is asked once for a dataset, and what it says is what is opened."""
    asked = []

    def pin(url):
        asked.append(url)
        return str(made)

    hub = ModuleType("inrzoo.hub")
    hub.pin = pin
    monkeypatch.setitem(sys.modules, "inrzoo.hub", hub)
    monkeypatch.setattr(inrzoo, "hub", hub, raising=False)
    dataset = inrzoo.load("hf://datasets/user/made@v1/made.zarr")
    assert len(dataset) == len(inrzoo.load(made))
    assert asked == ["hf://datasets/user/made@v1/made.zarr"]
