"""Draws a picture of a store: originals, reconstructions, renderings on a finer grid, and the PSNR histogram."""

import io
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.store import Store
from inrzoo.store.files import write_atomically

FINER = 4
"""Factor of the finer grid."""
MAX_DRAWN = 64
"""Maximum number of INRs in one picture; each is a column of over 100 pixels."""


def preview(store: Store, out: Path, num_signals: int = 10, seed: int = 0, step: int = -1) -> int:
    """Draw INRs spread evenly over the store into a PNG.

    Args:
        store: a complete or unfinished store of images (two axes, one or three channels).
        out: file to write.
        num_signals: number of columns, limited by `MAX_DRAWN`.
        seed, step: number of the fit and index of the view.

    Returns:
        The number of INRs in the picture.

    Raises:
        InrzooError: the signals are not images, or no INR of this seed is finished.
    """
    grid, channels = store.info.grid, store.inr.out_features
    if len(grid) != 2 or channels not in (1, 3):
        raise InrzooError(f"preview draws images; the signals of {store.path} have grid {grid} and {channels} channels")
    if num_signals < 1 or not 0 <= seed < store.num_seeds:
        allowed = f"1 or more INRs of seed 0 to {store.num_seeds - 1}"
        raise InrzooError(f"--count {num_signals} --seed {seed} is not allowed; expected {allowed}")
    # INRs imported without images have no PSNR; diverged ones may have no finite values.
    done = np.flatnonzero(store.usable[:, seed] | np.isfinite(store.psnr[:, seed, step]))
    if not done.size:
        raise InrzooError(f"no finished INR of seed {seed} in {store.path} yet; continue its build")
    count = min(num_signals, done.size, MAX_DRAWN)
    chosen = done[(np.arange(count) * done.size) // count]
    rendered = store.render(chosen, seed, step).numpy()
    finer = store.render(chosen, seed, step, coords=store.coords(FINER)).numpy()
    rows = [("reconstruction", _pixels(store, rendered, 1)), (f"{FINER}× finer grid", _pixels(store, finer, FINER))]
    if store.has_signals:
        rows.insert(0, ("original", _pixels(store, store.signal_table(chosen).values(), 1)))
    _draw(store, rows, chosen, seed, step, out)
    return len(chosen)


def _pixels(store: Store, values_NKC: NDArray[np.float32], finer: int) -> NDArray[np.float64]:
    """Map values to intensities in [0, 1] and clip them."""
    low, high = store.value_range
    shape = [size * finer for size in store.info.grid]
    scaled = (values_NKC.astype(np.float64) - low) / (high - low)
    return np.clip(scaled, 0, 1).reshape(len(values_NKC), *shape, -1)


def _draw(
    store: Store,
    rows: list[tuple[str, NDArray[np.float64]]],
    chosen: NDArray[np.int64],
    seed: int,
    step: int,
    out: Path,
) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = len(chosen)
    figure = pyplot.figure(figsize=(1.1 * max(columns, 6) + 1, 1.15 * len(rows) + 2.6), layout="constrained")
    images, histogram = figure.subfigures(2, 1, height_ratios=[1.2 * len(rows), 2.2])
    axes = images.subplots(len(rows), columns, squeeze=False)
    for (title, pictures), row in zip(rows, axes, strict=True):
        row[0].set_ylabel(title, fontsize=8)
        for picture, axis in zip(pictures, row, strict=True):
            axis.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
    for signal, axis in zip(chosen, axes[-1], strict=True):
        psnr, above = store.psnr[signal, seed, step], store.out_of_band[signal, seed, step]
        quality = f"{psnr:.1f} dB" if np.isfinite(psnr) else "PSNR unknown"
        axis.set_xlabel(f"{quality}\n{above:.1%} above Nyquist", fontsize=6)
    _draw_histogram(store, step, histogram.subplots())
    figure.suptitle(f"{store.info.dataset}: {store.info.manifest.title}", fontsize=9)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Without the library's version in the metadata, equal stores have equal pictures, byte for byte.
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130, metadata={"Software": None})
    pyplot.close(figure)
    write_atomically(out, picture.getvalue())


def _draw_histogram(store: Store, step: int, axis: Any) -> None:
    """Draw the histogram of PSNRs; if they are unknown (an import without images), of the energy above Nyquist."""
    psnr, share = store.psnr[:, :, step], store.out_of_band[:, :, step]
    psnr, share = psnr[np.isfinite(psnr)], share[np.isfinite(share)]
    above = f"energy above Nyquist: mean {share.mean():.2%}" if share.size else "energy above Nyquist unknown"
    if psnr.size:
        axis.hist(psnr, bins=60)
        axis.axvline(psnr.mean(), color="black", linewidth=1)
        line = f"PSNR in dB of {psnr.size} INRs: mean {psnr.mean():.2f}, median {np.median(psnr):.2f}"
    else:
        axis.hist(share, bins=60)
        line = "share of energy above Nyquist; PSNR unknown, as the signals are unknown"
    axis.set_xlabel(f"{line}; {above}", fontsize=8)
    axis.set_ylabel("INRs", fontsize=8)
