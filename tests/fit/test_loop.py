"""The reference engine: one INR in a batch is fitted as if it were alone, with plain PyTorch.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, T snapshots.
"""

import numpy as np
import pytest
import torch
from torch import nn

from inrzoo.choices import Status
from inrzoo.coords import grid
from inrzoo.fit import FitProblem, fit
from inrzoo.fit.batches import batch_size
from inrzoo.inrs.siren import Siren
from inrzoo.seeding import Stream

LR = 5e-4


class SineNetwork(nn.Module):
    """2/32/32/1 as in vsitzmann/siren."""

    def __init__(self):
        super().__init__()
        self.linears = nn.ModuleList([nn.Linear(2, 32), nn.Linear(32, 32), nn.Linear(32, 1)])

    def forward(self, hidden):
        for linear in self.linears[:-1]:
            hidden = torch.sin(30 * linear(hidden))
        return self.linears[-1](hidden)


def fit_plainly(start_P, coords_KD, target_KC, steps):
    """The weights and the mean squared error after `steps` steps of Adam on one network."""
    network = SineNetwork()
    nn.utils.vector_to_parameters(start_P.clone(), network.parameters())
    adam = torch.optim.Adam(network.parameters(), lr=LR)
    for _ in range(steps):
        adam.zero_grad()
        nn.functional.mse_loss(network(coords_KD), target_KC).backward()
        adam.step()
    with torch.no_grad():
        loss = nn.functional.mse_loss(network(coords_KD), target_KC)
        return nn.utils.parameters_to_vector(network.parameters()), float(loss)


def images(coords_KD):
    """A blurred pattern, a wave and a disc in [-1, 1], of 30 to 55 dB after 1,000 steps."""
    row_K1, col_K1 = coords_KD[:, :1], coords_KD[:, 1:]
    pattern = torch.tanh(3 * torch.sin(9 * row_K1) * torch.sin(11 * col_K1**2))
    wave = torch.tanh(4 * torch.sin(9 * row_K1 + 4 * col_K1) * torch.cos(9 * row_K1 * col_K1))
    disc = 2.0 * ((row_K1**2 + col_K1**2) < 0.4) - 1.0
    return torch.stack([pattern, wave, disc])


SIREN = Siren(in_features=2, out_features=1)
COORDS = torch.from_numpy(grid((16, 16)))
TARGETS = images(COORDS)
STARTS = torch.from_numpy(np.stack([SIREN.init(Stream("init", "test", 0, str(i))) for i in range(3)]))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As a worker has it; more would only wait for each other on products this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fit_images(which=slice(None), *, starts=STARTS, targets=TARGETS, snapshots=(100,), lr=LR, **options):
    return fit(FitProblem(SIREN, starts[which], COORDS, targets[which], lr=lr, snapshots=snapshots, **options))


def test_five_steps_equal_plain_pytorch():
    fitted = fit_images(snapshots=[5])
    for start, target, weights_TP in zip(STARTS, TARGETS, fitted.weights_BTP, strict=True):
        plain, _ = fit_plainly(start, COORDS, target, 5)
        torch.testing.assert_close(weights_TP[0], plain, rtol=0, atol=5e-6)
        assert (plain - start).abs().mean() > 1e-3


@pytest.mark.parametrize(("side", "steps"), [(16, 100), pytest.param(32, 1000, marks=pytest.mark.slow)])
def test_many_steps_reach_the_psnr_of_plain_pytorch(side, steps):
    coords_KD = torch.from_numpy(grid((side, side)))
    targets_BKC = images(coords_KD)
    fitted = fit(FitProblem(SIREN, STARTS, coords_KD, targets_BKC, lr=LR, snapshots=[steps]))
    for index, (start, target) in enumerate(zip(STARTS, targets_BKC, strict=True)):
        _, loss = fit_plainly(start, coords_KD, target, steps)
        plain_psnr = 10 * np.log10(2**2 / loss)
        assert 20 < plain_psnr < 55
        assert float(fitted.psnr_BT[index, 0]) == pytest.approx(plain_psnr, abs=0.05)
    assert fitted.status_B.tolist() == [Status.OK] * 3


