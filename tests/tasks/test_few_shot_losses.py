"""The heads of few-shot learning against closed forms and slow references."""

import math

import pytest
import torch

from inrzoo.tasks.losses import accuracy, log_probabilities, negative_log_likelihood


def simplex(ways: int) -> torch.Tensor:
    """Directions of a regular simplex: cosine 1 to itself, −1/(ways − 1) to the others."""
    return (torch.eye(ways) - 1 / ways).double()


@pytest.mark.parametrize("head", ["matching", "prototype"])
@pytest.mark.parametrize("ways, loss, probability", [(5, 0.764, 0.466), (10, 1.377, 0.252)])
@pytest.mark.parametrize("shots", [1, 5])
def test_perfect_features_reach_the_floor_that_temperature_one_has(ways, loss, probability, shots, head):
    """Solved episodes still cost 0.764 (5-way) and 1.377 (10-way): docs/derivations/few_shot.md#floor-of-the-loss."""
    target = torch.arange(ways).repeat_interleave(shots)
    support, query = simplex(ways)[target], 3 * simplex(ways)
    found = log_probabilities(support, query, target, ways, 1.0, head)
    assert float(negative_log_likelihood(found, torch.arange(ways))) == pytest.approx(loss, abs=5e-4)
    assert float(found.exp().diagonal().mean()) == pytest.approx(probability, abs=5e-4)
    exact = math.log(1 + (ways - 1) * math.exp(-1 / (ways - 1) - 1))
    assert float(negative_log_likelihood(found, torch.arange(ways))) == pytest.approx(exact, abs=1e-9)
    assert accuracy(found, torch.arange(ways)) == 1


def test_features_that_say_nothing_cost_the_logarithm_of_the_ways():
    target = torch.tensor([0, 0, 1, 2, 2])
    same = torch.ones(5, 4)
    found = log_probabilities(same, same[:2], target, 3, 10.0, "prototype")
    assert float(negative_log_likelihood(found, torch.tensor([0, 2]))) == pytest.approx(math.log(3))
    # Of a softmax over the support a class has the share of its members.
    found = log_probabilities(same, same[:1], target, 3, 10.0, "matching")
    torch.testing.assert_close(found.exp(), torch.tensor([[0.4, 0.2, 0.4]]))


def test_matching_equals_equation_2_entry_by_entry():
    generator = torch.Generator().manual_seed(0)
    support, query = torch.randn(7, 6, generator=generator), torch.randn(4, 6, generator=generator)
    target = torch.tensor([2, 0, 1, 1, 0, 2, 2])
    found = log_probabilities(support, query, target, 3, 4.0, "matching")
    for q in range(4):
        cosines = [float(torch.cosine_similarity(query[q], support[i], dim=0)) for i in range(7)]
        total = sum(math.exp(4 * c) for c in cosines)
        for label in range(3):
            share = sum(math.exp(4 * c) for c, y in zip(cosines, target.tolist(), strict=True) if y == label) / total
            assert float(found[q, label]) == pytest.approx(math.log(share), abs=1e-5)


def test_both_heads_are_one_with_one_shot_and_do_not_see_lengths():
    generator = torch.Generator().manual_seed(1)
    support, query = torch.randn(5, 6, generator=generator), torch.randn(8, 6, generator=generator)
    target = torch.tensor([3, 1, 4, 0, 2])
    matching = log_probabilities(support, query, target, 5, 10.0, "matching")
    torch.testing.assert_close(matching, log_probabilities(support, query, target, 5, 10.0, "prototype"))
    torch.testing.assert_close(matching, log_probabilities(7 * support, 0.1 * query, target, 5, 10.0, "matching"))
    torch.testing.assert_close(matching.exp().sum(dim=1), torch.ones(8))


def test_large_scales_do_not_overflow():
    found = log_probabilities(simplex(5).float(), simplex(5).float(), torch.arange(5), 5, 1e4, "matching")
    assert found.isfinite().all()
    assert accuracy(found, torch.arange(5)) == 1
