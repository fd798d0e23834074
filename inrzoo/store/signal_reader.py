"""Reads the signals of a store: their numbers, their limits, their points, and what INRs were fitted to.

Shape letters: N signals, K coordinates, D coordinate dimensions, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.store.arrays import Arrays
from inrzoo.store.blocks import BUILD_FOLDER
from inrzoo.store.checks import guarded
from inrzoo.store.info import StoreInfo
from inrzoo.store.names import LIMITS, VALID, number_array, signal_array
from inrzoo.store.recorded import damaged
from inrzoo.targets import SignalTable, Targets

if TYPE_CHECKING:
    from torch import Tensor

    from inrzoo.inrs import INR
    from inrzoo.observations import Observation, Observer

Evaluate: TypeAlias = "Callable[[INR, Tensor, Tensor], Tensor]"
"""Values of INRs at coordinates, as an engine has it."""


class SignalReader:
    """The part of `Store` that reads signals."""

    location: str
    info: StoreInfo
    _arrays: Arrays

    if TYPE_CHECKING:

        @property
        def num_signals(self) -> int:
            """See `Store`."""

        @cached_property
        def inr(self) -> INR:
            """See `Store`."""

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the signals' grid, slowest axis first; (K,) for signals with points of their own."""
        return self.info.grid

    @property
    def has_signals(self) -> bool:
        """Whether the store holds its signals, or holds them while it is being built."""
        return self._signals_home is not None

    def signals(self, rows: slice | NDArray[np.int64]) -> NDArray[Any]:
        """Numbers of signals as they were read, (rows, K, C), of the type `info.manifest.values.dtype`.

        Raises:
            InrzooError: their licence keeps them out.
        """
        if (home := self._signals_home) is None:
            raise InrzooError(f"{self.location} does not hold its signals; name them with --source PATH")
        shape = (self.num_signals, math.prod(self.info.grid), self.channels)
        return self._arrays.signals(home, shape, rows, self.info.manifest.values.dtype)

    def signal_table(self, rows: slice | NDArray[np.int64] = slice(None)) -> SignalTable:
        """All arrays of some signals, and what their numbers mean.

        Raises:
            InrzooError: as `signals`.
        """
        observation = self.observation  # checks what the store records of the arrays
        arrays = {"signals": self.signals(rows)}
        for name, spec in self.info.arrays.items():
            place = f"{self._signals_home}".removesuffix("signals") + signal_array(name)
            arrays[name] = self._arrays.signals(place, (self.num_signals, *spec.shape), rows, spec.dtype)
        return SignalTable(
            arrays=arrays,
            grid=self.info.grid,
            scale=self.info.manifest.values,
            coords=self.info.manifest.coords,
            observation=observation,
            limits_N2=None if self.limits is None else self.limits[rows],
            valid_N2=None if self.valid is None else self.valid[rows],
        )

    def targets(self, rows: slice | NDArray[np.int64]) -> Targets:
        """Coordinates and values that the INRs of some signals were fitted to. Raises InrzooError as `signals`."""
        return self.signal_table(rows).targets()

    @cached_property
    def limits(self) -> NDArray[np.float64] | None:
        """Numbers of each signal that became the ends of the value range, (N, 2); None for those of its type."""
        if self.info.manifest.values.scale == "dtype":
            return None
        limits_N2 = self._arrays.read(LIMITS, (self.num_signals, 2))
        if limits_N2.dtype != np.float64 or not (
            np.isfinite(limits_N2).all() and (limits_N2[:, 0] < limits_N2[:, 1]).all()
        ):
            raise damaged(self.location, f"{LIMITS} holds what are no limits")
        return limits_N2

    @cached_property
    def valid(self) -> NDArray[np.int64] | None:
        """First point of each signal and one after its last, (N, 2); the others are padding. None without padding."""
        if not self.info.padded:
            return None
        return self._arrays.read(VALID, (self.num_signals, 2), below=math.prod(self.info.grid) + 1)

    @cached_property
    def numbers(self) -> dict[str, NDArray[Any]]:
        """Further numbers of the signals by name, (N,) each, such as the sample at which a clip begins."""
        return {name: self._arrays.read(number_array(name), (self.num_signals,)) for name in self.info.numbers}

    @cached_property
    def channels(self) -> int:
        """C, the values of a signal at a point; an INR may have further outputs, such as a density."""
        extra: int = registry.find("observations", str(self.info.manifest.observation.get("name"))).extra_outputs
        return self.inr.out_features - extra

    def predict(self, weights_BP: Tensor, where: Tensor, evaluate: Evaluate | None = None) -> Tensor:
        """Predict the values of signals from INRs.

        Args:
            weights_BP: weights of INRs.
            where: coordinates, or what `Targets.coords` has instead.
            evaluate: values of an INR as an engine has them; None for torch's.

        Returns:
            (B, K, C), on the value scale.
        """
        values_at = self.inr if evaluate is None else partial(evaluate, self.inr)
        return (
            values_at(weights_BP, where) if self.observer is None else self.observer(values_at, weights_BP, where, None)
        )

    @cached_property
    def observer(self) -> Observer | None:
        """How values are predicted from INRs; None for the values of the INR at coordinates."""
        recorded = self.info.manifest
        return self.observation.observer(extent=recorded.coords.extent, value_range=recorded.values.range)

    @cached_property
    def observation(self) -> Observation:
        """How INRs are compared with signals.

        Raises:
            InrzooError: it is unknown, or does not go with the arrays and measures that the store records.
        """
        made: Observation = registry.make("observations", self.info.manifest.observation)
        if made.measure_names != self.info.observed_measures or {*made.arrays} != {*self.info.arrays}:
            what = f"measures {list(self.info.observed_measures)} and arrays {list(self.info.arrays)}"
            raise damaged(self.location, f"{what} are not those of the observation {self.info.manifest.observation}")
        declared, grid = self.info.arrays, self.info.grid
        shapes = {name: spec.shape for name, spec in declared.items()}
        if shapes:
            expected = guarded(self.location, "arrays", lambda: made.expected(grid, declared, self.channels))
            num_axes = guarded(self.location, "arrays", lambda: made.num_axes(grid, declared))
            if shapes != expected or num_axes != self.inr.in_features:
                raise damaged(self.location, f"arrays of the signals have the shapes {shapes}")
        return made

    @property
    def _signals_home(self) -> str | None:
        return next((name for name in ("signals", f"{BUILD_FOLDER}/signals") if self._arrays.has(name)), None)