def test_shapes_and_types():
    fitted = fit_images(snapshots=[2, 5])
    assert {name: (tuple(part.shape), part.dtype) for name, part in vars(fitted).items() if part is not None} == {
        "weights_BTP": ((3, 2, SIREN.layout.num_params), torch.float32),
        "loss_BT": ((3, 2), torch.float32),
        "psnr_BT": ((3, 2), torch.float32),
        "steps_BT": ((3, 2), torch.int32),
        "status_B": ((3,), torch.uint8),
    }
    assert not any(part.requires_grad for part in vars(fitted).values() if part is not None)
    assert fitted.steps_BT.tolist() == [[2, 5]] * 3


def test_a_batch_equals_one_by_one():
    together = fit_images()
    for index in range(3):
        alone = fit_images(slice(index, index + 1))
        torch.testing.assert_close(together.weights_BTP[index], alone.weights_BTP[0], rtol=0, atol=2e-5)
        torch.testing.assert_close(together.psnr_BT[index], alone.psnr_BT[0], rtol=0, atol=0.01)


def test_more_inrs_than_one_batch_holds():
    size = batch_size(SIREN, 4)
    coords_KD, number = torch.from_numpy(grid((2, 2))), size + 3
    starts_BP = STARTS[0] + torch.linspace(0, 0.01, number)[:, None]
    targets_BKC = torch.linspace(-1, 1, number)[:, None, None].expand(number, 4, 1)
    fitted = fit(FitProblem(SIREN, starts_BP, coords_KD, targets_BKC, lr=LR, snapshots=[20]))
    last = fit(FitProblem(SIREN, starts_BP[size:], coords_KD, targets_BKC[size:], lr=LR, snapshots=[20]))
    assert torch.equal(fitted.weights_BTP[size:], last.weights_BTP)


def test_starts_are_not_changed():
    starts = STARTS.clone()
    fit_images(starts=starts, snapshots=[3])
    assert torch.equal(starts, STARTS)


def test_quality_is_that_of_the_snapshot_itself():
    fitted = fit_images(snapshots=[0, 30, 100])
    for position in range(3):
        values_BKC = SIREN(fitted.weights_BTP[:, position], COORDS)
        loss_B = (values_BKC - TARGETS).square().mean(dim=(1, 2))
        torch.testing.assert_close(fitted.loss_BT[:, position], loss_B)
        torch.testing.assert_close(fitted.psnr_BT[:, position], 10 * torch.log10(4 / loss_B))


def test_a_snapshot_is_the_end_of_a_shorter_fit():
    fitted = fit_images(snapshots=[0, 1, 30, 100])
    assert torch.equal(fitted.weights_BTP[:, 0], STARTS)
    for position, steps in enumerate([0, 1, 30, 100]):
        shorter = fit_images(snapshots=[steps])
        assert torch.equal(fitted.weights_BTP[:, position], shorter.weights_BTP[:, 0])
        assert torch.equal(fitted.psnr_BT[:, position], shorter.psnr_BT[:, 0])


@pytest.mark.parametrize("snapshots", [[], [-1, 5], [5, 5], [5, 3]])
def test_bad_snapshots(snapshots):
    with pytest.raises(ValueError, match="must ascend"):
        fit_images(snapshots=snapshots)


STOP, SNAPSHOTS = 24.0, (0, 25, 50, 75, 100)


@pytest.fixture(scope="module")
def stopped():
    return fit_images(snapshots=SNAPSHOTS, stop_psnr=STOP)


@pytest.fixture(scope="module")
def unstopped():
    return fit_images(snapshots=SNAPSHOTS)


