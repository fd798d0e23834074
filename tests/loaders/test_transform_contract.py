"""The contract of every transform that the registry finds; and toys that break a promise, which must be noticed.

Shape letters: B INRs, P parameters, K coordinates.
"""

import pytest
import torch

from inrzoo import registry
from inrzoo.inrs import INR
from inrzoo.inrs.siren import Siren
from inrzoo.loaders.transforms import Transform
from inrzoo.loaders.transforms._affine import Affine
from inrzoo.loaders.transforms.noise import Noise
from inrzoo.loaders.transforms.permute_neurons import PermuteNeurons
from inrzoo.loaders.transforms.rotate import Rotate
from inrzoo.loaders.transforms.translate import Translate

SIREN = Siren(in_features=2, out_features=3, hidden_features=8)
B, K = 12, 50


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights_of(inr: INR) -> torch.Tensor:
    """Equal INRs, so that what differs afterwards was drawn. (B, P), float64."""
    return (0.1 * torch.randn(inr.layout.num_params, generator=seeded(9), dtype=torch.float64)).expand(B, -1).clone()


def points(inr: INR) -> torch.Tensor:
    return torch.rand(K, inr.in_features, generator=seeded(8), dtype=torch.float64) * 2 - 1


def check_draws(transform: Transform, inr: INR) -> None:
    """A function of weights and generator; each INR has a draw of its own; the input stays as it was."""
    weights = weights_of(inr)
    before = weights.clone()
    changed = transform(weights, seeded())
    assert torch.equal(weights, before), "the input was changed"
    assert changed.shape == weights.shape and changed.dtype == weights.dtype and changed.isfinite().all()
    assert torch.equal(transform(weights, seeded()), changed), "other randomness than the generator's"
    assert not torch.equal(transform(weights, seeded(1)), changed), "the generator decides nothing"
    assert len(changed.unique(dim=0)) > 1, "all INRs have one draw"
    assert torch.equal(transform(weights.reshape(3, 4, -1), seeded()), changed.reshape(3, 4, -1))
    assert transform(weights.float(), seeded()).dtype == torch.float32


def check_function(transform: Transform, inr: INR) -> None:
    """The function stays exactly where the transform says so."""
    weights, coords = weights_of(inr), points(inr)
    changed = transform(weights, seeded())
    assert not torch.equal(changed, weights)
    difference = float((inr(changed, coords) - inr(weights, coords)).abs().max())
    assert (difference < 1e-9) == transform.same_function, difference


def check_motion(transform: Affine, inr: INR) -> None:
    """The moved function is f(g⁻¹(x)) for the g that was drawn, and moving by g⁻¹ brings the weights back."""
    weights, coords = weights_of(inr), points(inr)
    moved = transform(weights, seeded())
    matrix, shift = transform.draw(B, seeded())
    back = torch.linalg.inv(matrix)
    before = (coords - shift[:, None]) @ back.mT
    torch.testing.assert_close(inr(moved, coords), inr(weights, before), rtol=0, atol=1e-9)
    again = inr.transform_coords(moved, back, -(back @ shift[..., None])[..., 0])
    torch.testing.assert_close(again, weights, rtol=0, atol=1e-9)


def check(transform: Transform, inr: INR) -> None:
    check_draws(transform, inr)
    check_function(transform, inr)
    if isinstance(transform, Affine):
        check_motion(transform, inr)


@pytest.mark.parametrize("name", registry.names("transforms"))
def test_every_transform_keeps_the_contract(name):
    check(registry.make("transforms", {"name": name}, inr=SIREN), SIREN)


class ChangesItsInput(Noise):
    def __call__(self, weights, generator):
        return weights.copy_(super().__call__(weights, generator))


class DrawsFromTheGlobalGenerator(Noise):
    def __call__(self, weights, generator):
        return weights + torch.randn_like(weights)


class DrawsOnceForAll(Noise):
    def __call__(self, weights, generator):
        return weights + torch.randn(weights.shape[-1], generator=generator, dtype=torch.float64).to(weights.dtype)


class NoiseThatClaimsToKeepTheFunction(Noise):
    same_function = True


class PermutationThatClaimsNothing(PermuteNeurons):
    same_function = False


class PermutesOneTensor(PermuteNeurons):
    def __call__(self, weights, generator):
        parts = self.inr.layout.split(weights)
        order = torch.rand(parts["bias_0"].shape, generator=generator).argsort(-1)
        return self.inr.layout.join(parts | {"bias_0": parts["bias_0"].gather(-1, order)})


class TranslatesTheOtherWay(Translate):
    def __call__(self, weights, generator):
        matrix, shift = self.draw(weights.shape[:-1].numel(), generator)
        lead = weights.shape[:-1]
        return self.inr.transform_coords(weights, matrix.reshape(*lead, 2, 2), -shift.reshape(*lead, 2))


class RotatesRoughly(Rotate):
    def __call__(self, weights, generator):
        return super().__call__(weights, generator) * (1 + 1e-6)


@pytest.mark.parametrize(
    "toy, honest",
    [
        (ChangesItsInput, Noise),
        (DrawsFromTheGlobalGenerator, Noise),
        (DrawsOnceForAll, Noise),
        (NoiseThatClaimsToKeepTheFunction, Noise),
        (PermutationThatClaimsNothing, PermuteNeurons),
        (PermutesOneTensor, PermuteNeurons),
        (TranslatesTheOtherWay, Translate),
        (RotatesRoughly, Rotate),
    ],
)
def test_the_contract_notices_a_broken_promise(toy, honest):
    check(honest(inr=SIREN), SIREN)
    with pytest.raises(AssertionError):
        check(toy(inr=SIREN), SIREN)
