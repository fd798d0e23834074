"""Anti-aliasing: the frequency bound is true and attained, penalties have the gradients they claim, projection keeps
its promise, and no INR feels another.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, H units.
"""

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import pytest
import torch

from inrzoo.choices import Regulariser, Status
from inrzoo.coords import grid, nyquist
from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, fit
from inrzoo.fit.antialias import AntiAlias, frequency_bound
from inrzoo.fit.metrics import mse
from inrzoo.fit.spectrum import out_of_band
from inrzoo.inrs import INR
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout, WeightTensor

PENALTIES = [name for name in get_args(Regulariser) if name != "projection"]
SIZES = (12, 10)
COORDS = torch.from_numpy(grid(SIZES))
NYQUIST = torch.from_numpy(nyquist(SIZES))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small products split over busy cores take a hundred times longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True, kw_only=True)
class SmallNet(INR):
    """A Fourier network without biases between filters: f(x) = w · (W (s₀) ⊙ s₁), s_i = sin(ω_i x + φ_i)."""

    units: int = 6

    @cached_property
    def layout(self):
        tensors = []
        for i in range(2):
            tensors.append(WeightTensor(f"omega_{i}", (self.units, self.in_features), (f"filter_{i}", "in")))
            tensors.append(WeightTensor(f"phi_{i}", (self.units,), (f"filter_{i}",)))
        tensors.append(WeightTensor("weight", (self.units, self.units), ("filter_1", "filter_0")))
        tensors.append(WeightTensor("last", (self.out_features, self.units), ("out", "filter_1")))
        return WeightLayout(tuple(tensors))

    def init(self, stream):
        bounds = {"omega": 10.0, "phi": math.pi, "weight": 0.5, "last": 0.5}
        parts = {}
        for tensor in self.layout.tensors:
            bound = bounds[tensor.name.split("_")[0]]
            parts[tensor.name] = stream.uniform(-bound, bound, tensor.size).reshape(tensor.shape)
        return self.layout.join(parts).astype(np.float32)

    def values(self, weights_BP, coords_BKD):
        parts, x = self.layout.split(weights_BP), coords_BKD.transpose(1, 2)
        first, second = (torch.sin(parts[f"omega_{i}"] @ x + parts[f"phi_{i}"][:, :, None]) for i in range(2))
        return (parts["last"] @ ((parts["weight"] @ first) * second)).transpose(1, 2)

    def canonicalise(self, weights):
        raise AssertionError("not used here")

    def transform_coords(self, weights, matrix, shift):
        raise AssertionError("not used here")

    def filter_frequencies(self, weights):
        parts = self.layout.split(weights)
        return [parts["omega_0"], parts["omega_1"]]


@dataclass(frozen=True, kw_only=True)
class Unbounded(SmallNet):
    """The same function by a family that does not say its frequencies."""

    def filter_frequencies(self, weights):
        return None


NET = SmallNet(in_features=2, out_features=1)
STARTS = torch.from_numpy(np.stack([NET.init(Stream("init", "test", 0, str(i))) for i in range(3)]))


def random_frequencies(lead=(3,), seed=0, scale=20.0):
    generator = torch.Generator().manual_seed(seed)
    return [
        scale * torch.randn(*lead, units, 2, generator=generator, dtype=torch.float64, requires_grad=True)
        for units in (5, 7)
    ]


def images():
    row_K1, col_K1 = COORDS[:, :1], COORDS[:, 1:]
    disc = 2.0 * ((row_K1**2 + col_K1**2) < 0.4) - 1.0
    checks = torch.sign(torch.sin(14 * row_K1) * torch.sin(11 * col_K1))
    return torch.stack([disc, checks, torch.sin(4 * row_K1 + 2 * col_K1)])


TARGETS = images()


def fit_images(which=slice(None), antialias=None, steps=60, **options):
    options = {"lr": 1e-2, "snapshots": [steps], "nyquist_D": NYQUIST, **options}
    return fit(FitProblem(NET, STARTS[which], COORDS, TARGETS[which], antialias=antialias, **options))


def antialias(name, weight=5.0, alpha=0.5):
    return AntiAlias(regulariser=name, weight=0.0 if name == "projection" else weight, alpha=alpha)