class TestEarlyStop:
    """Some INRs of a batch reach the stop; they stand still from then on, and nobody else notices."""

    def test_some_stop_and_some_do_not(self, stopped):
        assert sorted(set(stopped.status_B.tolist())) == [Status.OK, Status.EARLY_STOP]

    def test_a_stopped_inr_is_good_enough_and_one_step_earlier_was_not(self, stopped):
        for index in np.flatnonzero(stopped.status_B == Status.EARLY_STOP):
            assert float(stopped.psnr_BT[index, -1]) >= STOP - 1e-4
            steps = int(stopped.steps_BT[index, -1])
            assert 0 < steps < SNAPSHOTS[-1]
            before = fit_images(snapshots=[steps - 1, steps])
            assert float(before.psnr_BT[index, 0]) < STOP
            assert torch.equal(stopped.weights_BTP[index, -1], before.weights_BTP[index, 1])

    def test_a_stopped_inr_stands_still(self, stopped, unstopped):
        for index in np.flatnonzero(stopped.status_B == Status.EARLY_STOP):
            end = int(stopped.steps_BT[index, -1])
            assert stopped.steps_BT[index].tolist() == [min(step, end) for step in SNAPSHOTS]
            for position in np.flatnonzero(np.array(SNAPSHOTS) >= end):
                assert torch.equal(stopped.weights_BTP[index, position], stopped.weights_BTP[index, -1])
            assert not torch.equal(stopped.weights_BTP[index, -1], unstopped.weights_BTP[index, -1])

    def test_neighbours_do_not_notice(self, stopped, unstopped):
        for index in np.flatnonzero(stopped.status_B == Status.OK):
            assert torch.equal(stopped.weights_BTP[index], unstopped.weights_BTP[index])
            assert stopped.steps_BT[index].tolist() == list(SNAPSHOTS)

    def test_a_stopped_inr_equals_the_same_one_fitted_alone(self, stopped):
        for index in np.flatnonzero(stopped.status_B == Status.EARLY_STOP):
            alone = fit_images(slice(index, index + 1), snapshots=SNAPSHOTS[-1:], stop_psnr=STOP)
            assert alone.status_B.tolist() == [Status.EARLY_STOP]
            assert alone.steps_BT[0, -1] == stopped.steps_BT[index, -1]
            torch.testing.assert_close(alone.weights_BTP[0, -1], stopped.weights_BTP[index, -1], rtol=0, atol=2e-5)

    def test_all_stopped_at_once_fill_the_remaining_snapshots(self):
        fitted = fit_images(snapshots=[0, 100, 400], stop_psnr=12.0)
        assert fitted.status_B.tolist() == [Status.EARLY_STOP] * 3
        assert torch.equal(fitted.weights_BTP[:, 1], fitted.weights_BTP[:, 2])
        assert torch.equal(fitted.steps_BT[:, 1], fitted.steps_BT[:, 2])
        assert (fitted.steps_BT[:, 2] < 100).all()

    def test_a_start_that_is_good_enough_is_kept(self):
        fitted = fit_images(snapshots=[50], stop_psnr=-100.0)
        assert torch.equal(fitted.weights_BTP[:, 0], STARTS)
        assert fitted.steps_BT.tolist() == [[0]] * 3


class TestDiverged:
    """A fit that fails says so, and harms nobody else."""

    def test_a_start_that_is_not_finite(self):
        starts = STARTS.clone()
        starts[1, 7] = torch.nan
        fitted, healthy = fit_images(starts=starts), fit_images()
        assert fitted.status_B.tolist() == [Status.OK, Status.DIVERGED, Status.OK]
        assert torch.equal(fitted.weights_BTP[[0, 2]], healthy.weights_BTP[[0, 2]])
        torch.testing.assert_close(fitted.weights_BTP[1, 0], starts[1], rtol=0, atol=0, equal_nan=True)

    def test_an_absurd_learning_rate(self):
        fitted = fit_images(lr=1e30, snapshots=[20])
        assert fitted.status_B.tolist() == [Status.DIVERGED] * 3

    def test_worse_than_its_own_start(self):
        fitted = fit_images(lr=1.0, snapshots=[0, 3])
        assert (fitted.loss_BT[:, 1] > fitted.loss_BT[:, 0]).all()
        assert fitted.status_B.tolist() == [Status.DIVERGED] * 3

    def test_an_under_trained_fit_has_not_diverged(self):
        """It is better than its start, though worse than the mean of its signal."""
        starts = STARTS.clone()
        starts[1, -1] += 50.0
        fitted = fit_images(starts=starts)
        mean = TARGETS[1].mean().expand_as(TARGETS[1])
        assert float(fitted.loss_BT[1, 0]) > float((mean - TARGETS[1]).square().mean())
        assert fitted.status_B.tolist() == [Status.OK] * 3

    def test_a_constant_signal_well_fitted_is_good(self):
        """Its mean has infinite PSNR, which no INR reaches."""
        targets = torch.full_like(TARGETS, 0.5)
        fitted = fit_images(targets=targets, snapshots=[300])
        assert (fitted.psnr_BT > 30).all()
        assert fitted.status_B.tolist() == [Status.OK] * 3
