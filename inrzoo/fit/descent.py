"""One optimiser step of a batch of INRs, in place and without asking the device anything.

The reference engine runs it step by step; the `cuda_graph` engine records it once and replays it.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inrzoo.fit.metrics import mse
from inrzoo.fit.problem import FitProblem
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


class Descent:
    """A batch on its way down: its weights, moments and masks, on the device of its starts.

    Attributes:
        weights_BP: at the step that `look` takes next.
        loss_B: mean squared errors that `look` saw.
        steps_B: int32, steps taken until then, fewer for who has stopped.
        stopped_B: who had reached `stop_loss`, or had a loss that is not finite.
    """

    def __init__(self, problem: FitProblem) -> None:
        self.problem, self.inr, starts_BP = problem, problem.inr, problem.starts_BP
        self.antialias, self.stop_loss = problem.antialias, problem.stop_loss
        nyquist_D = torch.zeros(self.inr.in_features) if problem.nyquist_D is None else problem.nyquist_D
        self.nyquist_D = nyquist_D.to(starts_BP)
        self.weights_BP = starts_BP.detach().clone().requires_grad_()
        self.adam = torch.optim.Adam([self.weights_BP], lr=problem.lr, fused=True, capturable=starts_BP.is_cuda)
        self.loss_B = starts_BP.new_zeros(len(starts_BP))
        self.steps_B = torch.zeros_like(self.loss_B, dtype=torch.int32)
        self.stopped_B = torch.zeros_like(self.loss_B, dtype=torch.bool)
        self.step = torch.zeros((), dtype=torch.int32, device=starts_BP.device)

    def look(self) -> None:
        """Evaluate the batch where it stands, and mark who stops here."""
        self.objective_B = mse(self.inr(self.weights_BP, self.problem.coords_KD), self.problem.targets_BKC)
        self.loss_B.copy_(self.objective_B.detach())
        self.steps_B.copy_(torch.where(self.stopped_B, self.steps_B, self.step))
        self.stopped_B |= (self.loss_B <= self.stop_loss) | ~self.loss_B.isfinite()

    def advance(self) -> None:
        """Take the step for which `look` has evaluated; weights and moments of stopped INRs stay as they are."""
        if self.antialias is not None:
            num_values = self.problem.targets_BKC[0].numel()
            penalty_B = self.antialias.addend(self.inr, self.weights_BP, self.nyquist_D, num_values)
            self.objective_B = self.objective_B + penalty_B
        self.adam.zero_grad()
        self.objective_B.sum().backward()
        moving = [self.weights_BP.detach(), *self._moments()]
        before = [tensor.clone() for tensor in moving]
        self.adam.step()
        for tensor, kept in zip(moving, before, strict=True):
            torch.where(self.stopped_B[:, None], kept, tensor, out=tensor)
        if self.antialias is not None:
            self.antialias.project_(self.inr, self.weights_BP.detach(), self.nyquist_D, self.stopped_B)
        self.step += 1

    def state(self) -> tuple[Tensor, Tensor, Tensor]:
        """Copies of weights, losses and steps as `look` saw them last."""
        return self.weights_BP.detach().clone(), self.loss_B.clone(), self.steps_B.clone()

    def restart(self) -> None:
        """Back to the starts, with every tensor where it is."""
        self.weights_BP.detach().copy_(self.problem.starts_BP)
        for tensor in (*self._moments(), *self._counts(), self.steps_B, self.stopped_B, self.step):
            tensor.zero_()

    def _moments(self) -> list[Tensor]:
        return [tensor for key, tensor in self.adam.state[self.weights_BP].items() if key != "step"]

    def _counts(self) -> list[Tensor]:
        return [tensor for key, tensor in self.adam.state[self.weights_BP].items() if key == "step"]
