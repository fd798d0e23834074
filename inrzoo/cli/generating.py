"""The command `generate`, which writes samples of a trained generative model as a store."""

from pathlib import Path
from typing import Any

import click

from inrzoo.cli import cli, say
from inrzoo.cli.gathering import OUT, OVERWRITE


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@OUT
@click.option("--count", type=int, required=True, help="Number of samples.")
@click.option("--class", "label", help="Name of the class of all samples; all classes in turn by default.")
@click.option("--seed", default=0, show_default=True, help="Seed of the noise.")
@click.option("--steps", default=50, show_default=True, help="Evaluations of the network for each sample.")
@click.option("--guidance", default=1.0, show_default=True, help="Weight of the class over no class; 1 is none.")
@OVERWRITE
def generate(run: Path, out: Path, overwrite: bool, **options: Any) -> None:
    """Draw new INRs from a model of `inrzoo train generate`, and write them as a store.

    RUN is its folder, or a checkpoint. The same command writes the same bytes in the same environment.
    """
    from inrzoo.checkpoint import read
    from inrzoo.extras import require

    require("build", "generating a store", "dask")
    require("generate", "generating a store", "diffusers")
    read(run)  # fails before torch is imported
    from inrzoo import generation, report

    samples = generation.Samples(**options)
    made = report.with_bar(
        "drawing INRs", lambda tick: generation.generate(run, out, samples, overwrite=overwrite, on_block=tick)
    )
    say(f"{out}: {made.num_signals:,} INRs; show it with: inrzoo info {made.location}")
