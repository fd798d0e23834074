"""The command `tune`: searches for the settings of fits that are done soonest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from inrzoo.cli import JSON, SOURCE, cli, completing, key_values, say


@cli.command()
@click.argument("dataset", shell_complete=completing.datasets)
@click.option(
    "--preset", shell_complete=completing.presets, help="Settings to begin from; `inrzoo list` shows all presets."
)
@click.option("--inr", shell_complete=completing.components("inrs"), help="Architecture; `inrzoo list` shows all.")
@click.option("--target-psnr", type=float, default=40.0, show_default=True, help="PSNR in dB that 99 % must reach.")
@click.option("--budget", type=float, default=120.0, show_default=True, help="Seconds to search at most.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key, e.g. fit.steps=2000.")
@SOURCE
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@JSON
def tune(
    dataset: str,
    preset: str | None,
    inr: str | None,
    target_psnr: float,
    budget: float,
    settings: tuple[str, ...],
    source: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Find the learning rate, schedule, weight scale and ω₀ with which fits reach a PSNR in the fewest steps.

    DATASET is a name that `inrzoo list` shows, or a path to a TOML file. A few hundred signals of the training split
    are fitted; the last lines are those of the best settings, for a manifest.
    """
    from inrzoo import manifest, report
    from inrzoo.api.typed import checked, option
    from inrzoo.builder.workers import device_of
    from inrzoo.tune import tune as search

    overrides: dict[str, Any] = key_values("--set", settings)
    typed = {key: f"--set {word}" for key, word in zip(overrides, settings, strict=True)}
    if inr is not None:
        overrides, typed = {"inr.name": inr, **overrides}, {"inr.name": option("inr", inr), **typed}
    if preset is not None:
        overrides, typed = {"preset": preset, **overrides}, {"preset": option("preset", preset), **typed}
    resolved = checked(
        lambda chosen: manifest.load(
            dataset,
            chosen.get("preset"),
            {key: value for key, value in chosen.items() if key != "preset"},
            trusted=True,
        ),
        overrides,
        typed,
    )
    tuned = report.with_bar(
        "tuning",
        lambda bar: search(
            resolved,
            source=source,
            target_psnr=target_psnr,
            budget=budget,
            device=device_of(device),
            on_progress=bar,
        ),
    )
    say(json.dumps(report.of_tuning_as_json(tuned), indent=2) if as_json else report.of_tuning(tuned))
