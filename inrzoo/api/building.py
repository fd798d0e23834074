"""The function `build`: turns arguments into a manifest and builds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from inrzoo import manifest
from inrzoo.api.typed import checked, option
from inrzoo.errors import InrzooError
from inrzoo.keywords import keywords_checked
from inrzoo.manifest import Manifest
from inrzoo.typecheck import to_toml

if TYPE_CHECKING:
    from inrzoo.builder import Report, Starts
    from inrzoo.store import Location

INIT_MODES = ("random", "shared", "fixed")
DECIDED_BY_BASE = ("inr.", "coords.", "values.range")
DECIDED_BY_FITTER = ("inr.", "coords.", "values.", "init.", "fit.steps", "fit.stop_psnr")


class BuildRequest(NamedTuple):
    """The resolved arguments of `build`.

    Attributes:
        manifest: the manifest with all overrides applied.
        out: the store.
        starts: further keywords of `inrzoo.builder.build` and `plan`.
    """

    manifest: Manifest
    out: str | Location
    starts: Starts


@keywords_checked
def build(
    dataset: str | Path | Manifest,
    *,
    preset: str | None = None,
    recipe: str | None = None,
    seeds: int | None = None,
    views: Sequence[int] | None = None,
    inr: str | None = None,
    engine: str | None = None,
    products: str | None = None,
    steps: int | None = None,
    lr: float | None = None,
    stop_psnr: float | None = None,
    init: str | Path | None = None,
    fitter: str | Path | None = None,
    tto: int | None = None,
    base: str | Path | None = None,
    anti_alias: float | Literal["projection"] | None = None,
    limit: int | None = None,
    weights: str | None = None,
    compress: bool = False,
    settings: Mapping[str, Any] | None = None,
    source: str | Path | None = None,
    out: str | Location | None = None,
    workers: int | Literal["auto"] | None = None,
    per_worker: Mapping[str, float] | None = None,
    address: str | None = None,
    in_process: bool = False,
    device: str = "auto",
    overwrite: bool = False,
    quiet: bool = False,
) -> Report:
    """Fit a dataset of INRs into a store, as `inrzoo build` does. Repeat the call to continue an interrupted build.

    Args:
        dataset: a name that `inrzoo list` shows, a path to a .toml file, or a `Manifest`; or a store, whose build then
            continues with the recorded settings or, with `seeds` or `limit`, adds seeds or signals.
        preset: name of a preset, the settings of a paper.
        recipe: name of a recipe, our settings of fits for one purpose: `fast`; applied after the preset.
        seeds: number of independent fits of each signal. Seeds that a store lacks are added.
        views: step counts of the stored snapshots. `steps` is the last one if None.
        inr: name of an architecture.
        engine: name of a fitting engine.
        products: precision of matrix products on a GPU: `bf16x3`, `ieee` or `tf32`.
        steps: optimiser steps.
        lr: Adam's learning rate.
        stop_psnr: PSNR in dB at which the fit of an INR stops; 0 disables it.
        init: initial weights: `random`, `shared`, `fixed`, or a store or .safetensors file.
        fitter: checkpoint of a hypernetwork that makes the INRs.
        tto: steps of test-time optimisation (Adam) after `fitter`; 0 if None.
        base: run or checkpoint of `functa`, or a store: the base that all INRs share; their latents are fitted.
        anti_alias: weight of the anti-aliasing regulariser, or `projection`.
        limit: maximum number of signals, an even share of every class. Signals that a finished store lacks are added.
        weights: type that the store keeps weights in: `float32`, or rounded to `float16`, `bfloat16`, `int16` or
            `int8`.
        compress: whether to compress the weights, without loss.
        settings: any other key of the manifest and its value: `{"inr.omega_0": 15}`.
        source: local files of the signals.
        out: the store, a folder or `s3://BUCKET/NAME.zarr`; DATASET.zarr or DATASET-PRESET.zarr in the current folder
            if None.
        workers: number of processes; one per core or GPU if None. `auto` follows a cluster.
        per_worker: resources of a worker: `{"cpu": 2}`, `{"cpu": 1, "gpu": 0.5}`.
        address: a running Ray cluster to join: `auto`, or `ray://HEAD:10001`.
        in_process: whether to fit in this process, without Ray.
        device: `cpu`, `cuda` or `auto`.
        overwrite: whether to replace the store at `out`.
        quiet: whether to hide progress.

    Returns:
        A report of the work and of the quality of the store.

    Raises:
        InrzooError: one line says what to change; finished blocks are safe.

    Example:
        >>> report = inrzoo.build("digits", limit=8, steps=20, out="eight.zarr", in_process=True, quiet=True)
        >>> report.num_inrs
        8
    """
    request = build_request(
        dataset,
        preset=preset,
        recipe=recipe,
        seeds=seeds,
        views=views,
        inr=inr,
        engine=engine,
        products=products,
        steps=steps,
        lr=lr,
        stop_psnr=stop_psnr,
        init=init,
        fitter=fitter,
        tto=tto,
        base=base,
        anti_alias=anti_alias,
        limit=limit,
        weights=weights,
        compress=compress,
        settings=settings,
        out=out,
    )
    from inrzoo import builder

    return builder.build(
        request.manifest,
        request.out,
        source=None if source is None else Path(source),
        workers=workers,
        per_worker=per_worker,
        in_process=in_process,
        address=address,
        device=device,
        overwrite=overwrite,
        quiet=quiet,
        **request.starts,
    )


def build_request(
    dataset: str | Path | Manifest,
    *,
    out: str | Location | None,
    preset: str | None,
    recipe: str | None,
    settings: Mapping[str, Any] | None,
    init: str | Path | None,
    fitter: str | Path | None,
    tto: int | None,
    base: str | Path | None = None,
    **options: Any,
) -> BuildRequest:
    """Resolve the arguments of `build`. Only manifests are read.

    Raises:
        InrzooError: the dataset or preset is unknown, or a value is not allowed.
    """
    overrides = _overrides(init, options) | dict(settings or {})
    is_store = not isinstance(dataset, Manifest) and (Path(dataset) / "zarr.json").is_file()
    if is_store:
        resolved = _recorded(Path(str(dataset)), preset, recipe, overrides, out)
    else:
        layers = {"preset": preset, "recipe": recipe}
        typed = {key: option(key, name) for key, name in layers.items() if name is not None}
        typed |= _typed(init, options, settings or {})
        resolved = checked(
            lambda chosen: manifest.load(
                dataset,
                chosen.get("preset"),
                {key: value for key, value in chosen.items() if key not in layers},
                recipe=chosen.get("recipe"),
                trusted=True,
            ),
            {**layers, **overrides},
            typed,
        )
    starts: Starts = {}
    if init not in (None, *INIT_MODES):
        starts["init"] = Path(str(init))
    if fitter is not None:
        starts |= {"fitter": Path(fitter), "tto": tto or 0}
        if options["views"] is not None and options["steps"] is None:
            overrides = {key: value for key, value in overrides.items() if key != "fit.steps"}  # the last view
        if decided := sorted(key for key in overrides if key.startswith(DECIDED_BY_FITTER)):
            raise InrzooError(f"{', '.join(decided)} cannot be set with --fitter: the hypernetwork and --tto decide it")
    elif tto is not None:
        raise InrzooError(f"--tto {tto} continues from the output of a hypernetwork; pass --fitter too")
    if base is not None:
        starts["base"] = Path(base)
        if decided := sorted(key for key in overrides if key.startswith(DECIDED_BY_BASE)):
            raise InrzooError(f"{', '.join(decided)} cannot be set with --base: the training of the base decided it")
    if is_store:
        out = Path(str(dataset))
    elif out is None:
        named = preset is not None and preset != manifest.default_preset(str(dataset))
        out = Path(f"{resolved.name}-{resolved.preset}.zarr" if named else f"{resolved.name}.zarr")
    return BuildRequest(resolved, out, starts)


def _recorded(
    store: Path, preset: str | None, recipe: str | None, overrides: dict[str, Any], out: str | Location | None
) -> Manifest:
    """Return the manifest in a store, with the new numbers of seeds and signals if any; nothing else can change."""
    from inrzoo.store import open_store

    other = [
        *(["--preset"] if preset else []),
        *(["--recipe"] if recipe else []),
        *(["--out"] if out else []),
        *sorted({*overrides} - {"seeds", "limit"}),
    ]
    if other:
        raise InrzooError(
            f"{store} is a store, in which only --seeds and --limit can be changed; it takes no {', '.join(other)}"
        )
    opened = open_store(store)
    if opened.info.gathered is not None:
        _ = opened.settings  # refuses stores that no single build reproduces
    recorded = Manifest.from_json(opened.info.manifest.tables)
    limit = overrides.get("limit", recorded.limit)
    earlier = recorded.earlier_limits if limit == recorded.limit else ()
    return replace(recorded, seeds=overrides.get("seeds", recorded.seeds), limit=limit, earlier_limits=earlier)


KEYS = {
    "seeds": "seeds",
    "limit": "limit",
    "weights": "weights",
    "compress": "compress",
    "inr": "inr.name",
    "steps": "fit.steps",
    "lr": "fit.lr",
    "engine": "fit.engine",
    "products": "fit.products",
}
"""The manifest's key of each option that sets one key to its own value."""


