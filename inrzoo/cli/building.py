"""The command `build`: options as a manifest's keys, one call, a report out."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inrzoo.cli import SOURCE, Place, cli, numbers, say
from inrzoo.errors import InrzooError

if TYPE_CHECKING:
    from inrzoo.manifest import Manifest

INIT_MODES = ("random", "shared", "fixed")
DECIDED_BY_FITTER = ("inr.", "coords.", "values.", "init.", "fit.steps", "fit.stop_psnr")


class Workers(click.ParamType[int | str]):
    """A number, or `auto`."""

    name = "N or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Whether the number is allowed is not said here."""
        try:
            return value if value == "auto" else int(value)
        except ValueError:
            return self.fail(f"{value!r} is not allowed; expected a number or auto", param, ctx)


@cli.command()
@click.argument("dataset")
@click.option("--preset", help="Settings of a paper; `inrzoo list` shows them.")
@click.option("--seeds", type=int, help="Independent fits of each signal. More than a store has are added to it.")
@click.option("--views", help="Step counts at which snapshots are kept, e.g. 800,900,1000.")
@click.option("--inr", help="Architecture; `inrzoo list` shows them.")
@click.option("--engine", help="What fits, auto by default; `inrzoo list` shows what serves which INR.")
@click.option("--products", help="Precision of matrix products on a GPU: bf16x3 (default), ieee or tf32.")
@click.option("--steps", type=int, help="Optimiser steps.")
@click.option("--lr", type=float, help="Adam's step size.")
@click.option("--stop-psnr", type=float, help="dB at which an INR stops; 0 for never.")
@click.option("--init", help="Where fits start: random, shared, fixed, or a store or .safetensors FILE.")
@click.option("--fitter", type=click.Path(path_type=Path), help="Checkpoint of a hypernetwork that makes them.")
@click.option("--tto", type=int, metavar="STEPS", help="Steps of Adam on what --fitter makes; none by default.")
@click.option("--anti-alias", metavar="W", help="Weight of the anti-aliasing regulariser, or projection.")
@click.option("--limit", type=int, help="At most this many signals, an even share of every class.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key, e.g. inr.omega_0=15.")
@SOURCE
@click.option("--out", type=Place(), help="The store; DATASET.zarr here by default, or e.g. s3://BUCKET/NAME.zarr.")
@click.option("--workers", type=Workers(), help="Processes; one per core or GPU by default. auto follows a cluster.")
@click.option(
    "--per-worker", metavar="cpu=N,gpu=X", help="What a worker takes of a node: 1 core, or 1 GPU, by default."
)
@click.option("--address", help="A running Ray cluster to join: auto, or e.g. ray://HEAD:10001.")
@click.option("--in-process", is_flag=True, help="Fit in this process, without Ray.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@click.option("--overwrite", is_flag=True, help="Replace a store that stands at --out.")
@click.option("--plan", "planned", is_flag=True, help="Say what would be done and how long it takes; build nothing.")
@click.option("--nodes", type=int, default=1, show_default=True, help="Of --plan: machines like this one.")
def build(dataset: str, preset: str | None, settings: tuple[str, ...], **options: Any) -> None:
    """Fit a dataset of INRs into a store. Stop it at will: the same command continues.

    DATASET is a name that `inrzoo list` shows, or a path to a TOML file; or a store, which then continues or, with
    --seeds, grows by what it records.
    """
    from inrzoo import build as builder
    from inrzoo import manifest, report
    from inrzoo.build.estimate import check_nodes

    overrides = _overrides(options, settings)
    if (Path(dataset) / "zarr.json").is_file():
        wanted = _recorded(Path(dataset), preset, overrides, options["out"])
        out = options["out"] or Path(dataset)
    else:
        wanted = manifest.load(dataset, preset, overrides, trusted=True)
        named = preset not in (None, manifest.default_preset(dataset))
        out = options["out"] or Path(f"{wanted.name}-{wanted.preset}.zarr" if named else f"{wanted.name}.zarr")
    run = {key: options[key] for key in ("source", "fitter", "workers", "in_process", "address", "device", "overwrite")}
    run["per_worker"] = None if options["per_worker"] is None else _amounts(options["per_worker"])
    if options["init"] not in (None, *INIT_MODES):
        run["init"] = Path(options["init"])
    if options["fitter"] is not None:
        run["tto"] = options["tto"] or 0
        if options["views"] is not None and options["steps"] is None:
            overrides = {key: value for key, value in overrides.items() if key != "fit.steps"}  # the last view
        if decided := sorted(key for key in overrides if key.startswith(DECIDED_BY_FITTER)):
            raise InrzooError(f"{', '.join(decided)} cannot be set with --fitter: the hypernetwork and --tto decide it")
    elif options["tto"] is not None:
        raise InrzooError(f"--tto {options['tto']} goes on from what a hypernetwork makes; give --fitter too")
    if options["planned"]:
        planned = ("source", "device", "init", "fitter", "tto", "overwrite")
        run = {key: value for key, value in run.items() if key in planned}
        nodes = check_nodes(options["nodes"])
        say(report.of_plan(builder.plan(wanted, out, **run), nodes))
        return
    say(report.of_build(builder.build(wanted, out, **run)))


def _recorded(store: Path, preset: str | None, overrides: dict[str, Any], out: str | Path | None) -> Manifest:
    """The manifest in a store, with another number of seeds if one is given: nothing else of a store can change."""
    from inrzoo import open_store
    from inrzoo.manifest import Manifest

    other = [*(["--preset"] if preset else []), *(["--out"] if out else []), *sorted({*overrides} - {"seeds"})]
    if other:
        raise InrzooError(f"{store} is a store, of which --seeds alone can be changed; it takes no {', '.join(other)}")
    recorded = Manifest.from_json(open_store(store).attributes["manifest"])
    return replace(recorded, seeds=overrides.get("seeds", recorded.seeds))


def _amounts(text: str) -> dict[str, float]:
    """`cpu=2,gpu=0.5` as numbers."""
    try:
        amounts = {key: float(amount) for key, _, amount in (part.partition("=") for part in text.split(","))}
    except ValueError:
        amounts = {}
    if not amounts or amounts.keys() - {"cpu", "gpu"} or min(amounts.values()) <= 0:
        raise InrzooError(f"--per-worker {text} is not allowed; expected e.g. cpu=2 or cpu=1,gpu=0.5")
    return amounts


def _overrides(options: dict[str, Any], settings: tuple[str, ...]) -> dict[str, Any]:
    """Options and `--set` as dotted manifest keys."""
    keys = {"seeds": "seeds", "limit": "limit", "inr": "inr.name", "steps": "fit.steps", "lr": "fit.lr"}
    keys |= {"engine": "fit.engine", "products": "fit.products"}
    overrides = {key: options[option] for option, key in keys.items() if options[option] is not None}
    if options["stop_psnr"] is not None:
        overrides["fit.stop_psnr"] = options["stop_psnr"] or None
    if options["views"] is not None:
        overrides["fit.views"] = list(numbers("--views", options["views"], ",", "800,900") or ())
        if options["steps"] is None:
            overrides["fit.steps"] = max(overrides["fit.views"])
        # Both were asked for: stop, and let later views repeat the stopped weights.
        overrides["fit.stop_views"] = bool(options["stop_psnr"])
    if options["anti_alias"] == "projection":  # the one regulariser without a weight
        overrides["antialias.regulariser"] = "projection"
    elif options["anti_alias"] is not None:
        try:
            overrides["antialias.weight"] = float(options["anti_alias"])
        except ValueError:
            given = options["anti_alias"]
            raise InrzooError(f"--anti-alias {given} is not allowed; expected a weight as 0.1, or projection") from None
    if options["init"] in INIT_MODES:
        overrides["init.mode"] = options["init"]
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InrzooError(f"--set {setting} is not allowed; expected KEY=VALUE")
        try:
            overrides[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            overrides[key] = value
    return overrides
