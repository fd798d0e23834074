"""The tables of a manifest as frozen dataclasses that check their values."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, Self, get_type_hints

from inrzoo import registry
from inrzoo.choices import EngineName, Products, Regulariser, ScheduleKind, WeightType
from inrzoo.errors import InrzooError
from inrzoo.manifest.signal_settings import Coords, Values, require
from inrzoo.nearest import among
from inrzoo.typecheck import check_type

RUNTIME_FIELDS = ("in_features", "out_features", "nyquist")
"""Fields of an INR that depend on the signals and their grid."""
GRID = {"name": "grid", "measures": []}
"""The observation of a manifest that names none."""


@dataclass(frozen=True, kw_only=True)
class Init:
    """The initial weights of a fit.

    Attributes:
        mode: `random`: a random draw for every (signal, seed). `shared`: one random draw for all signals of a seed.
            `fixed`: for all signals of a seed, weights fitted to one signal of the training split, drawn by the seed
            (few-shot paper, Sec. 3.3.3: "we optimize a random image to acquire a fixed weight"; it does not say which
            image). `file`: weights from a file. `hypernet`: the output of a trained hypernetwork, which `fit`
            continues.
        sha256: sha256 of the weights for mode `file`, of the hypernetwork for `hypernet`; set when the file is read.
    """

    mode: Literal["random", "shared", "fixed", "file", "hypernet"] = "random"
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Reject a mode without its file, and a file in another mode."""
        allowed = "the sha256 of --init FILE or --fitter CHECKPOINT, only in modes file and hypernet"
        has_file = self.mode in ("file", "hypernet")
        require("init.sha256", self.sha256, (self.sha256 is not None) == has_file, allowed)


@dataclass(frozen=True, kw_only=True)
class AntiAlias:
    """The anti-aliasing regulariser of multiplicative filter networks; see `inrzoo.fit.antialias`.

    Attributes:
        regulariser: a name from that module.
        weight: weight of the penalty, relative to the loss summed over coordinates and channels; 0 disables it.
        alpha: maximum of the frequency bound as a fraction of the grid's Nyquist frequency.
    """

    regulariser: Regulariser = "hinge"
    weight: float = 0.0
    alpha: float = 1.0

    def __post_init__(self) -> None:
        """Reject impossible values."""
        require("antialias.weight", self.weight, 0 <= self.weight < math.inf, "0 or more")
        require("antialias.alpha", self.alpha, 0 < self.alpha < math.inf, "above 0")

    @property
    def used(self) -> bool:
        """True if the regulariser has an effect."""
        return self.weight > 0 or self.regulariser == "projection"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The settings of a fit by Adam.

    Attributes:
        steps: optimiser steps, at least 1; 0 keeps the output of a hypernetwork.
        lr: Adam's learning rate, above 0.
        schedule: how the learning rate changes over `steps`; see `inrzoo.fit.schedule`. Views are snapshots of one fit
            of all steps.
        final_lr_factor: factor of the learning rate at the end of a cosine, from 0 to 1.
        warm_up: number of first steps in which the learning rate grows to `lr`, below `steps`.
        weight_decay: decoupled weight decay (AdamW), 0 or more.
        max_grad_norm: L2 norm to which the gradient of each INR is clipped, above 0, or None.
        lr_per_tensor: `equal`, or `spread`: the rate of a tensor is `lr` times the standard deviation of its initial
            weights, over the largest one of the INR's tensors.
        num_coords: coordinates drawn at random for each step; None takes all of them.
        evaluate_every: steps between two evaluations on all coordinates, at which a fit can stop, with `num_coords`.
        stop_psnr: PSNR in dB at which the fit of an INR stops, or None. Views disable it unless `stop_views` is set.
        views: ascending step counts of the stored snapshots, none above `steps`; empty stores the last step only.
        stop_views: whether to stop at `stop_psnr` despite views; later views then repeat the final weights.
        engine: engine of the fit, see `inrzoo.fit.engines`; `auto` is the fastest that supports the INR. A store
            records the engine that ran, `numba` where it was an earlier version's: that engine is gone.
        products: precision of the engine's matrix products; `auto` is its default. A store records it.
    """

    steps: int = 1000
    lr: float = 5e-4
    schedule: ScheduleKind = "constant"
    final_lr_factor: float = 0.0
    warm_up: int = 0
    weight_decay: float = 0.0
    max_grad_norm: float | None = None
    lr_per_tensor: Literal["equal", "spread"] = "equal"
    num_coords: int | None = None
    evaluate_every: int = 10
    stop_psnr: float | None = None
    views: tuple[int, ...] = ()
    stop_views: bool = False
    engine: EngineName = "auto"
    products: Products = "auto"

    def __post_init__(self) -> None:
        """Reject impossible values."""
        require("fit.steps", self.steps, self.steps >= 0, "at least 1")
        require("fit.lr", self.lr, 0 < self.lr < math.inf, "above 0")
        require("fit.final_lr_factor", self.final_lr_factor, 0 <= self.final_lr_factor <= 1, "from 0 to 1")
        require("fit.warm_up", self.warm_up, 0 <= self.warm_up < max(1, self.steps), f"below fit.steps = {self.steps}")
        require("fit.weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or more")
        allowed = self.max_grad_norm is None or 0 < self.max_grad_norm < math.inf
        require("fit.max_grad_norm", self.max_grad_norm, allowed, "above 0")
        require("fit.num_coords", self.num_coords, self.num_coords is None or self.num_coords >= 1, "at least 1")
        require("fit.evaluate_every", self.evaluate_every, self.evaluate_every >= 1, "at least 1")
        require("fit.stop_psnr", self.stop_psnr, self.stop_psnr is None or math.isfinite(self.stop_psnr), "finite dB")
        ascending = all(a < b for a, b in pairwise((0, *self.views)))
        require("fit.views", list(self.views), ascending, "ascending step counts from 1")
        if self.views and self.views[-1] > self.steps:
            raise InrzooError(
                f"fit.views = {list(self.views)} is not allowed; the fit has fit.steps = {self.steps}, "
                f"so no view may be beyond {self.steps}"
            )

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Step counts of the stored snapshots."""
        return self.views or (self.steps,)

    @property
    def effective_stop_psnr(self) -> float | None:
        """PSNR in dB that stops a fit, given the views; None if nothing does."""
        return self.stop_psnr if self.stop_views or not self.views else None


