"""One optimiser step of a batch of INRs, in place and without asking the device anything.

The reference engine runs it step by step; the `cuda_graph` engine records it once and replays it.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inrzoo.fit import subsets
from inrzoo.fit.problem import FitProblem
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


NORM_EPSILON = 1e-6
"""Added to the norm of a gradient that is clipped, as in torch's `clip_grad_norm_`."""


class Descent:
    """A batch on its way down: its weights, moments and masks, on the device of its starts.

    Attributes:
        weights_BP: at the step that `look` takes next.
        loss_B: errors on all points that `look` saw.
        first_loss_B: those at the start; infinite if `look` did not see it.
        steps_B: int32, steps taken until then, fewer for INRs that have stopped.
        stopped_B: INRs that had reached `stop_loss`, or had a loss that is not finite.
    """

    def __init__(self, problem: FitProblem) -> None:
        self.problem, self.inr, starts_BP = problem, problem.inr, problem.starts_BP
        self.antialias, self.stop_loss = problem.antialias, problem.stop_loss
        nyquist_D = torch.zeros(self.inr.in_features) if problem.nyquist_D is None else problem.nyquist_D
        self.nyquist_D = nyquist_D.to(starts_BP)
        self.weights_BP = starts_BP.detach().clone().requires_grad_()
        self.rates = problem.rates
        changing = len(self.rates) > 1
        # A recorded step reads its rate from the device.
        self.rate_on_device = torch.tensor(0.0, device=starts_BP.device) if changing and starts_BP.is_cuda else None
        self.rates_on_device = torch.from_numpy(self.rates).to(starts_BP)
        lr = problem.lr if self.rate_on_device is None else self.rate_on_device
        self.adam = torch.optim.Adam([self.weights_BP], lr=lr, fused=True, capturable=starts_BP.is_cuda)
        self.factors_P = torch.from_numpy(problem.lr_factors_P).to(starts_BP)
        self.loss_B = starts_BP.new_zeros(len(starts_BP))
        self.first_loss_B = torch.full_like(self.loss_B, torch.inf)
        self.steps_B = torch.zeros_like(self.loss_B, dtype=torch.int32)
        self.stopped_B = torch.zeros_like(self.loss_B, dtype=torch.bool)
        self.step = torch.zeros((), dtype=torch.int32, device=starts_BP.device)
        self.taken = 0  # `step`, known without asking the device; it stands still while a recorded step is replayed

    def look(self) -> None:
        """Evaluate the batch where it stands, and mark the INRs that stop here."""
        if self.problem.num_coords is None:
            self.objective_B = self.problem.errors(self.problem.predict(self.weights_BP, self.problem.coords))
            self.loss_B.copy_(self.objective_B.detach())
        else:
            self.loss_B.copy_(self._loss_in_parts())
        self.first_loss_B.copy_(torch.where(self.step == 0, self.loss_B, self.first_loss_B))
        self.steps_B.copy_(torch.where(self.stopped_B, self.steps_B, self.step))
        self.stopped_B |= (self.loss_B <= self.stop_loss) | ~self.loss_B.isfinite()

    def advance(self) -> None:
        """Take one step; weights and moments of stopped INRs stay as they are.

        Without subsets the step is the one for which `look` has evaluated.
        """
        problem = self.problem
        if problem.num_coords is not None and problem.keys_B is not None:
            drawn = subsets.drawn(problem.keys_B, self.taken, problem.num_coords, problem.num_points)
            index_BM = torch.from_numpy(drawn).to(self.weights_BP.device)
            draws_BM = None
            if problem.observe is not None:
                places = subsets.places(problem.keys_B, self.taken, problem.num_coords)
                draws_BM = torch.from_numpy(places).to(self.weights_BP.device)
            values_BMC = problem.predict(self.weights_BP, problem.points(index_BM), draws_BM)
            self.objective_B = problem.errors(values_BMC, index_BM)
        if self.antialias is not None:
            num_values = problem.targets_BKC[0].numel()
            penalty_B = self.antialias.addend(self.inr, self.weights_BP, self.nyquist_D, num_values)
            self.objective_B = self.objective_B + penalty_B
        self.adam.zero_grad()
        self.objective_B.sum().backward()
        if problem.max_grad_norm is not None and self.weights_BP.grad is not None:
            norm_B1 = self.weights_BP.grad.norm(dim=1, keepdim=True)
            self.weights_BP.grad *= (problem.max_grad_norm / (norm_B1 + NORM_EPSILON)).clamp(max=1.0)
        moving = [self.weights_BP.detach(), *self._moments()]
        before = [tensor.clone() for tensor in moving]
        self._update()
        for tensor, kept in zip(moving, before, strict=True):
            torch.where(self.stopped_B[:, None], kept, tensor, out=tensor)
        if self.antialias is not None:
            self.antialias.project_(self.inr, self.weights_BP.detach(), self.nyquist_D, self.stopped_B)
        self.step += 1
        self.taken += 1

    def _update(self) -> None:
        """Decay the weights, then move them by Adam at the rate of this step."""
        rate: float | Tensor = float(self.rates[min(self.taken, len(self.rates) - 1)])
        if self.rate_on_device is not None:
            rate = self.rate_on_device.copy_(self.rates_on_device[self.step.long().clamp(max=len(self.rates) - 1)])
        else:
            self.adam.param_groups[0]["lr"] = rate
        weights_BP = self.weights_BP.detach()
        if self.problem.weight_decay:
            weights_BP.mul_(1 - rate * self.problem.weight_decay * self.factors_P)
        if not self.problem.lr_factors:
            self.adam.step()
            return
        decayed_BP = weights_BP.clone()
        self.adam.step()
        weights_BP.copy_(decayed_BP + self.factors_P * (weights_BP - decayed_BP))

    def _loss_in_parts(self) -> Tensor:
        """The loss on all points, with no more of them in memory than a step has."""
        problem, parts = self.problem, []
        with torch.no_grad():
            if problem.observe is not None:  # which parts the points itself
                return problem.errors(problem.predict(self.weights_BP, problem.coords))
            for first in range(0, problem.num_points, problem.num_coords or 1):
                coords = problem.coords[..., first : first + (problem.num_coords or 1), :]
                parts.append(self.inr(self.weights_BP, coords))
            return problem.errors(torch.cat(parts, dim=1))

    def state(self) -> tuple[Tensor, Tensor, Tensor]:
        """Copies of weights, losses and steps as `look` saw them last."""
        return self.weights_BP.detach().clone(), self.loss_B.clone(), self.steps_B.clone()

    def restart(self) -> None:
        """Back to the starts, with every tensor where it is."""
        self.weights_BP.detach().copy_(self.problem.starts_BP)
        for tensor in (*self._moments(), *self._counts(), self.steps_B, self.stopped_B, self.step):
            tensor.zero_()
        self.taken = 0

    def _moments(self) -> list[Tensor]:
        return [tensor for key, tensor in self.adam.state[self.weights_BP].items() if key != "step"]

    def _counts(self) -> list[Tensor]:
        return [tensor for key, tensor in self.adam.state[self.weights_BP].items() if key == "step"]
