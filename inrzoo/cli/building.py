"""The command `build`: passes its options to `api.build` and prints the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inrzoo.cli import SOURCE, FolderOrUrl, cli, completing, key_values, numbers, say
from inrzoo.errors import InrzooError


class Workers(click.ParamType[int | str]):
    """A number, or `auto`."""

    name = "N or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Convert a value; its range is checked later."""
        try:
            return value if value == "auto" else int(value)
        except ValueError:
            return self.fail(f"{value!r} is not allowed; expected a number or auto", param, ctx)


@cli.command()
@click.argument("dataset", shell_complete=completing.datasets)
@click.option(
    "--preset", shell_complete=completing.presets, help="Settings of a paper; `inrzoo list` shows all presets."
)
@click.option(
    "--recipe",
    shell_complete=completing.recipes,
    help="Our settings of fits for one purpose: fast. Applied after the preset.",
)
@click.option("--seeds", type=int, help="Independent fits of each signal. Seeds that a store lacks are added.")
@click.option("--views", help="Step counts of the stored snapshots, e.g. 800,900,1000.")
@click.option("--inr", shell_complete=completing.components("inrs"), help="Architecture; `inrzoo list` shows all.")
@click.option(
    "--engine",
    shell_complete=completing.engines,
    help="Fitting engine, auto by default; `inrzoo list` shows those of each INR.",
)
@click.option("--products", help="Precision of matrix products on a GPU: bf16x3 (default), ieee or tf32.")
@click.option("--steps", type=int, help="Optimiser steps.")
@click.option("--lr", type=float, help="Adam's learning rate.")
@click.option("--stop-psnr", type=float, help="PSNR in dB at which the fit of an INR stops; 0 disables it.")
@click.option("--init", help="Initial weights: random, shared, fixed, or a store or .safetensors FILE.")
@click.option("--fitter", type=click.Path(path_type=Path), help="Checkpoint of a hypernetwork that makes the INRs.")
@click.option("--tto", type=int, metavar="STEPS", help="Test-time optimisation steps after --fitter; 0 by default.")
@click.option("--base", type=click.Path(path_type=Path), help="Run or store with the base that all latents share.")
@click.option("--anti-alias", metavar="W", help="Weight of the anti-aliasing regulariser, or projection.")
@click.option(
    "--limit", type=int, help="Maximum number of signals, evenly of all classes; those that a store lacks are added."
)
@click.option("--weights", help="Type of the stored weights: float32 (default), float16, bfloat16, int16 or int8.")
@click.option("--compress", is_flag=True, help="Compress the stored weights, without loss.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key, e.g. inr.omega_0=15.")
@SOURCE
@click.option("--out", type=FolderOrUrl(), help="The store, DATASET.zarr by default; or e.g. s3://BUCKET/NAME.zarr.")
@click.option("--workers", type=Workers(), help="Processes; one per core or GPU by default. auto follows a cluster.")
@click.option("--per-worker", metavar="cpu=N,gpu=X", help="Resources of a worker; 1 core, or 1 GPU, by default.")
@click.option("--address", help="A running Ray cluster to join: auto, or e.g. ray://HEAD:10001.")
@click.option("--in-process", is_flag=True, help="Fit in this process, without Ray.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@click.option("--overwrite", is_flag=True, help="Replace the store at --out.")
@click.option("--plan", "planned", is_flag=True, help="Print the work and its estimated time; build nothing.")
@click.option("--nodes", type=int, default=1, show_default=True, help="With --plan: number of machines like this one.")
def build(dataset: str, preset: str | None, settings: tuple[str, ...], **options: Any) -> None:
    """Fit a dataset of INRs into a store. It can be stopped at any time: the same command continues.

    DATASET is a name that `inrzoo list` shows, or a path to a TOML file; or a store, whose build then continues with
    the recorded settings or, with --seeds or --limit, adds seeds or signals.
    """
    from inrzoo import api

    arguments = {key: value for key, value in options.items() if key not in ("planned", "nodes")}
    arguments["preset"], arguments["settings"] = preset, key_values("--set", settings)
    arguments["views"] = numbers("--views", options["views"], ",", "800,900")
    arguments["anti_alias"] = _weight(options["anti_alias"])
    arguments["per_worker"] = None if options["per_worker"] is None else _amounts(options["per_worker"])
    if not options["planned"]:
        built = api.build(dataset, **arguments)
        from inrzoo import report

        say(report.of_build(built))
        return
    run = ("source", "workers", "per_worker", "address", "in_process", "device", "overwrite")
    request = api.build_request(dataset, **{key: value for key, value in arguments.items() if key not in run})
    from inrzoo import builder, report
    from inrzoo.builder.estimate import check_nodes

    nodes = check_nodes(options["nodes"])
    how = {key: options[key] for key in ("source", "device", "overwrite")}
    say(report.of_plan(builder.plan(request.manifest, request.out, **how, **request.starts), nodes))


def _amounts(text: str) -> dict[str, float]:
    """Parse `cpu=2,gpu=0.5`."""
    try:
        amounts = {key: float(amount) for key, _, amount in (part.partition("=") for part in text.split(","))}
    except ValueError:
        amounts = {}
    if not amounts or amounts.keys() - {"cpu", "gpu"} or min(amounts.values()) <= 0:
        raise InrzooError(f"--per-worker {text} is not allowed; expected e.g. cpu=2 or cpu=1,gpu=0.5")
    return amounts


def _weight(text: str | None) -> float | str | None:
    """Parse a weight of the regulariser, or `projection`."""
    if text in (None, "projection"):
        return text
    try:
        return float(str(text))
    except ValueError:
        raise InrzooError(f"--anti-alias {text} is not allowed; expected a weight such as 0.1, or projection") from None