class TestBound:
    """No line of the spectrum lies above the bound, and the highest lies on it."""

    def test_by_hand(self):
        first = torch.tensor([[1.0, -5.0], [-3.0, 2.0]])
        second = torch.tensor([[0.5, 0.25], [-0.5, 7.0], [0.0, 0.0]])
        assert frequency_bound([first, second]).tolist() == [3.5, 12.0]

    def test_of_the_spectrum(self):
        """Whole numbers of periods, so that the transform has nothing but lines."""
        draw = np.random.default_rng(0)
        inr = SmallNet(in_features=1, out_features=1)
        for _ in range(5):
            parts = {tensor.name: draw.normal(size=tensor.shape) for tensor in inr.layout.tensors}
            cycles = [draw.integers(-9, 10, size=(6, 1)) for _ in range(2)]
            parts |= {f"omega_{i}": 2 * np.pi * cycles[i] for i in range(2)}
            weights = torch.from_numpy(inr.layout.join(parts))
            values = inr(weights, torch.arange(64, dtype=torch.float64)[:, None] / 64)[:, 0]
            lines = torch.fft.rfft(values).abs()
            highest = int(torch.nonzero(lines > 1e-9 * lines.max()).max())
            bound = frequency_bound(inr.filter_frequencies(weights)) / (2 * np.pi)
            assert highest == round(float(bound))

    def test_a_network_below_nyquist_has_nothing_out_of_band(self):
        """Two Hann bins (2π) below; and one far above has."""
        fine = torch.from_numpy(grid(SIZES, finer=4))
        shares = []
        for share in (1.0, 3.0):
            weights, limit = STARTS.clone(), share * NYQUIST.float() - 2 * math.pi
            for omega in NET.filter_frequencies(weights):
                omega.mul_((limit / 2 / omega.abs().amax(dim=-2))[:, None, :])
            torch.testing.assert_close(frequency_bound(NET.filter_frequencies(weights)), limit.expand(3, 2))
            shares.append(out_of_band(NET(weights, fine), SIZES))
        assert (shares[0] < 1e-3).all()
        assert (shares[1] > 0.1).all()

    def test_fit_reports_that_of_every_snapshot(self):
        fitted = fit_images(snapshots=[0, 10, 30])
        assert (fitted.bound_BTD.shape, fitted.bound_BTD.dtype) == ((3, 3, 2), torch.float32)
        assert not fitted.bound_BTD.requires_grad
        for position in range(3):
            bound = frequency_bound(NET.filter_frequencies(fitted.weights_BTP[:, position]))
            assert torch.equal(fitted.bound_BTD[:, position], bound)
        assert not torch.equal(fitted.bound_BTD[:, 0], fitted.bound_BTD[:, 2])

    def test_fit_reports_none_where_there_is_none(self):
        assert (
            fit(
                FitProblem(Unbounded(in_features=2, out_features=1), STARTS, COORDS, TARGETS, lr=1e-2, snapshots=[1])
            ).bound_BTD
            is None
        )


