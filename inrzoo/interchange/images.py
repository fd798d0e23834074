"""Matches the images that imported INRs were fitted to, and measures the quality of the fits.

Shape letters: N signals, B some of them, K coordinates, C channels, P parameters of one INR.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inrzoo import manifest, registry
from inrzoo.choices import Status
from inrzoo.errors import InrzooError
from inrzoo.fit.batches import batch_size
from inrzoo.fit.metrics import exact_share, mse, psnr
from inrzoo.inrs import INR
from inrzoo.interchange.folder import Listing
from inrzoo.interchange.naming import image_number
from inrzoo.manifest import Manifest, Values
from inrzoo.targets import SignalTable, to_values


class Images:
    """The signals of a dataset, in the order of a listing.

    An image is identified by its id in `inrzoo.json`, or by the number in the file name: its number in the training or
    test part (DWSNets), or in both together (nfn). Its label must be that of the file.

    Args:
        dataset: name of a manifest, or a path to one.
        path: local files, or None as in `inrzoo build`.
        listing: the listing of the folder.

    Raises:
        InrzooError: the dataset, its files or a signal is absent, or labels differ.
    """

    def __init__(self, dataset: str, path: Path | None, listing: Listing) -> None:
        self.manifest: Manifest = manifest.load(dataset, trusted=True)
        source = registry.make("sources", self.manifest.source).read(path)
        where = f"dataset {self.manifest.name}"
        rows = _rows(list(source.ids), listing, where)
        signals = source.take(rows)
        if signals.arrays or self.manifest.values.dtype != "uint8":
            raise InrzooError(f"{where} is not of 8-bit images, and other signals cannot be matched to imported INRs")
        self.grid: tuple[int, ...] = signals.grid
        self.ids: list[str] = list(signals.ids)
        self.labels: dict[str, NDArray[np.int64]] = signals.labels
        self.label_names: dict[str, list[str]] = signals.label_names
        self.checksums: dict[str, str] = signals.checksums
        own = next(iter(signals.labels.values()))
        wrong = np.flatnonzero(own != listing.labels)
        if len(wrong):
            row = wrong[0]
            raise InrzooError(
                f"{listing.signals[row].first} has label {listing.labels[row]}, image {self.ids[row]} of {where} has "
                f"{own[row]}: these are not its images, or their numbering differs"
            )
        self.values_NKC = signals.array(range(len(signals)))
        self.table = SignalTable.of({"signals": self.values_NKC}, signals.grid, self.manifest, self.ids)


def _rows(ids: list[str], listing: Listing, where: str) -> NDArray[np.int64]:
    """Return the row of each signal of the listing in the source."""
    described = listing.sidecar
    if described is not None:
        id_of = dict(zip(described.paths, described.signal_ids, strict=True))
        keys: list[Any] = [id_of[signal.first] for signal in listing.signals]
        row_of: dict[Any, int] = {name: row for row, name in enumerate(ids)}
    else:
        numbers = [image_number(name) for name in ids]
        if None in numbers:
            raise InrzooError(
                f"{where} does not number its images by training and test, so they cannot be matched to the files"
            )
        keys = [(signal.name.part, signal.name.number) for signal in listing.signals]
        row_of = {number: row for row, number in enumerate(numbers)}
        # Readers of nfn's sets number the training and then the test images consecutively.
        through = sorted(range(len(ids)), key=lambda row: (numbers[row][0] == "test", numbers[row][1]))  # type: ignore[index]
        row_of |= {(None, position): row for position, row in enumerate(through)}
    for signal, key in zip(listing.signals, keys, strict=True):
        if key not in row_of:
            name = f"id {key}" if isinstance(key, str) else f"number {key[1]}"
            raise InrzooError(f"{signal.first}: {where} has no image with the {name}")
    return np.array([row_of[key] for key in keys], dtype=np.int64)


def quality(
    inr: INR,
    weights_BP: NDArray[np.float32],
    coords_KD: NDArray[np.float32],
    values_BKC: NDArray[np.uint8] | None,
    value_range: tuple[float, float],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Return PSNR, loss, share of exact values and status of INRs as a fit records them, (B,) each.

    Without images all but the status are NaN.

    An INR has diverged if its weights or its loss are not finite; where a fit of others began, nobody knows.
    """
    finite_B = torch.from_numpy(np.isfinite(weights_BP).all(axis=1))
    if values_BKC is None:
        unknown_B = np.full(len(weights_BP), np.nan, dtype=np.float32)
        status_B = np.where(finite_B, int(Status.OK), int(Status.DIVERGED)).astype(np.uint8)
        return unknown_B, unknown_B.copy(), unknown_B.copy(), status_B
    coords = torch.from_numpy(coords_KD)
    batch, losses, shares = batch_size(inr, len(coords_KD)), [], []
    for start in range(0, len(weights_BP), batch):
        part = slice(start, start + batch)
        targets_BKC = torch.from_numpy(to_values(values_BKC[part], Values(range=value_range)))
        with torch.inference_mode():
            rendered_BKC = inr(torch.from_numpy(weights_BP[part]), coords)
            losses.append(mse(rendered_BKC, targets_BKC))
            shares.append(exact_share(rendered_BKC, torch.from_numpy(values_BKC[part]), value_range))
    loss_B = torch.cat(losses)
    psnr_B = psnr(loss_B, value_range)
    not_finite_B = ~finite_B | ~loss_B.isfinite()
    status = torch.where(not_finite_B, int(Status.DIVERGED), int(Status.OK)).to(torch.uint8)
    return psnr_B.numpy(), loss_B.numpy(), torch.cat(shares).numpy(), status.numpy()
