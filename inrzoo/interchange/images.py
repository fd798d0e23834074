"""Matches the images that imported INRs were fitted to, and measures the quality of the fits.

Shape letters: N signals, B some of them, K coordinates, C channels, P parameters of one INR.
"""

import re
from dataclasses import replace
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
from inrzoo.interchange.incoming import UNLABELLED, IncomingSet
from inrzoo.interchange.naming import image_number
from inrzoo.manifest import Manifest, Values
from inrzoo.targets import SignalTable


class Images:
    """The signals of a dataset, in the order of a set of INRs.

    An image is identified by its id, or by its number in the training or test part (DWSNets), or in both together
    (nfn, fit-a-nef). Its label must be that of the file.

    Args:
        dataset: name of a manifest, or a path to one.
        path: local files, or None as in `inrzoo build`.
        incoming: the set.

    Raises:
        InrzooError: the dataset, its files or a signal is absent, or labels differ.
    """

    def __init__(self, dataset: str, path: Path | None, incoming: IncomingSet) -> None:
        self.manifest: Manifest = manifest.load(dataset, trusted=True)
        source = registry.make("sources", self.manifest.source).read(path)
        where = f"dataset {self.manifest.name}"
        rows = _rows(list(source.ids), incoming, where)
        signals = source.take(rows)
        if signals.arrays or self.manifest.values.dtype != "uint8":
            raise InrzooError(f"{where} is not of 8-bit images, and other signals cannot be matched to imported INRs")
        self.grid: tuple[int, ...] = signals.grid
        self.ids: list[str] = list(signals.ids)
        self.labels: dict[str, NDArray[np.int64]] = signals.labels
        self.label_names: dict[str, list[str]] = signals.label_names
        self.checksums: dict[str, str] = signals.checksums
        self._require_labels(incoming, where)
        numbers_NKC, standardised = signals.array(range(len(signals))), incoming.meaning.standardised
        value_range = incoming.meaning.known_range
        self.values, self.values_NKC = Values(range=value_range), numbers_NKC
        channels = numbers_NKC.shape[2]
        if standardised is not None and not standardised.uniform and channels == len(standardised.mean):
            # Channels have ranges of their own: the signals are kept as the values that the INRs were fitted to.
            self.values = Values(range=value_range, dtype="float32", scale="dataset", limits=value_range)
            self.values_NKC = standardised.apply_to(numbers_NKC)
        settings = replace(self.manifest, values=self.values)
        self.table = SignalTable.of({"signals": self.values_NKC}, signals.grid, settings, self.ids)

    def _require_labels(self, incoming: IncomingSet, where: str) -> None:
        column = next(iter(incoming.labels))
        theirs, names = incoming.labels[column], incoming.label_names[column]
        if names == [UNLABELLED]:
            return
        ours = next(iter(self.labels.values()))
        if names != [str(code) for code in range(len(names))] and not incoming.settled:  # names, and no codes
            known = next(iter(self.label_names.values()))
            theirs, ours = np.array(names)[theirs], np.array(known)[ours]
        wrong = np.flatnonzero(ours != theirs)
        if len(wrong):
            row = wrong[0]
            raise InrzooError(
                f"{incoming.names[row]} has label {theirs[row]}, image {self.ids[row]} of {where} has "
                f"{ours[row]}: these are not its images, or their numbering differs"
            )


def _rows(ids: list[str], incoming: IncomingSet, where: str) -> NDArray[np.int64]:
    """Return the row of each signal of the set in the source."""
    row_of: dict[Any, int] = {name: row for row, name in enumerate(ids)}
    keys: list[Any] = list(incoming.keys)
    numbers = [image_number(name) for name in ids]
    if None in numbers:
        if not incoming.settled and not all(key in row_of for key in keys):
            raise InrzooError(
                f"{where} does not number its images by training and test, so they cannot be matched to the files"
            )
    else:
        row_of |= {number: row for row, number in enumerate(numbers)}
        # Readers of nfn's sets number the training and then the test images consecutively.
        through = sorted(range(len(ids)), key=lambda row: (numbers[row][0] == "test", numbers[row][1]))  # type: ignore[index]
        row_of |= {(None, position): row for position, row in enumerate(through)}
        keys = [
            (None, int(key)) if isinstance(key, str) and key not in row_of and re.fullmatch(r"\d{1,9}", key) else key
            for key in keys
        ]
    for name, key in zip(incoming.names, keys, strict=True):
        if key not in row_of:
            called = f"id {key}" if isinstance(key, str) else f"number {key[1]}"
            raise InrzooError(f"{name}: {where} has no image with the {called}")
    return np.array([row_of[key] for key in keys], dtype=np.int64)


def quality(
    inr: INR,
    weights_BP: NDArray[np.float32],
    coords_KD: NDArray[np.float32],
    targets_BKC: NDArray[np.float32] | None,
    numbers_BKC: NDArray[Any] | None,
    value_range: tuple[float, float],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Return PSNR, loss, share of exact values and status of INRs as a fit records them, (B,) each.

    Without images (targets and numbers are None) all but the status are NaN, and so is the share of exact values of
    numbers that are no integers.

    An INR has diverged if its weights or its loss are not finite; where a fit of others began, nobody knows.
    """
    finite_B = torch.from_numpy(np.isfinite(weights_BP).all(axis=1))
    if targets_BKC is None or numbers_BKC is None:
        unknown_B = np.full(len(weights_BP), np.nan, dtype=np.float32)
        status_B = np.where(finite_B, int(Status.OK), int(Status.DIVERGED)).astype(np.uint8)
        return unknown_B, unknown_B.copy(), unknown_B.copy(), status_B
    coords = torch.from_numpy(coords_KD)
    batch, losses, shares = batch_size(inr, len(coords_KD)), [], []
    for start in range(0, len(weights_BP), batch):
        part = slice(start, start + batch)
        numbers = numbers_BKC[part]
        with torch.inference_mode():
            rendered_BKC = inr(torch.from_numpy(weights_BP[part]), coords)
            losses.append(mse(rendered_BKC, torch.from_numpy(targets_BKC[part])))
            if numbers.dtype == np.uint8:
                shares.append(exact_share(rendered_BKC, torch.from_numpy(numbers), value_range))
            else:
                shares.append(torch.full((len(numbers),), torch.nan))
    loss_B = torch.cat(losses)
    psnr_B = psnr(loss_B, value_range)
    not_finite_B = ~finite_B | ~loss_B.isfinite()
    status = torch.where(not_finite_B, int(Status.DIVERGED), int(Status.OK)).to(torch.uint8)
    return psnr_B.numpy(), loss_B.numpy(), torch.cat(shares).numpy(), status.numpy()