class TestPenalties:
    """What each penalty is worth, and that its gradient is its derivative."""

    def test_by_hand(self):
        frequencies = [torch.tensor([[[1.0, -5.0], [-3.0, 2.0]]]), torch.tensor([[[0.5, -7.0]]])]
        limit = torch.tensor([2.5, 20.0])

        def worth(name, alpha=1.0):
            return float(antialias(name, alpha=alpha).penalty(frequencies, limit)[0])

        assert worth("linf") == 5.0 + 7.0
        assert worth("axis_linf") == 3.5 + 12.0
        assert worth("l1") == 11.0 + 7.5
        assert worth("hinge") == 1.0
        assert worth("hinge", alpha=0.2) == 3.0**2 + 8.0**2
        smooth = (1 + 3**16) ** (1 / 16) + (5**16 + 2**16) ** (1 / 16) + 0.5 + 7.0
        assert worth("smooth_max") == pytest.approx(smooth, rel=1e-6)
        l0 = 1 / 2 + 25 / 26 + 9 / 10 + 4 / 5 + 0.25 / 1.25 + 49 / 50
        assert worth("l0_surrogate") == pytest.approx(l0, rel=1e-6)
        assert worth("projection") == 0.0

    @pytest.mark.parametrize("name", PENALTIES)
    def test_gradients_are_finite_differences(self, name):
        frequencies = random_frequencies()
        loss = antialias(name, alpha=0.5)
        assert (loss.penalty(frequencies, NYQUIST) > 0).all()
        assert torch.autograd.gradcheck(lambda *filters: loss.penalty(filters, NYQUIST), frequencies)

    @pytest.mark.parametrize("name", PENALTIES)
    def test_leading_dimensions_are_inrs(self, name):
        frequencies = random_frequencies(lead=(2, 3))
        penalty = antialias(name).penalty(frequencies, NYQUIST)
        assert penalty.shape == (2, 3)
        alone = antialias(name).penalty([frequency[1, 2] for frequency in frequencies], NYQUIST)
        torch.testing.assert_close(penalty[1, 2], alone)

    def test_smooth_max_of_large_and_zero_frequencies_is_finite(self):
        """300^16 is beyond float32."""
        for scale, worth in [(300.0, 4 * 300 * 4 ** (1 / 16)), (0.0, 0.0)]:
            frequencies = [torch.full((1, 4, 2), scale, requires_grad=True) for _ in range(2)]
            penalty = antialias("smooth_max").penalty(frequencies, NYQUIST)
            penalty.sum().backward()
            assert penalty.item() == pytest.approx(worth)
            assert frequencies[0].grad.isfinite().all()

    def test_hinge_is_exactly_nothing_within_the_limit(self):
        frequencies = random_frequencies(scale=1.0)
        limit = frequency_bound(frequencies).detach().amax(dim=0)  # one INR of each axis touches it
        penalty = antialias("hinge", alpha=1.0).penalty(frequencies, limit)
        gradients = torch.autograd.grad(penalty.sum(), frequencies)
        assert penalty.tolist() == [0.0, 0.0, 0.0]
        assert all((gradient == 0).all() for gradient in gradients)

    def test_a_hinge_that_never_closes_changes_no_bit(self):
        assert torch.equal(fit_images(antialias=antialias("hinge", alpha=50.0)).weights_BTP, fit_images().weights_BTP)

    def test_the_weight_is_in_units_of_the_summed_loss(self):
        """Paper eq. 2 + λ eq. 9, divided by the number of values, is what is differentiated: three channels."""
        inr = SmallNet(in_features=2, out_features=3)
        weights = torch.from_numpy(np.stack([inr.init(Stream("init", "three", 0, str(i))) for i in range(2)])).double()
        weights.requires_grad_()
        targets = torch.zeros(2, len(COORDS), 3, dtype=torch.float64)
        squares = (inr(weights, COORDS.double()) - targets).square().sum(dim=(1, 2))
        loss = antialias("axis_linf", weight=0.7)
        summed = squares + 0.7 * frequency_bound(inr.filter_frequencies(weights)).sum(dim=-1)
        ours = mse(inr(weights, COORDS.double()), targets) + loss.addend(inr, weights, NYQUIST, targets[0].numel())
        torch.testing.assert_close(ours, summed / (len(COORDS) * 3))

    def test_fit_takes_the_gradient_of_that_sum(self):
        """Adam's first step is lr times the sign of the gradient: a weight that outweighs the loss decides them."""
        fitted = fit_images(antialias=antialias("l1", weight=1e6), steps=1)
        for start, end in zip(
            NET.filter_frequencies(STARTS), NET.filter_frequencies(fitted.weights_BTP[:, 0]), strict=True
        ):
            torch.testing.assert_close(end, start - 1e-2 * start.sign(), rtol=0, atol=1e-5)
        plain = fit_images(steps=1)
        others = torch.ones(NET.layout.num_params, dtype=torch.bool)
        for name in ("omega_0", "omega_1"):
            others[NET.layout.offsets[name] : NET.layout.offsets[name] + 12] = False
        assert torch.equal(fitted.weights_BTP[..., others], plain.weights_BTP[..., others])

    def test_fit_counts_the_values_of_all_channels(self):
        """Three channels: the first step is Adam's on the summed loss plus λ times the penalty (it ignores scale)."""
        inr = SmallNet(in_features=2, out_features=3)
        starts = torch.from_numpy(np.stack([inr.init(Stream("init", "three", 0, str(i))) for i in range(2)]))
        targets = torch.linspace(-1, 1, len(COORDS))[None, :, None].expand(2, -1, 3)
        weights = starts.clone().requires_grad_()
        adam = torch.optim.Adam([weights], lr=1e-2)
        for _ in range(20):
            adam.zero_grad()
            squares = (inr(weights, COORDS) - targets).square().sum()
            (squares + 2.0 * frequency_bound(inr.filter_frequencies(weights)).sum()).backward()
            adam.step()
        options = {"lr": 1e-2, "snapshots": [20], "nyquist_D": NYQUIST}
        fitted = fit(FitProblem(inr, starts, COORDS, targets, antialias=antialias("axis_linf", weight=2.0), **options))
        torch.testing.assert_close(fitted.weights_BTP[:, 0], weights.detach(), rtol=0, atol=1e-4)

    @pytest.mark.parametrize("name", PENALTIES)
    def test_each_lowers_what_it_measures(self, name):
        plain, held = fit_images(), fit_images(antialias=antialias(name, weight=20.0))
        penalties = [
            antialias(name).penalty(NET.filter_frequencies(fitted.weights_BTP[:, 0]), NYQUIST)
            for fitted in (plain, held)
        ]
        assert (penalties[1] < penalties[0]).all()

    @pytest.mark.parametrize("name", get_args(Regulariser))
    def test_what_is_reported_is_the_squared_error_alone(self, name):
        fitted = fit_images(antialias=antialias(name))
        torch.testing.assert_close(fitted.loss_BT[:, 0], mse(NET(fitted.weights_BTP[:, 0], COORDS), TARGETS))
        torch.testing.assert_close(fitted.psnr_BT[:, 0], 10 * torch.log10(4 / fitted.loss_BT[:, 0]))