def _given(value: Any) -> bool:
    """Whether an option was given: it has a value, or is a flag that is on."""
    return value is not None and value is not False


def _typed(init: str | Path | None, options: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the option that sets each dotted manifest key, as it is typed."""
    keys = {**KEYS, "stop_psnr": "fit.stop_psnr", "views": "fit.views"}
    typed = {key: option(name, options[name]) for name, key in keys.items() if _given(options[name])}
    if (anti_alias := options["anti_alias"]) is not None:
        typed |= dict.fromkeys(("antialias.weight", "antialias.regulariser"), option("anti_alias", anti_alias))
    if init in INIT_MODES:
        typed["init.mode"] = option("init", init)
    return typed | {key: f"--set {key}={to_toml(value)}" for key, value in settings.items()}


def _overrides(init: str | Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as dotted manifest keys."""
    overrides = {key: options[name] for name, key in KEYS.items() if _given(options[name])}
    if options["stop_psnr"] is not None:
        overrides["fit.stop_psnr"] = options["stop_psnr"] or None
    if options["views"] is not None:
        views = list(options["views"])
        overrides["fit.views"] = views
        if options["steps"] is None:
            overrides["fit.steps"] = max(views, default=None)
        # With both options fits stop, and later views repeat the final weights.
        overrides["fit.stop_views"] = bool(options["stop_psnr"])
    if options["anti_alias"] == "projection":  # the one regulariser without a weight
        overrides["antialias.regulariser"] = "projection"
    elif options["anti_alias"] is not None:
        overrides["antialias.weight"] = options["anti_alias"]
    if init in INIT_MODES:
        overrides["init.mode"] = init
    return overrides
