"""Every INR of a batch in an order of its own: the same as permuting them one by one."""

import numpy as np
import pytest
import torch

from inrzoo.weights import WeightLayout, WeightTensor

LAYOUT = WeightLayout(
    (
        WeightTensor("weight_0", (4, 2), ("hidden_0", "in")),
        WeightTensor("bias_0", (4,), ("hidden_0",)),
        WeightTensor("weight_1", (3, 4), ("hidden_1", "hidden_0")),
        WeightTensor("weight_2", (2, 3), ("out", "hidden_1")),
    )
)


def numbers(*lead: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(*lead, LAYOUT.num_params))


def orders_of_their_own(*lead: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {axis: rng.random((*lead, size)).argsort(-1) for axis, size in LAYOUT.neuron_axes.items()}


@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
@pytest.mark.parametrize("framework", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("axes", [("hidden_0",), ("hidden_1",), ("hidden_0", "hidden_1"), ()])
def test_equals_one_by_one(lead, framework, axes):
    weights, orders = numbers(*lead), {axis: orders_of_their_own(*lead)[axis] for axis in axes}
    together = LAYOUT.permute_each(framework(weights), {axis: framework(order) for axis, order in orders.items()})
    assert type(together) is type(framework(weights))
    for place in np.ndindex(lead):
        alone = LAYOUT.permute(weights[place], {axis: order[place] for axis, order in orders.items()})
        assert np.array_equal(together[place], alone)


def test_the_given_weights_stay():
    weights = numbers(5)
    LAYOUT.permute_each(weights, orders_of_their_own(5))
    assert np.array_equal(weights, numbers(5))


@pytest.mark.parametrize("framework", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize(
    "order",
    [
        np.tile([0, 1, 1], (5, 1)),  # a neuron twice
        np.tile([1, 2, 3], (5, 1)),
        np.tile([0, 1], (5, 1)),  # too few
        np.tile([0, 1, 2, 3], (5, 1)),  # too many
        np.tile([0, 1, 2], (4, 1)),  # for other INRs
        np.array([0, 1, 2]),  # one for all is `permute`
    ],
)
def test_orders_that_are_no_permutations_are_refused(order, framework):
    with pytest.raises(ValueError, match="given for 'hidden_1' are not permutations of 3 neurons"):
        LAYOUT.permute_each(framework(numbers(5)), {"hidden_1": framework(order)})


@pytest.mark.parametrize("axis", ["in", "out", "hidden_2"])
def test_fixed_and_absent_axes_are_refused(axis):
    with pytest.raises(ValueError, match=f"'{axis}' cannot be permuted; these can: hidden_0, hidden_1"):
        LAYOUT.permute_each(numbers(5), {axis: np.tile([0, 1], (5, 1))})