class TestProjection:
    """The bound holds after every step, and costs nothing where it holds anyway."""

    @pytest.mark.parametrize("alpha", [0.3, 0.8])
    def test_guarantee(self, alpha):
        limit = alpha * NYQUIST.float()
        fitted = fit_images(antialias=antialias("projection", alpha=alpha), snapshots=[0, 1, 2, 40, 80])
        assert (fitted.bound_BTD[:, 0] > limit).any()
        assert (fitted.bound_BTD[:, 1:] <= limit).all()
        assert (fitted.bound_BTD[:, 1:] > 0.9 * limit).any()  # and not by making everything slow

    def test_each_axis_has_its_own_limit(self):
        """Rows resolve nothing, columns everything."""
        fitted = fit_images(antialias=antialias("projection", alpha=1.0), nyquist_D=torch.tensor([0.1, 1e6]))
        assert (fitted.bound_BTD[:, -1, 0] <= 0.1).all()
        assert (fitted.bound_BTD[:, -1, 1] > 10).all()

    def test_scales_every_unit_alike_and_nothing_else(self):
        weights = STARTS.clone()
        antialias("projection", alpha=0.3).project_(NET, weights, NYQUIST.float(), torch.zeros(3, dtype=torch.bool))
        before, after = NET.layout.split(STARTS), NET.layout.split(weights)
        bound = frequency_bound(NET.filter_frequencies(STARTS))
        expected = (0.3 * NYQUIST.float() / bound).clamp(max=1.0)
        for name in before:
            scale = expected[:, None, :] if name.startswith("omega") else torch.ones(())
            torch.testing.assert_close(after[name], before[name] * scale, rtol=2e-6, atol=0)
        assert all(torch.equal(after[name], before[name]) for name in before if not name.startswith("omega"))

    def test_twice_is_once(self):
        """Also where rounding is worst: many INRs, limits of all sizes."""
        inrs = torch.from_numpy(np.stack([NET.init(Stream("init", "many", 0, str(i))) for i in range(500)]))
        for limit in (torch.tensor([0.1, 7.3]), torch.tensor([3.7, 1.1])):
            weights, still = inrs.clone(), torch.zeros(500, dtype=torch.bool)
            antialias("projection", alpha=1.0).project_(NET, weights, limit, still)
            assert (frequency_bound(NET.filter_frequencies(weights)) <= limit).all()
            again = weights.clone()
            antialias("projection", alpha=1.0).project_(NET, again, limit, still)
            assert torch.equal(again, weights)

    def test_below_the_limit_no_bit_changes(self):
        free = fit_images(antialias=antialias("projection", alpha=50.0))
        assert torch.equal(free.weights_BTP, fit_images().weights_BTP)

    def test_an_axis_that_resolves_nothing(self):
        fitted = fit_images(antialias=antialias("projection"), nyquist_D=torch.tensor([0.0, 10.0]), snapshots=[1, 5])
        assert fitted.bound_BTD[..., 0].tolist() == [[0.0, 0.0]] * 3
        assert fitted.weights_BTP.isfinite().all()


