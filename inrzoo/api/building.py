"""`build` as a function: arguments as a manifest, and one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from inrzoo import manifest
from inrzoo.errors import InrzooError
from inrzoo.keywords import keywords_checked
from inrzoo.manifest import Manifest

if TYPE_CHECKING:
    from inrzoo.builder import Report
    from inrzoo.store import Location

INIT_MODES = ("random", "shared", "fixed")
DECIDED_BY_FITTER = ("inr.", "coords.", "values.", "init.", "fit.steps", "fit.stop_psnr")


class BuildRequest(NamedTuple):
    """What `build` was asked for.

    Attributes:
        manifest: with all overrides applied.
        out: the store.
        starts: `init`, `fitter` and `tto` as `inrzoo.builder.build` and `plan` take them.
    """

    manifest: Manifest
    out: str | Location
    starts: dict[str, Any]


@keywords_checked
def build(
    dataset: str | Path | Manifest,
    *,
    preset: str | None = None,
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
    anti_alias: float | Literal["projection"] | None = None,
    limit: int | None = None,
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
    """Fit a dataset of INRs into a store, as `inrzoo build` does. The same call continues what was interrupted.

    Args:
        dataset: a name that `inrzoo list` shows, a path to a .toml file, or a `Manifest`; or a store, which then
            continues or, with `seeds`, grows by what it records.
        preset: settings of a paper.
        seeds: independent fits of each signal. More than a store has are added to it.
        views: step counts at which snapshots are kept. The last one is `steps` if that is None.
        inr: name of an architecture.
        engine: name of what fits.
        products: precision of matrix products on a GPU: `bf16x3`, `ieee` or `tf32`.
        steps: optimiser steps.
        lr: Adam's step size.
        stop_psnr: dB at which an INR stops; 0 for never.
        init: where fits start: `random`, `shared`, `fixed`, or a store or .safetensors file.
        fitter: checkpoint of a hypernetwork that makes the INRs.
        tto: steps of Adam on what `fitter` makes; 0 if None.
        anti_alias: weight of the anti-aliasing regulariser, or `projection`.
        limit: at most this many signals, an even share of every class.
        settings: any other key of the manifest and its value: `{"inr.omega_0": 15}`.
        source: local files to read the signals from.
        out: the store, a folder or `s3://BUCKET/NAME.zarr`; DATASET.zarr or DATASET-PRESET.zarr here if None.
        workers: processes; one per core or GPU if None. `auto` follows a cluster.
        per_worker: what a worker takes of a node: `{"cpu": 2}`, `{"cpu": 1, "gpu": 0.5}`.
        address: a running Ray cluster to join: `auto`, or `ray://HEAD:10001`.
        in_process: fit in this process, without Ray.
        device: `cpu`, `cuda` or `auto`.
        overwrite: replace a store that stands at `out`.
        quiet: show no progress.

    Returns:
        What was done, and how good the store is.

    Raises:
        InrzooError: one line that says what to change; finished blocks are safe.

    Example:
        >>> report = inrzoo.build("digits", limit=8, steps=20, out="eight.zarr", in_process=True, quiet=True)
        >>> report.num_inrs
        8
    """
    request = build_request(
        dataset,
        preset=preset,
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
        anti_alias=anti_alias,
        limit=limit,
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
    settings: Mapping[str, Any] | None,
    init: str | Path | None,
    fitter: str | Path | None,
    tto: int | None,
    **options: Any,
) -> BuildRequest:
    """The manifest, the store and the starts that arguments of `build` ask for. Reads manifests and nothing else.

    Raises:
        InrzooError: an unknown dataset or preset, or a value that is not allowed.
    """
    overrides = _overrides(init, options) | dict(settings or {})
    of_store = not isinstance(dataset, Manifest) and (Path(dataset) / "zarr.json").is_file()
    if of_store:
        whole = _recorded(Path(str(dataset)), preset, overrides, out)
    else:
        whole = manifest.load(dataset, preset, overrides, trusted=True)
    starts: dict[str, Any] = {}
    if init not in (None, *INIT_MODES):
        starts["init"] = Path(str(init))
    if fitter is not None:
        starts |= {"fitter": Path(fitter), "tto": tto or 0}
        if options["views"] is not None and options["steps"] is None:
            overrides = {key: value for key, value in overrides.items() if key != "fit.steps"}  # the last view
        if decided := sorted(key for key in overrides if key.startswith(DECIDED_BY_FITTER)):
            raise InrzooError(f"{', '.join(decided)} cannot be set with --fitter: the hypernetwork and --tto decide it")
    elif tto is not None:
        raise InrzooError(f"--tto {tto} goes on from what a hypernetwork makes; give --fitter too")
    if of_store:
        out = Path(str(dataset))
    elif out is None:
        named = preset is not None and preset != manifest.default_preset(str(dataset))
        out = Path(f"{whole.name}-{whole.preset}.zarr" if named else f"{whole.name}.zarr")
    return BuildRequest(whole, out, starts)


def _recorded(store: Path, preset: str | None, overrides: dict[str, Any], out: str | Location | None) -> Manifest:
    """The manifest in a store, with another number of seeds if one is given: nothing else of a store can change."""
    from inrzoo.store import open_store

    other = [*(["--preset"] if preset else []), *(["--out"] if out else []), *sorted({*overrides} - {"seeds"})]
    if other:
        raise InrzooError(f"{store} is a store, of which --seeds alone can be changed; it takes no {', '.join(other)}")
    recorded = Manifest.from_json(open_store(store).info.manifest.tables)
    return replace(recorded, seeds=overrides.get("seeds", recorded.seeds))


def _overrides(init: str | Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as dotted manifest keys."""
    keys = {"seeds": "seeds", "limit": "limit", "inr": "inr.name", "steps": "fit.steps", "lr": "fit.lr"}
    keys |= {"engine": "fit.engine", "products": "fit.products"}
    overrides = {key: options[option] for option, key in keys.items() if options[option] is not None}
    if options["stop_psnr"] is not None:
        overrides["fit.stop_psnr"] = options["stop_psnr"] or None
    if options["views"] is not None:
        views = list(options["views"])
        overrides["fit.views"] = views
        if options["steps"] is None:
            overrides["fit.steps"] = max(views, default=None)
        # Both were asked for: stop, and let later views repeat the stopped weights.
        overrides["fit.stop_views"] = bool(options["stop_psnr"])
    if options["anti_alias"] == "projection":  # the one regulariser without a weight
        overrides["antialias.regulariser"] = "projection"
    elif options["anti_alias"] is not None:
        overrides["antialias.weight"] = options["anti_alias"]
    if init in INIT_MODES:
        overrides["init.mode"] = init
    return overrides
