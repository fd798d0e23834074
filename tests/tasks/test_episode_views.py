"""Views in episodes: as more samples or as more support, and never on both sides."""

import numpy as np
import pytest

from inrzoo.errors import InrzooError
from inrzoo.loaders import Episodes, load
from inrzoo.tasks.few_shot import FewShot

VIEWS = (20, 30, 40)
SMALL = {"way": 3, "shot": 2, "query": 3}


def kinds(task: FewShot, path, training: bool):
    """(dataset, episodes) as training or measuring uses them."""
    uses = ("training", "support", "both") if training else ("support", "both")
    dataset = task.dataset(path, "train" if training else "test", task.view_use in uses)
    return dataset, task.episodes(dataset, task.way, task.shot, None if training else 20, training)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("use", ["none", "training", "support", "both"])
def test_where_views_are_used(characters, use, training):
    dataset, episodes = kinds(FewShot(**SMALL, view=30, view_use=use), characters, training)
    in_support, in_queries = set(), set()
    for number in range(20):
        episode = episodes[number]
        copies = len(VIEWS) if use in ("support", "both") else 1
        assert len(episode.support) == 3 * 2 * copies
        assert len(episode.query) == 3 * 3
        assert not set(episode.support.signal.tolist()) & set(episode.query.signal.tolist())
        assert len(set(episode.query.signal.tolist())) == len(episode.query)
        for batch, target in ((episode.support, episode.support_target), (episode.query, episode.query_target)):
            assert (episode.classes[target] == batch.label).all()
        if copies > 1:  # every signal of the support with every view, once
            pairs = set(zip(episode.support.signal.tolist(), episode.support.step.tolist(), strict=True))
            signals = set(episode.support.signal.tolist())
            assert pairs == {(signal, step) for signal in signals for step in VIEWS}
            assert len(signals) == 6
        in_support |= set(episode.support.step.tolist())
        in_queries |= set(episode.query.step.tolist())
    mixed = set(VIEWS)
    assert in_support == (mixed if use in ("support", "both") or (training and use == "training") else {30})
    assert in_queries == (mixed if training and use in ("training", "both") else {30})
    assert len(dataset) % len(in_support | in_queries) == 0


def test_episodes_are_what_their_numbers_say(characters):
    task = FewShot(**SMALL, view_use="both")
    _, episodes = kinds(task, characters, training=True)
    _, again = kinds(task, characters, training=True)
    _, other = kinds(FewShot(**SMALL, view_use="both", seed=1), characters, training=True)
    for number in (0, 7, 1000):
        items = episodes.items(number)
        assert all(np.array_equal(a, b) for a, b in zip(items, again.items(number), strict=True))
        assert not np.array_equal(items.query, other.items(number).query)
        assert episodes[number].support.signal.tolist() == again[number].support.signal.tolist()


def test_splits_share_no_class(characters):
    classes = []
    for split in ("train", "validation", "test"):
        dataset = FewShot(**SMALL).dataset(characters, split, False)
        classes.append(set(FewShot(**SMALL).episodes(dataset, 3, 2, 1, False).classes.tolist()))
    assert [len(some) for some in classes] == [16, 4, 4]
    assert len(set.union(*classes)) == 24


def test_queries_of_a_view_that_is_not_loaded(characters):
    with pytest.raises(InrzooError, match="queries of 30 steps: 128 of 128 signals have no such INR"):
        Episodes(load(characters, split="train", views=40), ways=3, shots=1, queries=1, query_step=30)


def test_state_of_other_episodes_is_refused(characters):
    dataset = load(characters, split="train", views=list(VIEWS))
    one = Episodes(dataset, ways=3, shots=1, queries=1)
    every = Episodes(dataset, ways=3, shots=1, queries=1, all_in_support=True)
    with pytest.raises(InrzooError, match="all_in_support: False → True"):
        every.load_state_dict(one.state_dict())


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"way": 17}, "17 ways need as many classes; the loaded INRs have 16"),
        ({"shot": 6, "query": 3}, "has 8 signals; 6 shots and 3 queries need 9 .* enough for 2 queries"),
        ({"label": "letter"}, "no label column 'letter'; there are: character, alphabet, drawer"),
        ({"view": 35}, "has no view of 35 steps; there are: 20, 30, 40"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_training(characters, fields, message):
    with pytest.raises(InrzooError, match=message):
        FewShot(**{**SMALL, **fields}).begin(characters, "cpu")
