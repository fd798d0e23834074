"""The signals of a store as targets of a network: where its values are compared, with which, and how well it does.

Shape letters: B INRs of a batch, P parameters, F numbers that stand for an INR, K points of a signal, J of them, D
coordinates, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.comparisons import LOGITS, comparisons, quality
from inrzoo.errors import InrzooError
from inrzoo.fit.batches import evaluated
from inrzoo.fit.losses import LOSSES
from inrzoo.fit.metrics import mse, psnr
from inrzoo.inrs import INR
from inrzoo.loaders import WeightBatch
from inrzoo.loaders.dataset import CACHED_SIGNAL_BYTES, SIGNALS_AT_ONCE
from inrzoo.store import Store
from inrzoo.targets import SignalTable, Targets

Against = Literal["signals", "inrs"]
"""What the values of a network are compared with: the signals of the store, or the values of its INRs."""
AGAINST_INR = "PSNR against the INR"
"""Name of the measure of how far a network is from the values of the INR that it was given."""
ValuesOf = Callable[[Tensor, Tensor], Tensor]
"""Values (B, K, C) of what stands for INRs, (B, F), at coordinates (K, D) or (B, K, D)."""
PART_BYTES = 4 * 2**20
"""Maximum size of the signals that are decoded at once, in bytes, unless one signal is larger."""


def signals_at_once(signal_bytes: int) -> int:
    """Number of signals of a store that are decoded at once, at most `SIGNALS_AT_ONCE`."""
    return max(1, min(SIGNALS_AT_ONCE, PART_BYTES // max(1, signal_bytes)))


class SignalTargets:
    """The targets of the INRs of a store, and how values are compared with them: by the observation of the store.

    Attributes:
        signal_bytes: size of all arrays of one signal; 0 if the store does not hold its signals.

    Args:
        store: the INRs, and their signals.
        against: compare with the `signals`, or with the values of the `inrs` at the same points.

    Raises:
        InrzooError: the store does not hold what is needed.

    Example:
        >>> dataset = inrzoo.load("digits.zarr", normalise="none")
        >>> batch, targets = dataset[[5, 0]], SignalTargets(dataset.stores[0], "signals")
        >>> where, values = targets.drawn(batch, 16, "cpu")
        >>> where.shape, values.shape, targets.loss(dataset.inr(batch.weights, where), values) < 0.1
        (torch.Size([16, 2]), torch.Size([2, 16, 1]), tensor(True))
    """

    def __init__(self, store: Store, against: Against) -> None:
        self.store, self.against = store, against
        if not store.has_signals and against == "signals":
            raise InrzooError(
                f"{store.location} does not hold its signals; its licence does not allow it; use against = inrs"
            )
        if not store.has_signals and store.info.arrays:
            raise InrzooError(f"{store.location} holds neither its signals nor the points at which INRs are compared")
        self.signal_bytes = 0
        if store.has_signals:
            self.signal_bytes = sum(row.nbytes for row in store.signal_table(slice(0, 1)).arrays.values())
        self._at_once = signals_at_once(self.signal_bytes)
        # Decoding a compressed chunk for every signal would be slow.
        parts = CACHED_SIGNAL_BYTES // max(1, self._at_once * self.signal_bytes)
        self._part = lru_cache(maxsize=max(2, parts))(self._read_part)

    @property
    def is_psnr(self) -> bool:
        """Whether the error is a PSNR, dB: not of occupancies as logits, whose error is the cross entropy, in nats."""
        return self.store.observation.loss_name != LOGITS

    def drawn(self, batch: WeightBatch, count: int | None, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Points and target values of a batch.

        Args:
            batch: B INRs of the store.
            count: number of points, drawn anew by torch's random state and alike for all INRs; None for all.
            device: of the result.

        Returns:
            Coordinates (J, D), or (B, J, D), or what the observation has instead; and values (B, J, C).
        """
        targets = self._targets_of(batch)
        where = torch.from_numpy(self.store.coords() if targets is None else targets.coords)
        points = slice(None) if count is None else torch.randperm(where.shape[-2])[:count]
        where = where[..., points, :].to(device)
        if self.against == "signals":
            assert targets is not None, "the store has its signals"
            return where, torch.from_numpy(targets.values_BKC)[:, points].to(device)
        with torch.no_grad():
            own = self.store.predict(self.weights(batch).to(device), where)
        return where, own if self.is_psnr else own.sigmoid()

    def loss(self, values: Tensor, targets: Tensor) -> Tensor:
        """The loss of the store's fits, a scalar: mean over INRs, points and channels, (B, J, C) each."""
        return LOSSES[self.store.observation.loss_name](values, targets).mean()

    def predict(self, values_of: ValuesOf, inputs_BF: Tensor, where: Tensor) -> Tensor:
        """Values of signals, (B, J, C), that a network predicts; see `Store.predict`."""
        return self.store.predict(inputs_BF, where, _as_evaluate(values_of))

    def weights(self, batch: WeightBatch) -> Tensor:
        """Weights (B, P) of the INRs of a batch as they were fitted, whatever transforms the batch has seen."""
        snapshot_B = np.searchsorted(np.array(self.store.snapshots), batch.step.cpu().numpy())
        read = self.store.weights.gather(batch.signal.cpu().numpy(), batch.seed.cpu().numpy(), snapshot_B)
        return torch.from_numpy(read)

    @torch.no_grad()
    def measured(self, batch: WeightBatch, values_of: ValuesOf, inputs_BF: Tensor) -> dict[str, Tensor]:
        """Quality of what a network says of each INR of a batch, at all points.

        Returns:
            Numbers (B,) on the CPU by name. If the store has its signals: `PSNR` in dB, or for logits the `loss`, and
            the measures of the observation, such as `snr` and `iou`. `PSNR against the INR`: of the difference to the
            values of the INR itself; not of logits.
        """
        store, evaluate, targets = self.store, _as_evaluate(values_of), self._targets_of(batch)
        parts: list[tuple[slice, Tensor, dict[str, Tensor]]]
        if targets is not None:
            where = torch.from_numpy(targets.coords)
            parts = [
                (rows, fitted.values_BTKC[:, 0], quality(store.observation, fitted, held_out))
                for rows, fitted, held_out in comparisons(store, targets, inputs_BF[:, None], evaluate)
            ]
        else:
            where = torch.from_numpy(store.coords())
            each = evaluated(store.inr, inputs_BF[:, None], where.to(inputs_BF.device), evaluate)
            parts = [(rows, values_BTKC[:, 0], {}) for rows, values_BTKC in each]
        weights_BP = self.weights(batch).to(inputs_BF.device)
        for rows, values_BKC, measures in parts if self.is_psnr else []:
            places = (where if where.ndim == 2 else where[rows]).to(inputs_BF.device)
            difference_B = mse(values_BKC, store.predict(weights_BP[rows], places))
            measures[AGAINST_INR] = psnr(difference_B, store.value_range)
        return {name: torch.cat([measures[name].cpu() for *_, measures in parts]) for name in parts[0][-1]}

    def _targets_of(self, batch: WeightBatch) -> Targets | None:
        """What the INRs of a batch were fitted to; None if the store does not hold its signals."""
        return self.targets(batch.signal.cpu().numpy()) if self.store.has_signals else None

    def targets(self, signal_B: NDArray[np.int64]) -> Targets:
        """Return what the INRs of some signals were fitted to."""
        return self.table(signal_B).targets()

    def table(self, signal_B: NDArray[np.int64]) -> SignalTable:
        """Return all arrays of some signals; parts of the store stay in memory once they are decoded."""
        part_B, row_B = np.divmod(signal_B, self._at_once)
        parts = {number: self._part(number) for number in np.unique(part_B).tolist()}
        first = next(iter(parts.values()))
        arrays: dict[str, NDArray[Any]] = {
            name: np.empty((len(signal_B), *array.shape[1:]), array.dtype) for name, array in first.arrays.items()
        }
        for number, part in parts.items():
            mask_B = part_B == number
            for name, array in part.arrays.items():
                arrays[name][mask_B] = array[row_B[mask_B]]
        limits, valid = self.store.limits, self.store.valid
        return replace(
            first,
            arrays=arrays,
            limits_N2=None if limits is None else limits[signal_B],
            valid_N2=None if valid is None else valid[signal_B],
        )

    def _read_part(self, number: int) -> SignalTable:
        return self.store.signal_table(slice(number * self._at_once, (number + 1) * self._at_once))


def _as_evaluate(values_of: ValuesOf) -> Callable[[INR, Tensor, Tensor], Tensor]:
    return lambda inr, inputs, where: values_of(inputs, where)
