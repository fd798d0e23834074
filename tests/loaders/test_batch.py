"""Batches are mappings and pytrees, and a DataLoader takes apart and puts together what it reads.

Shape letters: B INRs of a batch, P parameters.
"""

import importlib.util
import pickle
import subprocess
import sys

import pytest
import torch
from torch.utils import _pytree
from torch.utils.data import DataLoader, Subset, default_collate

import inrzoo
from inrzoo.loaders import Episodes, Pairs, WeightBatch

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

NAMES = ["weights", "label", "labels", "signal", "seed", "step"]


def leaves(batch):
    return _pytree.tree_leaves(batch)


def same(one, other):
    assert type(one) is type(other)
    for mine, its in zip(leaves(one), leaves(other), strict=True):
        assert torch.equal(mine, its)


@pytest.fixture
def batches(made):
    """One of each kind."""
    pairs = Pairs(inrzoo.load(made))
    return {
        "weights": inrzoo.load(made)[2:5],
        "with targets": inrzoo.load(made, signals=True)[[3, 1]],
        "one": inrzoo.load(made)[7],
        "pairs": pairs[:3],
        "one pair": pairs[0],
        "episode": Episodes(inrzoo.load(made), ways=2, shots=1, queries=2)[0],
    }


KINDS = ("weights", "with targets", "one", "pairs", "one pair", "episode")


# --- mappings ----------------------------------------------------------------------------------------------------


def test_columns_are_those_of_the_attributes(made):
    batch = inrzoo.load(made, signals=True)[:4]
    assert list(batch) == list(batch.keys()) == list(dict(batch)) == [*NAMES, "targets"]
    assert all(batch[name] is getattr(batch, name) for name in batch)
    assert batch["label"] is batch["labels"]["class"]
    assert (lambda *, weights, label, **others: (weights, label, len(others)))(**batch) == (
        batch.weights,
        batch.label,
        len(NAMES) - 1,
    )
    assert len(batch) == 4 and len(batch.keys()) == len(batch.values()) == len(batch.items()) == len(NAMES) + 1


def test_a_column_that_was_not_asked_for_is_absent(made):
    batch = inrzoo.load(made)[:4]
    assert "targets" not in batch and batch.targets is None and batch.get("targets", 7) == 7
    with pytest.raises(KeyError, match="'values' is no column of this WeightBatch; there are: weights, label,"):
        batch["values"]
    with pytest.raises(KeyError, match="0 is no column"):
        batch[0]


@pytest.mark.parametrize("kind", KINDS)
def test_its_type_makes_it_again_from_a_mapping(batches, kind):
    batch = batches[kind]
    same(type(batch)(dict(batch)), batch)
    same(type(batch)(batch), batch)
    same(pickle.loads(pickle.dumps(batch)), batch)


def test_a_mapping_with_another_column_or_without_one_is_refused(made):
    batch = inrzoo.load(made)[:4]
    with pytest.raises(TypeError, match="'colour'"):
        WeightBatch({**batch, "colour": batch.seed})
    with pytest.raises(TypeError, match="'weights'"):
        WeightBatch({name: batch[name] for name in NAMES[1:]})


# --- pytrees -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_torch_pytree_has_every_tensor_once(batches, kind):
    batch = batches[kind]
    moved = []
    batch.map(lambda tensor: moved.append(tensor) or tensor)
    assert [id(leaf) for leaf in leaves(batch)] == [id(tensor) for tensor in moved]
    same(_pytree.tree_map(lambda tensor: tensor, batch), batch)
    keys = [_pytree.keystr(key) for key, _ in _pytree.tree_flatten_with_path(batch)[0]]
    assert len(set(keys)) == len(keys) and {"one pair": "['first']['weights']"}.get(kind, keys[0]) == keys[0]


def test_a_pytree_may_hold_anything(made):
    shapes = _pytree.tree_map(lambda tensor: tuple(tensor.shape), inrzoo.load(made)[:4])
    assert shapes.weights == (4, 15) and shapes.label == (4,)
    assert "tuple" in repr(shapes)


IN_JAX = """
import pickle, sys
import numpy as np
from torch.utils._pytree import tree_leaves

assert "jax" not in sys.modules
pickled = open(sys.argv[1], "rb").read()
assert "weights" in repr(pickle.loads(pickled))
import jax
for name, batch in pickle.loads(pickled).items():
    assert len(jax.tree.leaves(batch)) == len(tree_leaves(batch)), name
    arrays = jax.tree.map(lambda tensor: jax.numpy.asarray(tensor.numpy()), batch)
    assert type(arrays) is type(batch) and list(arrays) == list(batch)
    doubled = jax.jit(lambda tree: jax.tree.map(lambda array: 2 * array, tree))(arrays)
    assert type(doubled) is type(batch) and "float32" in repr(doubled)
    for twice, tensor in zip(jax.tree.leaves(doubled), tree_leaves(batch), strict=True):
        np.testing.assert_array_equal(twice, 2 * tensor.numpy())
    print(name, jax.tree_util.keystr(jax.tree_util.tree_leaves_with_path(batch)[0][0]))
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_jax_pytrees_have_every_tensor_once(batches, tmp_path):
    """In a process of its own, as forks of a process with jax are warned of."""
    (tmp_path / "batches").write_bytes(pickle.dumps(batches))
    command = [sys.executable, "-c", IN_JAX, str(tmp_path / "batches")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "weights ['weights']",
        "with targets ['weights']",
        "one ['weights']",
        "pairs ['first']['weights']",
        "one pair ['first']['weights']",
        "episode ['support']['weights']",
    ]


# --- collating ---------------------------------------------------------------------------------------------------


def test_single_inrs_collate_to_the_batch_of_them(made):
    dataset = inrzoo.load(made, signals=True)
    numbers = [5, 0, 17]
    same(default_collate([dataset[number] for number in numbers]), dataset[numbers])
    same(default_collate([dataset[3]]), dataset[[3]])
    pairs = Pairs(inrzoo.load(made))
    same(default_collate([pairs[number] for number in numbers]), pairs[numbers])


def test_batches_still_join(made):
    dataset = inrzoo.load(made)
    same(default_collate([dataset[[5, 0]], dataset[[17]]]), dataset[[5, 0, 17]])


def test_iterating_a_dataset_gives_single_inrs(made):
    dataset = inrzoo.load(made, split="test")
    items = list(dataset)
    assert len(items) == len(dataset)
    same(default_collate(items), dataset[:])


@pytest.mark.parametrize("part", [False, True])
def test_a_collate_fn_of_the_user_gets_single_inrs(made, part):
    dataset = inrzoo.load(made, split="test")
    numbers = list(range(0, len(dataset), 2)) if part else list(range(len(dataset)))
    loader = DataLoader(
        Subset(dataset, numbers) if part else dataset,
        batch_size=4,
        collate_fn=lambda items: (len(items), torch.stack([item["weights"] for item in items])),
    )
    counts, weights = zip(*loader, strict=True)
    assert sum(counts) == len(numbers) and set(counts[:-1]) == {4}
    assert torch.equal(torch.cat(weights), dataset[numbers].weights)


def test_the_default_collation_copies_nothing(made):
    dataset = inrzoo.load(made)
    items = dataset.__getitems__([1, 2, 3])
    assert default_collate(items) is items.batch
    assert [int(item.signal) for item in items[1:]] == dataset[[2, 3]].signal.tolist()