class Recorded:
    """Settings that a store records, together with others."""

    @classmethod
    def recorded(cls, tables: Mapping[str, Any]) -> Self:
        """Read the settings from the manifest of a store and ignore its other keys.

        Raises:
            InrzooError: a key is missing or has an impossible value; the message names it.
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

    `source`, `inr` and `observation` are component tables: `name` and all fields.

    Attributes:
        name: name of the dataset, part of the key of every random stream.
        coords: where the values of a signal lie; the table `[coords]`.
        values: what the numbers of a signal mean; the table `[values]`.
        observation: where INRs are compared with signals, and by which measures; the table `[observation]`.
        source: where the signals come from; the table `[source]`.
        inr: the architecture; the table `[inr]`.
        title: what the dataset is, in a line.
        licence: licence of the signals, by its SPDX identifier where it has one.
        citation: who made the signals.
        seeds: number of independent fits of each signal.
        limit: maximum number of signals, an even share of every class; None for all.
        earlier_limits: limits before the store grew, ascending; the signals of each are kept. Set when it grows.
        weights: type that fitted weights are rounded to before they are stored; float32 keeps every bit.
        compress: whether the weights are compressed, without loss.
        citation: who made the signals, in a sentence.
        bibtex: the same as BibTeX entries, for cards.
        redistributable: whether the licence allows a copy of the signals in the store.
        preset: name of the applied preset.
        recipe: name of the applied recipe.
    """

    name: str
    coords: Coords = field(default_factory=Coords)
    values: Values = field(default_factory=Values)
    observation: dict[str, Any] = field(default_factory=lambda: dict(GRID))
    source: dict[str, Any]
    inr: dict[str, Any]
    title: str = ""
    licence: str = "unknown"
    citation: str = ""
    bibtex: str = ""
    redistributable: bool = False
    preset: str | None = None
    recipe: str | None = None
    seeds: int = 1
    limit: int | None = None
    earlier_limits: tuple[int, ...] = ()
    weights: WeightType = "float32"
    compress: bool = False

    def __post_init__(self) -> None:
        """Reject impossible values."""
        require("name", self.name, bool(self.name), "a non-empty name")
        require("seeds", self.seeds, self.seeds >= 1, "at least 1")
        require("limit", self.limit, self.limit is None or self.limit >= 1, "at least 1")
        ascending = all(a < b for a, b in pairwise((0, *self.earlier_limits)))
        below = not self.earlier_limits or (self.limit is not None and self.earlier_limits[-1] < self.limit)
        require("earlier_limits", list(self.earlier_limits), ascending and below, "ascending numbers below limit")


