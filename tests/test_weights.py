"""The layout: split and join invert each other, and a permutation index does what permuting each tensor does."""

import json

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
P = 8 + 4 + 12 + 6


def numbers(*lead: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(*lead, P))


@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
@pytest.mark.parametrize("framework", [np.asarray, torch.from_numpy])
def test_join_inverts_split(lead, framework):
    weights = framework(numbers(*lead))
    tensors = LAYOUT.split(weights)
    assert {name: tuple(part.shape) for name, part in tensors.items()} == {
        tensor.name: (*lead, *tensor.shape) for tensor in LAYOUT.tensors
    }
    joined = LAYOUT.join(tensors)
    assert type(joined) is type(weights)
    assert joined.shape == weights.shape
    assert (joined == weights).all()


def test_tensors_lie_one_behind_the_other_row_major():
    assert LAYOUT.num_params == P
    assert LAYOUT.offsets == {"weight_0": 0, "bias_0": 8, "weight_1": 12, "weight_2": 24}
    tensors = LAYOUT.split(np.arange(P))
    assert tensors["weight_0"].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert tensors["bias_0"].tolist() == [8, 9, 10, 11]
    assert tensors["weight_2"].tolist() == [[24, 25, 26], [27, 28, 29]]


def test_split_refuses_another_number_of_parameters():
    with pytest.raises(ValueError, match="29 parameters, the layout has 30"):
        LAYOUT.split(np.zeros((2, 29)))


def test_join_follows_names_not_the_order_given():
    tensors = LAYOUT.split(numbers())
    assert np.array_equal(LAYOUT.join(dict(reversed(tensors.items()))), numbers())


def test_axes_and_neuron_axes():
    assert LAYOUT.axes == {"hidden_0": 4, "in": 2, "hidden_1": 3, "out": 2}
    assert LAYOUT.neuron_axes == {"hidden_0": 4, "hidden_1": 3}


def test_permutation_equals_permuting_every_tensor_by_hand():
    first, second = np.array([2, 0, 3, 1]), np.array([1, 2, 0])
    by_hand = LAYOUT.split(numbers(5))
    by_hand["weight_0"] = by_hand["weight_0"][:, first, :]
    by_hand["bias_0"] = by_hand["bias_0"][:, first]
    by_hand["weight_1"] = by_hand["weight_1"][:, second][:, :, first]
    by_hand["weight_2"] = by_hand["weight_2"][:, :, second]
    orders = {"hidden_0": first, "hidden_1": second.tolist()}
    index = LAYOUT.permutation(orders)
    assert sorted(index) == list(range(P))
    assert np.array_equal(numbers(5)[:, index], LAYOUT.join(by_hand))
    assert np.array_equal(LAYOUT.permute(torch.from_numpy(numbers(5)), orders).numpy(), LAYOUT.join(by_hand))


def test_inverse_order_undoes_a_permutation():
    order = np.array([2, 0, 3, 1])
    there = LAYOUT.permute(numbers(), {"hidden_0": order})
    assert not np.array_equal(there, numbers())
    assert np.array_equal(LAYOUT.permute(there, {"hidden_0": np.argsort(order)}), numbers())


@pytest.mark.parametrize("axis", ["in", "out", "hidden_9"])
def test_only_neuron_axes_can_be_permuted(axis):
    with pytest.raises(ValueError, match=f"{axis}.*cannot be permuted; these can: hidden_0, hidden_1"):
        LAYOUT.permutation({axis: [1, 0]})


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 1, 2, 2], [1, 2, 3, 4], [0, 1, 2, 3, 4]])
def test_an_order_must_be_a_permutation(order):
    with pytest.raises(ValueError, match="not a permutation of 4 neurons"):
        LAYOUT.permutation({"hidden_0": order})


def test_one_axis_has_one_size():
    with pytest.raises(ValueError, match="axis 'hidden' of 'bias' has size 5, elsewhere 4"):
        WeightLayout((WeightTensor("weight", (4, 2), ("hidden", "in")), WeightTensor("bias", (5,), ("hidden",))))


def test_a_tensor_has_as_many_axes_as_sizes():
    with pytest.raises(ValueError):
        WeightLayout((WeightTensor("weight", (4, 2), ("hidden",)),))


def test_names_are_unique():
    with pytest.raises(ValueError, match="unique"):
        WeightLayout((WeightTensor("bias", (4,), ("hidden",)), WeightTensor("bias", (4,), ("hidden",))))


def test_json_holds_the_whole_layout():
    tables = json.loads(json.dumps(LAYOUT.to_json()))
    assert tables[2] == {"name": "weight_1", "shape": [3, 4], "axes": ["hidden_1", "hidden_0"], "offset": 12}
    assert WeightLayout.from_json(tables) == LAYOUT
