"""`generator_for`: draws are a function of (seed, epoch, index, view), whoever makes them."""

import itertools

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from inrzoo.inrs.siren import Siren
from inrzoo.loaders.transforms import Compose, generator_for
from inrzoo.loaders.transforms.dropout import Dropout
from inrzoo.loaders.transforms.noise import Noise
from inrzoo.loaders.transforms.rotate import Rotate
from inrzoo.seeding import Stream

SIREN = Siren(in_features=2, out_features=1, hidden_features=8)
AUGMENT = Compose((Rotate(inr=SIREN), Noise(inr=SIREN), Dropout(p=0.1)))


class Copies(Dataset):
    """Twelve items that are all the same INR; what tells them apart is their augmentation alone."""

    def __init__(self, epoch=0, view=0):
        self.epoch, self.view = epoch, view
        self.weights = torch.from_numpy(SIREN.init(Stream("init", "test", 0)))

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return AUGMENT(self.weights, generator_for(0, self.epoch, index, self.view))


def load(dataset, workers, **options):
    return torch.cat(list(DataLoader(dataset, batch_size=2, num_workers=workers, **options)))


def test_workers_draw_what_one_process_draws():
    alone = load(Copies(), 0)
    assert torch.equal(load(Copies(), 2), alone)
    assert len(torch.unique(alone, dim=0)) == 12


def test_order_and_global_state_do_not_matter():
    alone = load(Copies(), 0)
    torch.manual_seed(1)
    assert torch.equal(load(Copies(), 2), alone)
    order = [7, 3, 11, 0, 5, 1, 2, 4, 6, 8, 9, 10]
    assert torch.equal(load(Copies(), 2, sampler=order), alone[order])


def test_global_state_is_not_advanced():
    before = torch.get_rng_state()
    Copies()[3]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("transform", AUGMENT.transforms)
def test_a_transform_goes_on_where_its_generator_stands(transform):
    """One generator twice: two draws. The same draws from two generators of one seed, others from another seed."""
    weights = Copies().weights
    generator, again, other = (torch.Generator().manual_seed(seed) for seed in (0, 0, 1))
    first, second = transform(weights, generator), transform(weights, generator)
    assert not torch.equal(first, second)
    assert torch.equal(transform(weights, again), first) and torch.equal(transform(weights, again), second)
    assert not torch.equal(transform(weights, other), first)


def test_epochs_and_views_differ():
    """Every item, in every epoch and view, is a different one; the same key gives the same one again."""
    items = torch.cat([load(Copies(epoch, view), 0) for epoch, view in itertools.product(range(3), range(2))])
    assert len(torch.unique(items, dim=0)) == 3 * 2 * 12
    assert torch.equal(Copies(2, 1)[5], items[5 * 12 + 5])


@pytest.mark.parametrize("place", range(4))
def test_every_word_of_the_key_counts(place):
    key = [3, 1, 4, 1]
    other = [word + (i == place) for i, word in enumerate(key)]
    assert not torch.equal(torch.rand(4, generator=generator_for(*key)), torch.rand(4, generator=generator_for(*other)))


def test_keys_are_kept_apart():
    """(1, 12) is not (11, 2): no two of these 10,000 keys have one seed, in the 32 bits that a CPU keeps either.

    Of n random 32-bit numbers n²/2³³ pairs agree: 0.01 expected.
    """
    keys = itertools.product([0, 1, 2, 10, 11, 12, 111, 112, 1111, 2**40], repeat=4)
    seeds = {generator_for(*key).initial_seed() % 2**32 for key in keys}
    assert len(seeds) == 10_000


def test_neighbours_are_independent():
    """First draws of 2,500 items: uniform, and without correlation with those of the next; std 1/√n."""
    first = torch.tensor([torch.rand((), generator=generator_for(0, 0, index)).item() for index in range(2500)])
    assert abs(first.mean() - 0.5) < 4 * (1 / 12 / 2500) ** 0.5
    assert abs(torch.corrcoef(torch.stack([first[:-1], first[1:]]))[0, 1]) < 4 / 2500**0.5


def test_draws_stay_what_they_are():
    """A run of today can be repeated by a later version."""
    assert generator_for(0, 0, 0).initial_seed() == 6813308029953886917