@dataclass(frozen=True, kw_only=True)
class FitSettings(Recorded):
    """The settings that fit an INR to a signal. A store gives them without its source or any other component.

    Attributes:
        name: name of the dataset, part of the key of every random stream.
        coords: where the values of a signal lie; the table `[coords]`.
        values: what the numbers of a signal mean; the table `[values]`.
        observation: where INRs are compared with signals, and by which measures; the table `[observation]`.
        init: the initial weights; the table `[init]`.
        fit: the optimisation; the table `[fit]`.
        antialias: the regulariser of multiplicative filter networks; the table `[antialias]`.
    """

    name: str
    coords: Coords = field(default_factory=Coords)
    values: Values = field(default_factory=Values)
    observation: dict[str, Any] = field(default_factory=lambda: dict(GRID))
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
            require("seeds", self.seeds, self.seeds == 1, "1: a hypernetwork makes one INR of each signal")
        else:
            require("fit.steps", self.fit.steps, self.fit.steps >= 1, "at least 1")

    def to_json(self) -> dict[str, Any]:
        """Return the tables that a store records; the youngest keys only where they are not the default."""
        tables: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        plain = {"earlier_limits": [], "weights": "float32", "compress": False}
        return {key: value for key, value in tables.items() if key not in plain or value != plain[key]}

    def filled(self) -> Manifest:
        """Fill in the default fields of the components. Each is made once, which checks them.

        Raises:
            InrzooError: a component or one of its fields is unknown, or a value is impossible.
        """
        source = {**self.source, **dataclasses.asdict(registry.make("sources", self.source))}
        inr = {**self.inr, **dataclasses.asdict(make_inr(self.inr, in_features=1, out_features=1, nyquist=1.0))}
        for key in RUNTIME_FIELDS:  # the signals decide these, not the manifest
            inr.pop(key, None)
        observation = {**self.observation, **dataclasses.asdict(registry.make("observations", self.observation))}
        return dataclasses.replace(self, source=source, inr=inr, observation=json.loads(json.dumps(observation)))

    @classmethod
    def from_json(cls, tables: Mapping[str, Any]) -> Manifest:
        """Read the tables of `to_json` from a store; no component is made."""
        return cls.recorded(tables)


def make_inr(spec: Mapping[str, Any], in_features: int, out_features: int, nyquist: float | None) -> Any:
    """Make the INR of a manifest's table `inr` for signals of D coordinate dimensions and C channels.

    Args:
        spec: the table `inr`.
        in_features: D.
        out_features: C.
        nyquist: Nyquist frequency of the fitting grid in radians per coordinate unit, the smallest of its axes; INRs
            without such a field ignore it. None without a grid.
    """
    return registry.make("inrs", spec, in_features=in_features, out_features=out_features, nyquist=nyquist)


def from_tables(tables: Mapping[str, Any], where: str) -> Manifest:
    """Make a manifest from nested tables; `where` names the file in errors."""
    try:
        manifest: Manifest = _dataclass(Manifest, tables, "")
        return manifest.filled()
    except InrzooError as error:
        raise InrzooError(f"{where}: {error}") from None


def _dataclass(cls: Any, tables: Mapping[str, Any], prefix: str) -> Any:
    hints = get_type_hints(cls)
    fields = {}
    for key, value in tables.items():
        if key not in hints:
            raise InrzooError(f"unknown key {prefix + key!r} (given {value!r}){among(key, hints)}")
        nested = dataclasses.is_dataclass(hints[key]) and isinstance(value, Mapping)
        fields[key] = (
            _dataclass(hints[key], value, f"{prefix}{key}.")
            if nested
            else check_type(prefix + key, value, dict[str, Any] if dataclasses.is_dataclass(hints[key]) else hints[key])
        )
    missing = [f.name for f in dataclasses.fields(cls) if f.default is f.default_factory and f.name not in fields]
    if missing:
        raise InrzooError(f"missing key {', '.join(prefix + key for key in missing)}")
    return cls(**fields)
