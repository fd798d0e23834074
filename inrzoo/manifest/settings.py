"""What a manifest says, as frozen dataclasses that check themselves."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, Self, get_type_hints

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.typecheck import check_type

RUNTIME_FIELDS = ("in_features", "out_features", "nyquist")
"""Fields of an INR that the signals and their grid decide."""


@dataclass(frozen=True, kw_only=True)
class Coords:
    """Where the values of a signal sit; see `inrzoo.coords.grid`."""

    spacing: Literal["end_points", "pixel_centres"] = "end_points"
    axis_order: Literal["row_col", "x_y"] = "row_col"


@dataclass(frozen=True, kw_only=True)
class Values:
    """What an INR is fitted to: value = low + (high − low) · signal / 255."""

    range: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        """Reject an empty range."""
        _require(
            "values.range",
            list(self.range),
            -math.inf < self.range[0] < self.range[1] < math.inf,
            "[low, high] with low below high, both finite",
        )


@dataclass(frozen=True, kw_only=True)
class Init:
    """Where a fit starts.

    Attributes:
        mode: `random`: every (signal, seed) from its own draw. `shared`: all signals of a seed from one draw. `fixed`:
            all signals of a seed from weights that were fitted to one signal of the training split, drawn by the seed
            (few-shot paper, Sec. 3.3.3: "we optimize a random image to acquire a fixed weight"; which image, the
            paper does not say). `file`: from given weights. `hypernet`: from what a trained hypernetwork makes of the
            signal; `fit` is then what comes after it.
        sha256: of those weights for mode `file`, of the hypernetwork for `hypernet`; filled in when the file is read.
    """

    mode: Literal["random", "shared", "fixed", "file", "hypernet"] = "random"
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Reject a mode without the file it needs, and a file that nothing would read."""
        allowed = "that of what --init FILE or --fitter CHECKPOINT gives, in modes file and hypernet alone"
        given = self.mode in ("file", "hypernet")
        _require("init.sha256", self.sha256, (self.sha256 is not None) == given, allowed)


@dataclass(frozen=True, kw_only=True)
class AntiAlias:
    """The anti-aliasing regulariser of multiplicative filter networks; see `inrzoo.fit.antialias`.

    Attributes:
        regulariser: a name from that module.
        weight: of the penalty, in units of the loss summed over coordinates and channels; 0 is none.
        alpha: share of the grid's Nyquist frequency that the frequency bound may reach.
    """

    regulariser: Literal["hinge", "linf", "axis_linf", "smooth_max", "l1", "l0_surrogate", "projection"] = "hinge"
    weight: float = 0.0
    alpha: float = 1.0

    def __post_init__(self) -> None:
        """Reject impossible values."""
        _require("antialias.weight", self.weight, 0 <= self.weight < math.inf, "0 or more")
        _require("antialias.alpha", self.alpha, 0 < self.alpha < math.inf, "above 0")

    @property
    def used(self) -> bool:
        """Whether the regulariser takes part at all."""
        return self.weight > 0 or self.regulariser == "projection"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How an INR is fitted: Adam on the full grid.

    Attributes:
        steps: optimiser steps, at least 1; 0 where a hypernetwork's INRs stay as they are.
        lr: Adam's step size, above 0.
        stop_psnr: dB at which an INR stops, or None. Views switch it off unless `stop_views` is set.
        views: step counts at which snapshots are kept, ascending, none above `steps`; empty keeps the end alone.
        stop_views: stop at `stop_psnr` although views are kept; later views then repeat the stopped weights.
        engine: what fits, see `inrzoo.fit.engines`; `auto` is the fastest that serves the INR. A store records which it
            was.
        products: precision of the engine's matrix products, `auto` its default; recorded too.
    """

    steps: int = 1000
    lr: float = 5e-4
    stop_psnr: float | None = None
    views: tuple[int, ...] = ()
    stop_views: bool = False
    engine: Literal["auto", "triton", "cuda_graph", "fused", "numba", "reference"] = "auto"
    products: Literal["auto", "ieee", "bf16x3", "tf32"] = "auto"

    def __post_init__(self) -> None:
        """Reject impossible values."""
        _require("fit.steps", self.steps, self.steps >= 0, "at least 1")
        _require("fit.lr", self.lr, 0 < self.lr < math.inf, "above 0")
        _require("fit.stop_psnr", self.stop_psnr, self.stop_psnr is None or math.isfinite(self.stop_psnr), "finite dB")
        ascending = all(a < b for a, b in pairwise((0, *self.views)))
        _require("fit.views", list(self.views), ascending, "ascending step counts from 1")
        if self.views and self.views[-1] > self.steps:
            raise InrzooError(
                f"fit.views = {list(self.views)} is not allowed; the fit has fit.steps = {self.steps}, "
                f"so no view may lie beyond {self.steps}"
            )

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Step counts that are kept."""
        return self.views or (self.steps,)

    @property
    def effective_stop_psnr(self) -> float | None:
        """The PSNR that really stops a fit."""
        return self.stop_psnr if self.stop_views or not self.views else None


