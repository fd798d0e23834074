"""Hypernetworks by gradient steps: the inner loop and its learning rates.

Shape letters: B batch of signals, K coordinates, D in_features, C channels, I numbers of the instance part, S inner
steps, J coordinates of a subset.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.hypernets.contract import Hypernet
from inrzoo.hypernets.coordinate_subsets import fixed_subsets, random_subsets, take
from inrzoo.native.curvature import loss_gradients


@dataclass(kw_only=True, eq=False, repr=False)
class GradientBasedHypernet(Hypernet):
    """A learned initialisation of the instance part, and a few gradient steps from it for each signal.

    φ ← φ − α_j ⊙ ∇_φ L(φ), where L is the mean error of a signal's INR at all coordinates or at a new subset.
    The sum over signals is differentiated, so that no signal affects another's step. In training mode gradients go
    through the steps (Finn et al. 2017, MAML: `second_order`), or treat ∇L as a constant (first-order MAML).

    Attributes:
        sizes: grid of the signals; not needed here.
        inner_steps: number of inner steps.
        inner_lr: learning rate α of every number and step.
        learned_rates: (low, high); α is learned for every number and step (Meta-SGD) and starts as U(low, high).
        share_rates: learn one α for all steps, so that their number can be changed.
        inner_fraction: share of the coordinates of an inner step.
        inner_coords: number of coordinates of an inner step, instead of a share; None for the share.
        second_order: whether training differentiates through the steps; Reptile never does.
        rates: learned α (Li et al. 2017, Meta-SGD), (S or 1, I), of any sign; None if α is `inner_lr`.
    """

    inner_steps: int = 2
    inner_lr: float = 0.01
    learned_rates: tuple[float, float] | None = None
    share_rates: bool = False
    inner_fraction: float = 1.0
    inner_coords: int | None = None
    second_order: bool = True

    def __post_init__(self) -> None:
        """Check the numbers; `make_rates` makes the rates."""
        super().__post_init__()
        low, high = self.learned_rates or (0.0, 0.0)
        if self.inner_steps < 0 or not self.inner_lr > 0 or low > high or not 0 < self.inner_fraction <= 1:
            raise InrzooError(
                f"inner_steps = {self.inner_steps}, inner_lr = {self.inner_lr}, learned_rates = {self.learned_rates}, "
                f"inner_fraction = {self.inner_fraction} are not allowed; steps must be at least 0, the rate above 0, "
                "learned rates (low, high), the fraction above 0 and at most 1"
            )
        if self.inner_coords is not None and self.inner_coords < 1:
            raise InrzooError(f"inner_coords = {self.inner_coords} is not allowed; it must be at least 1")
        if self.inner_coords is not None and self.inner_fraction != 1:
            raise InrzooError(
                f"inner_coords = {self.inner_coords} and inner_fraction = {self.inner_fraction} both say how many "
                "coordinates an inner step has; set one of them"
            )

    def make_rates(self, num_instance_params: int) -> None:
        """Draw the learned rates of I numbers, if there are any."""
        self.rates: nn.Parameter | None = None
        if self.learned_rates is not None:
            low, high = self.learned_rates
            unit = torch.rand(1 if self.share_rates else self.inner_steps, num_instance_params)
            self.rates = nn.Parameter(low + (high - low) * unit)

    @abstractmethod
    def start_instance(self) -> Tensor:
        """The initial instance part, the same for all signals, (I,)."""

    def start_weights(self) -> Tensor:
        """Initial weights of the INR, (P,), detached; `write_init` writes them."""
        return self.weights(self.start_instance()[None])[0].detach()

    def rate(self, instances_BI: Tensor, step: int) -> Tensor | float:
        """Learning rate α of one step: a number, (I,), or (B, I)."""
        return self.inner_lr if self.rates is None else self.rates[step % len(self.rates)]

    def instances(self, coords: Tensor, values: Tensor) -> Tensor:
        """The instance parts after the inner loop, (B, I)."""
        for instances_BI in self.inner_loop(coords, values):
            last_BI = instances_BI
        return last_BI

    def inner_loop(self, coords: Tensor, values: Tensor) -> Iterator[Tensor]:
        """Iterate over the instance parts, (B, I), before the first inner step and after each."""
        tracked = torch.is_grad_enabled()
        instances_BI = self.start_instance().expand(len(values), -1)
        yield instances_BI
        for step in range(self.inner_steps):
            step_coords, step_values = self.inner_subset(coords, values, step)
            if not (tracked and instances_BI.requires_grad):
                instances_BI = instances_BI.detach().requires_grad_()
            create_graph = tracked and self.training and self.second_order
            gradient_BI = self._inner_gradient(instances_BI, step_coords, step_values, create_graph)
            instances_BI = instances_BI - self.rate(instances_BI, step) * gradient_BI
            yield instances_BI

    def _inner_gradient(self, instances_BI: Tensor, coords: Tensor, values: Tensor, create_graph: bool) -> Tensor:
        """Gradient of each signal's loss by its instance part, (B, I)."""
        with torch.enable_grad():
            weights_BP = self.weights(instances_BI)
            if self.compares_natively(weights_BP, coords):
                slopes_BP = loss_gradients(self.inr, weights_BP, coords, values)
                slopes_BP = slopes_BP if create_graph else slopes_BP.detach()
                (gradient_BI,) = torch.autograd.grad(weights_BP, instances_BI, slopes_BP, create_graph=create_graph)
            else:
                loss = self.reconstruction_loss(weights_BP, coords, values).sum()
                (gradient_BI,) = torch.autograd.grad(loss, instances_BI, create_graph=create_graph)
        return gradient_BI

    def inner_subset(self, coords: Tensor, values: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Coordinates and values of one step: all, or `inner_fraction` or `inner_coords` of them.

        In training mode they are drawn for each signal, anew for every step. In evaluation mode they depend on the step
        alone and are the same for all signals.

        Raises:
            InrzooError: signals have fewer coordinates than `inner_coords`.
        """
        if self.inner_coords is None and self.inner_fraction == 1:
            return coords, values
        batch, num_coords, _ = values.shape
        count = self.inner_coords or max(1, round(self.inner_fraction * num_coords))
        if count > num_coords:
            raise InrzooError(f"inner_coords = {count} is more than the {num_coords} coordinates of a signal")
        if self.training:
            return take(coords, values, random_subsets(batch, num_coords, count, values))
        return take(coords, values, fixed_subsets(batch, num_coords, count, step, values))
