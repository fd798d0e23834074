"""Statistics: merged moments equal one float64 pass over everything, however it was cut.

Shape letters: N signals, S seeds, T snapshots, P parameters.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from inrzoo import stats
from inrzoo.stats import Moments
from inrzoo.store import Partition
from inrzoo.weights import WeightLayout, WeightTensor

N, S, T, P = 700, 2, 2, 7
LAYOUT = WeightLayout((WeightTensor("weight_0", (2, 2), ("out", "in")), WeightTensor("bias_0", (3,), ("hidden",))))


def numbers(*shape: int, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    return np.random.default_rng(0).normal(mean, std, shape).astype(np.float32)


def merged(parts: list[np.ndarray]) -> Moments:
    first, *rest = [Moments.from_weights(part) for part in parts]
    for moments in rest:
        first = first.merge(moments)
    return first


def assert_moments(moments: Moments, weights_NTP: np.ndarray, rtol: float = 1e-12) -> None:
    exact = weights_NTP.astype(np.float64)
    assert moments.count == len(exact)
    np.testing.assert_allclose(moments.mean, exact.mean(axis=0), rtol=rtol, atol=1e-14)
    np.testing.assert_allclose(moments.m2, exact.var(axis=0) * len(exact), rtol=rtol)


@pytest.mark.parametrize("cuts", [[1], [350], [256, 512], [0, 3, 3, 699], range(1, 700, 7), []])
def test_merged_parts_equal_two_passes_over_the_whole(cuts):
    weights_NTP = numbers(N, T, P, mean=0.3)
    assert_moments(merged(np.split(weights_NTP, [*cuts])), weights_NTP)


def test_order_and_grouping_of_merges_do_not_matter():
    weights_NTP = numbers(N, T, P, mean=0.3)
    parts = np.split(weights_NTP, [10, 300, 301, 650])
    a, b, c, d, e = (Moments.from_weights(part) for part in parts)
    forward = merged(parts)
    for other in (merged(parts[::-1]), a.merge(b.merge(c.merge(d.merge(e)))), e.merge(a).merge(d.merge(b)).merge(c)):
        assert other.count == forward.count
        np.testing.assert_allclose(other.mean, forward.mean, rtol=1e-12)
        np.testing.assert_allclose(other.m2, forward.m2, rtol=1e-12)


def test_a_large_mean_costs_no_precision():
    """E[x²] − E[x]² would lose four of these digits at least: mean²/std² is 1e12, float64 has 1e16."""
    weights_NTP = numbers(4000, 1, P, mean=1e4, std=1e-2)
    assert_moments(merged(np.split(weights_NTP, range(256, 4000, 256))), weights_NTP, rtol=1e-9)


def test_nothing_merged_with_nothing_is_nothing():
    nothing = Moments.from_weights(numbers(0, T, P))
    assert nothing.merge(nothing).count == 0
    assert_moments(nothing.merge(Moments.from_weights(numbers(5, T, P))), numbers(5, T, P))
    assert_moments(Moments.from_weights(numbers(5, T, P)).merge(nothing), numbers(5, T, P))


@pytest.fixture
def store():
    """Return a store for `compute`: 700 signals, the last 200 test, a fit in ten diverged, full of infinities."""
    weights_NSTP = numbers(N, S, T, P, mean=2.0)
    weights_NSTP *= np.array([1, 2, 3, 4, 50, 60, 70], dtype=np.float32)
    status_NS = np.random.default_rng(1).choice([1, 2, 3], size=(N, S), p=[0.6, 0.3, 0.1])
    weights_NSTP[status_NS == 3] = np.inf
    weights_NSTP[500:] = 1e6
    return SimpleNamespace(
        info=SimpleNamespace(split_names=("train", "validation", "test")),
        split=np.repeat([0, 2], [500, 200]).astype(np.uint8),
        usable=status_NS != 3,
        num_signals=N,
        num_seeds=S,
        partition=Partition(num_signals=N, chunk_rows=16, block_rows=32, shard_rows=288),
        layout=LAYOUT,
        weights=weights_NSTP,
    )


def training_inrs(store) -> np.ndarray:
    """Shape (INRs, T, P), float64: what the statistics are of, gathered in one piece."""
    return store.weights[:500][store.usable[:500]].astype(np.float64)


def test_per_parameter_statistics_are_of_good_fits_of_the_training_split(store):
    arrays, weights_NTP = stats.compute(store), training_inrs(store)
    np.testing.assert_allclose(arrays["mean"][0], weights_NTP.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(arrays["std"][0], weights_NTP.std(axis=0), rtol=1e-12)
    assert (arrays["count"][0] == len(weights_NTP)).all()
    for name in ("mean", "std", "count"):
        assert arrays[name][0].shape == (T, P)
        assert arrays[name][1] == ["step", "param"]


def test_per_tensor_statistics_are_over_all_entries(store):
    arrays, weights_NTP = stats.compute(store), training_inrs(store)
    for column, tensor in enumerate(LAYOUT.split(weights_NTP).values()):
        for step in range(T):
            entries = tensor[:, step].ravel()
            assert arrays["tensor_mean"][0][step, column] == pytest.approx(entries.mean(), rel=1e-12)
            assert arrays["tensor_std"][0][step, column] == pytest.approx(entries.std(), rel=1e-12)
            assert arrays["tensor_count"][0][step, column] == entries.size
    for name in ("tensor_mean", "tensor_std", "tensor_count"):
        assert arrays[name][0].shape == (T, 2)
        assert arrays[name][1] == ["step", "tensor"]


def test_all_signals_count_where_there_is_no_training_split(store):
    store.info.split_names = ("everything", "validation", "test")
    store.weights[500:] = 1.0
    assert (stats.compute(store)["count"][0] == store.usable.sum()).all()


def test_without_a_good_fit_there_is_no_mean(store):
    store.usable[:] = False
    arrays = stats.compute(store)
    for name in ("mean", "std", "tensor_mean", "tensor_std"):
        assert np.isnan(arrays[name][0]).all()
    assert (arrays["count"][0] == 0).all()
    assert (arrays["tensor_count"][0] == 0).all()


def test_threads_change_no_bit(store, monkeypatch):
    alone = stats.compute(store)
    monkeypatch.setattr(stats, "MANY_NUMBERS", 0)
    for name, (numbers_of_threads, _) in stats.compute(store).items():
        assert numbers_of_threads.tobytes() == alone[name][0].tobytes()
