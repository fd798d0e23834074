"""Episodes: N classes, K + Q signals of each, no signal on both sides, a function of (seed, number) alone."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stores import make_store
from torch.utils.data import DataLoader

import inrzoo
from inrzoo.errors import InrzooError
from inrzoo.loaders import Episodes

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

STEPS = (800, 1000)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """60 training signals in 6 classes, two of them absent from the test split of 40."""
    path = tmp_path_factory.mktemp("episodes") / "made.zarr"
    make_store(path, splits=(60, 0, 40), num_seeds=2, num_classes=6)
    return path


def episodes(path, split="train", **options):
    dataset = inrzoo.load(path, views=STEPS, normalise="none", split=split)
    return Episodes(dataset, **{"ways": 3, "shots": 2, "queries": 4, **options})


def same(ours, theirs):
    return (
        torch.equal(ours.support.weights, theirs.support.weights)
        and torch.equal(ours.query.weights, theirs.query.weights)
        and torch.equal(ours.classes, theirs.classes)
    )


def test_an_episode_is_what_it_should_be(path):
    for episode in itertools.islice(episodes(path), 50):
        assert len(episode.support) == 6 and len(episode.query) == 12
        assert len(episode.classes.unique()) == 3
        assert torch.equal(episode.support.label, episode.classes[episode.support_target])
        assert torch.equal(episode.query.label, episode.classes[episode.query_target])
        assert episode.support_target.bincount().tolist() == [2] * 3
        assert episode.query_target.bincount().tolist() == [4] * 3
        signals = episode.support.signal.tolist() + episode.query.signal.tolist()
        assert len(set(signals)) == 18  # no signal twice: neither by another seed nor by another view
        assert max(signals) < 60


def test_seeds_and_views_take_part(path):
    drawn = {
        (seed, step)
        for episode in itertools.islice(episodes(path), 20)
        for seed, step in zip(episode.query.seed.tolist(), episode.query.step.tolist(), strict=True)
    }
    assert drawn == set(itertools.product(range(2), STEPS))


def test_classes_and_signals_are_drawn_evenly(path):
    drawn = list(itertools.islice(episodes(path), 400))
    classes = torch.cat([episode.classes for episode in drawn]).bincount(minlength=6)
    assert (classes - 200).abs().max() < 5 * (400 * 0.25) ** 0.5
    signals = torch.cat([episode.query.signal for episode in drawn]).bincount(minlength=60)
    assert (signals - 80).abs().max() < 5 * 80**0.5


@pytest.mark.parametrize("label, count", [(None, 6), ("class", 6), ("drawer", 4)])
def test_any_label_column_may_hold_the_classes(path, label, count):
    made = episodes(path, label=label)
    assert len(made.classes) == count
    episode = made[0]
    assert torch.equal(episode.support.labels[label or "class"], episode.classes[episode.support_target])


def test_the_split_decides_the_classes(path):
    assert set(episodes(path, "test")[0].support.signal.tolist()) <= set(range(60, 100))


def test_an_evaluation_list_is_the_same_every_time(path):
    first, again = episodes(path, num_episodes=7, seed=3), episodes(path, num_episodes=7, seed=3)
    assert len(first) == 7
    expected = list(first)
    assert len(expected) == 7
    for other in (list(first), list(again), [again[number] for number in range(7)]):
        assert all(map(same, other, expected))
    assert not same(episodes(path, num_episodes=7, seed=4)[0], expected[0])
    with pytest.raises(IndexError):
        first[7]


def test_training_has_no_end(path):
    made = episodes(path)
    with pytest.raises(TypeError, match="no length"):
        len(made)
    assert same(list(itertools.islice(made, 30))[29], made[29])


@settings(max_examples=3)
@given(st.integers(1, 4), st.integers(0, 9))
def test_ranks_divide_a_list_and_each_continues(path, world, stop):
    expected = [episodes(path)[number] for number in range(9)]
    found = {}
    for rank in range(world):
        whole = episodes(path, num_episodes=9, rank=rank, world=world)
        mine = list(whole)
        assert len(mine) == len(whole)
        found |= {rank + world * k: episode for k, episode in enumerate(mine)}
        broken_off = episodes(path, num_episodes=9, rank=rank, world=world)
        taken = list(itertools.islice(broken_off, min(stop, len(mine))))
        again = episodes(path, num_episodes=9, rank=rank, world=world)
        again.load_state_dict(broken_off.state_dict())
        assert all(map(same, [*taken, *again], mine)) and len(taken) + len(mine[len(taken) :]) == len(mine)
    assert sorted(found) == list(range(9))
    assert all(same(found[number], expected[number]) for number in range(9))


def test_dataloader_workers_divide_a_list(path):
    made = episodes(path, num_episodes=7)
    assert all(map(same, DataLoader(made, batch_size=None, num_workers=2), made))
    assert len(list(DataLoader(made, batch_size=None, num_workers=2))) == 7


@pytest.mark.parametrize(
    "options, words",
    [
        ({"ways": 7}, "7 ways need as many classes; the loaded INRs have 6"),
        ({"queries": 9}, "class 'class 0' has 10 signals; 2 shots and 9 queries need 11 .too few in 6 of 6"),
        ({"label": "colour"}, "no label column 'colour'; there are: class, drawer"),
        ({"shots": 0}, "shots = 0"),
        ({"rank": 1, "world": 1}, "rank = 1"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_anything_starts(path, options, words):
    with pytest.raises(InrzooError, match=words):
        episodes(path, **options)


def test_a_state_of_other_episodes_is_refused(path):
    with pytest.raises(InrzooError, match="shots: 2 → 3"):
        episodes(path, shots=3).load_state_dict(episodes(path).state_dict())


def test_values_travel_along(path):
    dataset = inrzoo.load(path, signals=True)
    episode = Episodes(dataset, ways=2, shots=1, queries=2)[0]
    assert episode.support.targets.shape[0] == 2
    assert np.isfinite(episode.query.targets.numpy()).all()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_dataloader_that_would_join_episodes_is_refused(path, batch_size):
    loader = DataLoader(episodes(path, num_episodes=7), batch_size=batch_size)
    with pytest.raises(InrzooError, match=r"would join \d+ episodes; write DataLoader\(episodes, batch_size=None\)"):
        next(iter(loader))
