"""Probes measure frozen features: against loops, on data whose answer is known, without a look at the test split."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from inrzoo.errors import InrzooError
from inrzoo.tasks import probes
from inrzoo.tasks.probes import (
    NEIGHBOURS,
    Features,
    identity,
    linear_probe,
    mean_average_precision,
    nearest_neighbours,
    retrieval,
    two_fits,
)


def features_of(features, label, signal=None, seed=None):
    count = len(label)
    return Features(
        features.float(),
        torch.as_tensor(label),
        torch.arange(count) if signal is None else torch.as_tensor(signal),
        torch.zeros(count, dtype=torch.int64) if seed is None else torch.as_tensor(seed),
    )


def clusters(count, noise, seed):
    """Three classes around the corners of a triangle."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(3, (count,), generator=generator)
    centres = torch.tensor([[0.0, 1.0], [0.9, -0.5], [-0.9, -0.5]])
    return features_of(centres[label] + noise * torch.randn(count, 2, generator=generator), label)


def test_what_is_separable_is_told_apart_and_what_is_noise_is_not():
    train, validation, test = (clusters(200, 0.05, seed) for seed in range(3))
    assert linear_probe(train, validation, test).mean == nearest_neighbours(train, validation, test).mean == 100
    train, validation, test = (clusters(400, 100.0, seed) for seed in range(3))
    for found in (linear_probe(train, validation, test), nearest_neighbours(train, validation, test)):
        assert abs(found.mean - 100 / 3) < 100 * 4 * math.sqrt(2 / 9 / 400) and found.trials == 400


def test_the_probe_does_not_depend_on_units():
    train, validation, test = (clusters(150, 0.8, seed) for seed in range(3))
    scale, shift = torch.tensor([1e-3, 1e4]), torch.tensor([5.0, -3.0])
    scaled = [features_of(part.features * scale + shift, part.label) for part in (train, validation, test)]
    assert abs(linear_probe(*scaled).mean - linear_probe(train, validation, test).mean) < 1


def test_neither_order_nor_rounding_changes_what_the_probe_says():
    """Features that say much the same, as those of networks do, make the optimum flat; it has to be reached."""
    generator = torch.Generator().manual_seed(0)
    centres, mixed = torch.randn(6, 8, generator=generator), torch.randn(8, 48, generator=generator)
    parts = []
    for count in (900, 100, 1500):
        label = torch.randint(6, (count,), generator=generator)
        latent = centres[label] + 1.5 * torch.randn(count, 8, generator=generator)
        parts.append(features_of((latent @ mixed).relu() + 0.05 * latent.norm(dim=1, keepdim=True), label))
    expected = linear_probe(*parts)
    for seed in range(3):
        generator.manual_seed(seed)
        order = torch.randperm(900, generator=generator)
        rounded = parts[0].features * (1 + 1e-6 * torch.randn(900, 48, generator=generator))
        assert linear_probe(features_of(rounded[order], parts[0].label[order]), *parts[1:]) == expected


def test_nothing_is_chosen_on_the_reported_split():
    """With two classes and the labels of the reported split exchanged, exactly what was right is wrong."""
    three = [clusters(300, 1.5, seed) for seed in range(3)]
    two = [features_of(part.features[part.label < 2], part.label[part.label < 2]) for part in three]
    exchanged = features_of(two[2].features, 1 - two[2].label)
    for measure in (linear_probe, nearest_neighbours):
        assert measure(*two).mean + measure(two[0], two[1], exchanged).mean == pytest.approx(100, abs=1e-9)
    best = linear_probe(*two, protocol="best_of_runs")
    assert best.mean >= linear_probe(*two).mean
    assert best.name == "linear probe, best of runs on this split" != linear_probe(*two).name


def test_neighbours_vote():
    """A loop over the reported INRs: the class with most votes; k is the best of the validation split."""
    train, validation, test = (clusters(120, 0.7, seed) for seed in range(3))

    def share_right(asked, k):
        right = 0
        for feature, label in zip(asked.features, asked.label.tolist(), strict=True):
            cosine = torch.nn.functional.cosine_similarity(train.features, feature[None])
            order = cosine.argsort(descending=True)[:k]
            votes = [
                (int((train.label[order] == c).sum()), float(cosine[order][train.label[order] == c].sum()))
                for c in range(3)
            ]
            right += max(range(3), key=lambda c: votes[c]) == label
        return right / len(asked.label)

    k = max(NEIGHBOURS, key=lambda k: share_right(validation, k))
    assert nearest_neighbours(train, validation, test).mean == pytest.approx(100 * share_right(test, k), abs=1e-4)


def test_retrieval_counts_signals_that_find_their_other_fit():
    generator = torch.Generator().manual_seed(0)
    count = 40
    one = torch.randn(count, 5, generator=generator)
    other = one + 0.9 * torch.randn(count, 5, generator=generator)
    order = torch.randperm(2 * count, generator=generator)
    signal, seed = torch.arange(count).repeat(2)[order], torch.tensor([3, 7]).repeat_interleave(count)[order]
    found = retrieval(features_of(torch.cat([one, other])[order], torch.zeros(2 * count), signal, seed), (1, 3))
    ranks = []
    for i in range(count):
        cosine = [float(torch.cosine_similarity(one[i], other[j], dim=0)) for j in range(count)]
        ranks.append(sum(value >= cosine[i] for value in cosine))
    assert [f.name for f in found] == ["top-1 of 40", "top-3 of 40"]
    for measurement, k in zip(found, (1, 3), strict=True):
        expected = 100 * sum(rank <= k for rank in ranks) / count
        assert measurement.mean == pytest.approx(expected) and 20 < expected < 100


