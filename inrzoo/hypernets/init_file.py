"""A learned initialisation as a file for `inrzoo build --init FILE`. Shape letters: S seeds, P parameters."""

from pathlib import Path

from torch import Tensor

from inrzoo.errors import InrzooError


def write_init(path: Path, weights: Tensor) -> None:
    """Write an initialisation that all signals share: one float32 tensor `init` in a .safetensors file.

    The file appears whole or not at all; an older file is replaced.

    Args:
        path: of the file, usually with the suffix .safetensors.
        weights: (P,) or (S, P), for example `hypernet.start_weights()`.

    Raises:
        InrzooError: weights are not finite, or the folder cannot be written to.
    """
    if weights.ndim not in (1, 2) or not weights.isfinite().all():
        raise InrzooError(
            f"an initialisation has finite weights of shape (P,) or (S, P); these are {tuple(weights.shape)}"
        )
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    part = path.with_name(path.name + ".part")
    try:
        save_file({"init": weights.detach().cpu().float().contiguous()}, part)
        part.replace(path)
    except (OSError, SafetensorError) as error:
        raise InrzooError(f"cannot write an initialisation to {path}: {error}") from None