@pytest.mark.parametrize("name", get_args(Regulariser))
class TestStrangers:
    """A regularised INR is the same in every batch, and left alone when it has stopped."""

    def test_neighbours_do_not_matter(self, name):
        together = fit_images(antialias=antialias(name))
        for index in range(3):
            alone = fit_images(slice(index, index + 1), antialias=antialias(name))
            torch.testing.assert_close(together.weights_BTP[index], alone.weights_BTP[0], rtol=0, atol=2e-5)
            torch.testing.assert_close(together.bound_BTD[index], alone.bound_BTD[0], rtol=0, atol=2e-5)

    def test_a_neighbour_that_is_not_finite_does_not_matter(self, name):
        starts = STARTS.clone()
        starts[1, 0] = torch.nan
        options = {"lr": 1e-2, "snapshots": [30], "antialias": antialias(name), "nyquist_D": NYQUIST}
        fitted = fit(FitProblem(NET, starts, COORDS, TARGETS, **options))
        healthy = fit(FitProblem(NET, STARTS, COORDS, TARGETS, **options))
        assert torch.equal(fitted.weights_BTP[[0, 2]], healthy.weights_BTP[[0, 2]])
        assert fitted.status_B[1] == Status.DIVERGED
        torch.testing.assert_close(fitted.weights_BTP[1, 0], starts[1], rtol=0, atol=0, equal_nan=True)

    def test_a_stopped_inr_is_not_moved(self, name):
        """One start is good enough although its bound is not; its neighbours go on."""
        targets = TARGETS.clone()
        targets[1] = NET(STARTS[1], COORDS)
        options = {"lr": 1e-2, "snapshots": [30], "antialias": antialias(name), "nyquist_D": NYQUIST}
        fitted = fit(FitProblem(NET, STARTS, COORDS, targets, stop_psnr=60.0, **options))
        assert fitted.steps_BT.tolist() == [[30], [0], [30]]
        assert torch.equal(fitted.weights_BTP[1, 0], STARTS[1])
        assert (frequency_bound(NET.filter_frequencies(STARTS[1])) > 0.5 * NYQUIST).any()
        unstopped = fit(FitProblem(NET, STARTS, COORDS, targets, **options))
        assert torch.equal(fitted.weights_BTP[[0, 2]], unstopped.weights_BTP[[0, 2]])
        assert not torch.equal(unstopped.weights_BTP[1, 0], STARTS[1])


class TestRefused:
    """Settings that mean nothing are said to."""

    @pytest.mark.parametrize("steps", [0, 1])
    def test_an_inr_without_a_bound(self, steps):
        inr = Unbounded(in_features=2, out_features=1)
        with pytest.raises(
            InrzooError, match=r"Unbounded has no frequency bound; anti-aliasing needs a mult.* gabor_net"
        ):
            fit(
                FitProblem(
                    inr,
                    STARTS,
                    COORDS,
                    TARGETS,
                    lr=1e-2,
                    snapshots=[steps],
                    antialias=antialias("hinge"),
                    nyquist_D=NYQUIST,
                )
            )

    @pytest.mark.parametrize("given", [None, NYQUIST[:1]])
    def test_no_nyquist(self, given):
        with pytest.raises(ValueError, match="nyquist_D, one frequency for each of 2 coordinates"):
            fit_images(antialias=antialias("hinge"), nyquist_D=given)

    @pytest.mark.parametrize(
        "fields, message",
        [
            ({"regulariser": "l2", "weight": 1.0}, "no regulariser 'l2'; there are: hinge, .*projection"),
            ({}, "weight = 0.0 is not allowed; hinge needs one above 0"),
            ({"weight": -1.0}, "above 0"),
            ({"weight": math.inf}, "above 0"),
            ({"regulariser": "projection", "weight": 1.0}, "projection has no weight"),
            ({"weight": 1.0, "alpha": 0.0}, "alpha = 0.0"),
            ({"weight": 1.0, "alpha": math.nan}, "alpha = nan"),
        ],
    )
    def test_impossible_fields(self, fields, message):
        with pytest.raises(InrzooError, match=message):
            AntiAlias(**fields)

    def test_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            antialias("hinge").weight = 2.0