def test_features_that_are_all_alike_find_nothing():
    alike = features_of(
        torch.ones(20, 3), torch.zeros(20), torch.arange(10).repeat(2), torch.arange(2).repeat_interleave(10)
    )
    assert retrieval(alike)[0].mean == 0


def test_two_fits_are_of_one_signal_and_two_seeds():
    signal, seed = [5, 2, 5, 9, 2, 5], [1, 0, 4, 0, 0, 1]
    first, second = two_fits(features_of(torch.zeros(6, 1), torch.zeros(6), signal, seed))
    assert first.tolist() in ([0], [5]) and second.tolist() == [2]
    assert retrieval(features_of(torch.zeros(3, 1), torch.zeros(3))) == []


@pytest.mark.parametrize("rows_at_once", [7, 1024])
def test_an_inr_is_identified_if_its_nearest_other_one_is_of_its_signal(monkeypatch, rows_at_once):
    """A loop over all pairs; signals have one to three fits, and those with one are candidates alone."""
    monkeypatch.setattr(probes, "ROWS_AT_ONCE", rows_at_once)
    generator = torch.Generator().manual_seed(0)
    signal = torch.randint(20, (50,), generator=generator)
    seed = torch.arange(50)
    rows = torch.randn(20, 5, generator=generator)[signal] + 0.6 * torch.randn(50, 5, generator=generator)
    right = []
    for query in range(50):
        cosines = [float(torch.cosine_similarity(rows[query], rows[other], 0)) for other in range(50)]
        cosines[query] = -math.inf
        if (signal == signal[query]).sum() > 1:
            right.append(bool(signal[cosines.index(max(cosines))] == signal[query]))
    found = identity(features_of(rows, torch.zeros(50, dtype=torch.int64), signal, seed))
    assert found.mean == pytest.approx(100 * sum(right) / len(right)) and found.trials == len(right) < 50
    assert 20 < found.mean < 95


def test_constant_features_identify_nothing_and_exact_ones_everything():
    signal = torch.arange(8).repeat(2)
    told = features_of(torch.eye(8)[signal], torch.zeros(16, dtype=torch.int64), signal)
    assert identity(told).mean == 100
    assert identity(features_of(torch.ones(16, 3), torch.zeros(16, dtype=torch.int64), signal)).mean == 0
    with pytest.raises(InrzooError, match="no signal has two fits"):
        identity(features_of(torch.eye(8), torch.zeros(8, dtype=torch.int64)))


def test_mean_average_precision_by_hand():
    """Query 0 finds its label at rank 2, 1 at rank 3, 2 at rank 3 (a tie counts against it), 3 at rank 2."""
    rows = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [0.0, 1.0]])
    number, label = torch.arange(4), torch.tensor([0, 1, 0, 1])
    found = mean_average_precision(Features(rows, label, number, torch.zeros(4)))
    assert found.mean == pytest.approx(100 * (1 / 2 + 1 / 3 + 1 / 3 + 1 / 2) / 4) and found.trials == 4
    # On a line: 0, 1, 3, 7 with labels a, a, b, a. Query 0: ranks 1, 3; query 1: 1, 3; query 7: 2, 3; b has no other.
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    found = mean_average_precision(Features(line, torch.tensor([0, 0, 1, 0]), number, torch.zeros(4)), "euclidean")
    expected = ((1 + 2 / 3) / 2 + (1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 3
    assert found.mean == pytest.approx(100 * expected) and found.trials == 3


def test_mean_average_precision_is_that_of_scikit_learn():
    from sklearn.metrics import average_precision_score

    generator = torch.Generator().manual_seed(0)
    rows, label = torch.randn(40, 3, generator=generator), torch.randint(4, (40,), generator=generator)
    signal = torch.arange(40) // 2  # two fits of each signal: the other fit of the query's signal is no candidate
    label = label[signal * 2]
    for metric, nearness in {
        "euclidean": -torch.cdist(rows, rows),
        "cosine": normalize(rows) @ normalize(rows).T,
    }.items():
        slow = []
        for query in range(40):
            others = signal != signal[query]
            right = label[others] == label[query]
            if right.any():
                slow.append(average_precision_score(right.numpy(), nearness[query, others].numpy()))
        found = mean_average_precision(Features(rows, label, signal, torch.arange(40) % 2), metric)
        assert found.mean == pytest.approx(100 * np.mean(slow), rel=1e-5)


def test_constant_features_retrieve_nothing():
    """All INRs of other labels count as nearer: with two labels of n INRs each the i-th is at rank n + i."""
    label = torch.arange(8) % 2
    found = mean_average_precision(Features(torch.ones(8, 2), label, torch.arange(8), torch.zeros(8)))
    assert found.mean == pytest.approx(100 * np.mean([i / (4 + i) for i in range(1, 4)]))
    with pytest.raises(InrzooError, match="no two signals have the same label"):
        mean_average_precision(Features(torch.ones(2, 2), torch.zeros(2), torch.zeros(2), torch.arange(2)))
