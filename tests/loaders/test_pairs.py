"""Pairs are two different INRs of one signal, different in what was asked for, the same whoever reads them."""

import numpy as np
import pytest
import torch
from made_stores import make_store
from torch.utils.data import DataLoader

import inrzoo
from inrzoo.errors import InrzooError
from inrzoo.loaders import Pairs, WeightStream
from inrzoo.loaders.grouped_index import GroupedIndex
from inrzoo.loaders.transforms import Transform

STEPS = (800, 1000)


def pairs_of(made, between="seeds", seed=0, **options):
    return Pairs(inrzoo.load(made, views=STEPS, normalise="none", **options), between=between, seed=seed)


def views(batch):
    return list(zip(batch.seed.tolist(), batch.step.tolist(), strict=True))


@pytest.mark.parametrize("between", ["seeds", "views", "any"])
def test_both_are_of_one_signal_and_differ(made, between):
    pairs = pairs_of(made, between)
    assert len(pairs) == 45
    for epoch in range(20):
        pairs.set_epoch(epoch)
        batch = pairs[:]
        assert batch.first.signal.tolist() == batch.second.signal.tolist() == list(range(45))
        assert (batch.first.weights[:, 0].long() == batch.first.signal).all()
        assert (batch.second.weights[:, 1].long() == batch.second.seed).all()
        for (seed, step), (other_seed, other_step) in zip(views(batch.first), views(batch.second), strict=True):
            if between == "seeds":
                assert seed != other_seed
            elif between == "views":
                assert seed == other_seed and step != other_step
            else:
                assert (seed, step) != (other_seed, other_step)


@pytest.mark.parametrize("between, count", [("seeds", 3 * 2 * 2 * 2), ("views", 3 * 2), ("any", 6 * 5)])
def test_every_pair_that_may_be_is_as_likely(made, between, count):
    pairs = pairs_of(made, between)
    drawn = []
    for epoch in range(600):
        pairs.set_epoch(epoch)
        first, second = pairs.draw(np.array([10]), epoch)
        drawn.append((int(first[0]), int(second[0])))
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    expected = 600 / count
    assert len(found) == count
    assert (np.square(counts - expected) / expected).sum() < count + 5 * (2 * count) ** 0.5


def test_what_a_signal_gives_depends_on_seed_and_epoch_alone(made):
    pairs = pairs_of(made)
    whole = pairs[:]
    assert views(pairs[[44, 3]].first) == [views(whole.first)[44], views(whole.first)[3]]
    assert views(pairs_of(made)[:].second) == views(whole.second)
    assert views(pairs_of(made, seed=1)[:].second) != views(whole.second)
    pairs.set_epoch(1)
    assert views(pairs[:].second) != views(whole.second)


def test_signals_without_a_pair_are_left_out(tmp_path):
    store = make_store(tmp_path / "two.zarr", num_seeds=2, diverged=((4, 0), (9, 1)))
    pairs = Pairs(inrzoo.load(store.path))
    assert pairs.num_left_out == 2
    assert pairs[:].first.signal.tolist() == [signal for signal in range(45) if signal not in (4, 9)]


@pytest.mark.parametrize(
    "options, between, words",
    [
        ({"seeds": 1}, "seeds", "two seeds"),
        ({"views": 800}, "views", "two views"),
        ({"seeds": 1, "views": 800}, "any", "two INRs"),
        ({}, "siblings", "'siblings'"),
    ],
)
def test_no_pairs_is_an_error_before_anything_starts(made, options, between, words):
    with pytest.raises(InrzooError, match=words):
        Pairs(inrzoo.load(made, **options), between=between)


def test_two_stores_of_one_signal_are_two_fits_of_it(made, tmp_path):
    again = make_store(tmp_path / "again.zarr", num_seeds=1, signals_sha256=str(made))
    dataset = inrzoo.load([made, again.path], seeds=0, normalise="none")
    pairs = Pairs(dataset)
    assert pairs.num_left_out == 1  # (4, 0) diverged in the first
    first, second = pairs.draw(np.arange(len(pairs)), 0)
    stores = dataset.rows.locations(first).store, dataset.rows.locations(second).store
    assert (stores[0] != stores[1]).all()


@pytest.mark.parametrize("between", ["seeds", "views", "any"])
def test_a_stream_of_pairs_gives_every_signal_once(made, between):
    found = []
    for rank in range(2):
        stream = WeightStream(pairs_of(made, between), batch_size=4, shuffle=True, buffer=8, rank=rank, world=2)
        found += [signal for batch in stream for signal in batch.first.signal.tolist()]
    assert sorted(found) == list(range(45))
    assert found != sorted(found)


def test_a_stream_draws_new_pairs_in_every_epoch_and_continues_the_same(made):
    def stream():
        return WeightStream(pairs_of(made), batch_size=4, shuffle=True, buffer=8)

    first = stream()
    one, two = list(first), list(first)
    by_signal = [
        {s: v for batch in epoch for s, v in zip(batch.first.signal.tolist(), views(batch.first), strict=True)}
        for epoch in (one, two)
    ]
    assert by_signal[0] != by_signal[1]
    broken_off, again = stream(), stream()
    batches = iter(broken_off)
    next(batches), next(batches)
    again.load_state_dict(broken_off.state_dict())
    for ours, theirs in zip(again, one[2:], strict=True):
        assert torch.equal(ours.first.weights, theirs.first.weights)
        assert torch.equal(ours.second.weights, theirs.second.weights)


def test_a_dataloader_needs_no_collate_fn(made):
    batches = list(DataLoader(pairs_of(made), batch_size=10))
    assert [len(batch) for batch in batches] == [10, 10, 10, 10, 5]


class Draw(Transform):
    def __call__(self, weights, generator):
        return torch.rand(weights.shape, generator=generator)


def test_both_sides_are_transformed_by_draws_of_their_own(made):
    batch = pairs_of(made, transform_normalised=Draw())[:]
    assert not torch.equal(batch.first.weights, batch.second.weights)


def test_members_are_the_positions_of_each_key():
    keys = np.array([5, 1, 5, 9, 1, 5])
    members = GroupedIndex.from_keys(keys)
    assert members.keys.tolist() == [1, 5, 9]
    for number, key in enumerate(members.keys):
        run = members.flat[members.starts[number] : members.starts[number] + members.counts[number]]
        assert run.tolist() == np.flatnonzero(keys == key).tolist()
