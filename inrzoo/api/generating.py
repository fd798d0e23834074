"""`inrzoo.generate`: samples of a trained generative model, as the command `inrzoo generate` writes them."""

from __future__ import annotations

from pathlib import Path

from inrzoo.keywords import keywords_checked
from inrzoo.store import Store


@keywords_checked
def generate(
    run: str | Path,
    *,
    out: str | Path,
    count: int,
    label: str | None = None,
    seed: int = 0,
    steps: int = 50,
    guidance: float = 1.0,
    overwrite: bool = False,
) -> Store:
    """Write samples of a generative model as a store, as `inrzoo generate` does.

    Args:
        run: folder of a run of `inrzoo train generate`, or a checkpoint.
        out: the new store, a folder, which is made whole or not at all.
        count: number of samples, whose classes take turns.
        label: name of the one class of all samples.
        seed: of the noise.
        steps: evaluations of the denoiser for each sample.
        guidance: weight of the class over no class; 1 is none.
        overwrite: whether to replace the store at `out`.

    Raises:
        InrzooError: the checkpoint makes no INRs, an option is out of range, or `out` exists.

    Example:
        >>> fields = {"code_features": 4, "hidden_features": 8, "batch_size": 8, "steps": 4, "validate_every": 4}
        >>> run = inrzoo.train("generate", "digits.zarr", out="generator", quiet=True, **fields)
        >>> store = inrzoo.generate("generator", out="generated.zarr", count=12, steps=2)
        >>> store.weights.shape, store.labels["digit"][:3].tolist()
        ((12, 1, 1, 105), [0, 1, 2])
    """
    from inrzoo import generation

    samples = generation.Samples(count=count, label=label, seed=seed, steps=steps, guidance=guidance)
    return generation.generate(Path(run), Path(out), samples, overwrite=overwrite)