class Recorded:
    """Settings that a store records, together with others."""

    @classmethod
    def recorded(cls, tables: Mapping[str, Any]) -> Self:
        """The settings in the manifest of a store, whose other keys are left out.

        Raises:
            InrzooError: names the key that is missing or has an impossible value.
        """
        fields = {known.name for known in dataclasses.fields(cls)}  # type: ignore[arg-type]  # those below are
        try:
            settings: Self = _dataclass(cls, {key: value for key, value in tables.items() if key in fields}, "")
        except InrzooError as error:
            raise InrzooError(f"manifest of the store: {error}") from None
        return settings


@dataclass(frozen=True, kw_only=True)
class DatasetSettings(Recorded):
    """The settings of a dataset, whether its INRs were fitted by inrzoo or imported.

    `source` and `inr` are component tables: `name` and all fields.

    Attributes:
        name: of the dataset; part of every random stream.
        seeds: independent fits of each signal.
        limit: at most this many signals, an even share of every class; None for all.
        redistributable: whether the licence lets the signals stand in the store.
        preset: the preset that was applied.
    """

    name: str
    coords: Coords = field(default_factory=Coords)
    values: Values = field(default_factory=Values)
    source: dict[str, Any]
    inr: dict[str, Any]
    title: str = ""
    licence: str = "unknown"
    citation: str = ""
    redistributable: bool = False
    preset: str | None = None
    seeds: int = 1
    limit: int | None = None

    def __post_init__(self) -> None:
        """Reject impossible values."""
        _require("name", self.name, bool(self.name), "a word")
        _require("seeds", self.seeds, self.seeds >= 1, "at least 1")
        _require("limit", self.limit, self.limit is None or self.limit >= 1, "at least 1")


@dataclass(frozen=True, kw_only=True)
class FitSettings(Recorded):
    """The settings that fit an INR to a signal. A store gives them without its source or any other component.

    Attributes:
        name: of the dataset; part of every random stream.
    """

    name: str
    coords: Coords = field(default_factory=Coords)
    values: Values = field(default_factory=Values)
    init: Init = field(default_factory=Init)
    fit: Fit = field(default_factory=Fit)
    antialias: AntiAlias = field(default_factory=AntiAlias)


@dataclass(frozen=True, kw_only=True)
class Manifest(DatasetSettings, FitSettings):
    """Everything that decides a dataset."""

    def __post_init__(self) -> None:
        """Reject impossible values."""
        super().__post_init__()
        if self.init.mode == "hypernet":
            _require("seeds", self.seeds, self.seeds == 1, "1: a hypernetwork makes one INR of a signal")
        else:
            _require("fit.steps", self.fit.steps, self.fit.steps >= 1, "at least 1")

    def to_json(self) -> dict[str, Any]:
        """The content as a store records it."""
        tables: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return tables

    def filled(self) -> Manifest:
        """This manifest with the defaults of its source and its INR filled in. Makes both once, which checks them.

        Raises:
            InrzooError: an unknown component, or an unknown field or impossible value of one.
        """
        source = {**self.source, **dataclasses.asdict(registry.make("sources", self.source))}
        inr = {**self.inr, **dataclasses.asdict(make_inr(self.inr, in_features=1, out_features=1, nyquist=1.0))}
        for key in RUNTIME_FIELDS:  # the signals decide these, not the manifest
            inr.pop(key, None)
        return dataclasses.replace(self, source=source, inr=inr)

    @classmethod
    def from_json(cls, tables: Mapping[str, Any]) -> Manifest:
        """Inverse of `to_json`, for the manifest inside a store; no component is made."""
        return cls.recorded(tables)


def make_inr(spec: Mapping[str, Any], in_features: int, out_features: int, nyquist: float) -> Any:
    """An INR of a manifest's table `inr` for signals of D coordinate dimensions and C channels.

    Args:
        nyquist: radians per coordinate unit of the fitting grid, the smallest over its axes; for those whose init
            asks for it.
    """
    return registry.make("inrs", spec, in_features=in_features, out_features=out_features, nyquist=nyquist)


def from_tables(tables: Mapping[str, Any], where: str) -> Manifest:
    """A manifest from nested tables; an error names `where` they come from."""
    try:
        manifest: Manifest = _dataclass(Manifest, tables, "")
        return manifest.filled()
    except InrzooError as error:
        raise InrzooError(f"{where}: {error}") from None


def _dataclass(cls: Any, tables: Mapping[str, Any], prefix: str) -> Any:
    hints = get_type_hints(cls)
    given = {}
    for key, value in tables.items():
        if key not in hints:
            raise InrzooError(f"unknown key {prefix + key!r} (given {value!r}); allowed: {', '.join(hints)}")
        nested = dataclasses.is_dataclass(hints[key]) and isinstance(value, Mapping)
        given[key] = (
            _dataclass(hints[key], value, f"{prefix}{key}.")
            if nested
            else check_type(prefix + key, value, dict[str, Any] if dataclasses.is_dataclass(hints[key]) else hints[key])
        )
    missing = [f.name for f in dataclasses.fields(cls) if f.default is f.default_factory and f.name not in given]
    if missing:
        raise InrzooError(f"missing key {', '.join(prefix + key for key in missing)}")
    return cls(**given)


def _require(key: str, value: Any, holds: bool, allowed: str) -> None:
    if not holds:
        raise InrzooError(f"{key} = {value!r} is not allowed; it must be {allowed}")
