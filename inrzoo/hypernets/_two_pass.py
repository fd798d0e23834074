"""Gradients of two losses, one of them weighed for some parameters only."""

from collections.abc import Iterable

from torch import Tensor, nn


def two_pass_gradients(
    task_loss: Tensor, reconstruction_loss: Tensor, meta_parameters: Iterable[nn.Parameter], task_weight: float
) -> None:
    """Add to `.grad`: w ∇task + ∇reconstruction for `meta_parameters`, ∇task + ∇reconstruction for all others.

    MWT's way (specs: i): two passes, for one pass on a weighted sum would weigh the classifier's gradient too, and Adam
    undoes that only in part. The classifier has no part in the reconstruction, so its gradient is ∇task.

    Args:
        task_loss: scalar, in the graph of all parameters.
        reconstruction_loss: scalar.
        meta_parameters: start, output layer, rates: what makes the INR. Gradients they already have are kept.
        task_weight: w. With 0 the task does not reach them, however large its gradient is.
    """
    meta = list(meta_parameters)
    before = [parameter.grad for parameter in meta]
    for parameter in meta:
        parameter.grad = None
    task_loss.backward(retain_graph=True)
    for parameter, earlier in zip(meta, before, strict=True):
        if parameter.grad is not None and task_weight == 0:
            parameter.grad = None
        elif parameter.grad is not None:
            parameter.grad.mul_(task_weight)
        if earlier is not None:
            parameter.grad = earlier if parameter.grad is None else earlier + parameter.grad
    reconstruction_loss.backward()
