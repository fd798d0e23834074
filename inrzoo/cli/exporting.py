"""The commands `export`, which writes a store in other formats, and `render`, which writes what an INR says."""

from pathlib import Path
from typing import Any

import click

from inrzoo.cli import STORE, cli, format_option, say
from inrzoo.errors import InrzooError


@cli.command()
@STORE
@format_option("state-dicts", "parquet", "safetensors", "fit-a-nef")
@click.option("--convention", help="For state-dicts: layout and key names: dws, nfn or sitzmann.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new folder; for safetensors a file.")
@click.option(
    "--prefix",
    default="",
    metavar="PATH",
    help="For state-dicts: beginning of the paths in the splits file, for ScaleGMN.",
)
@click.option(
    "--seed", help="Number of the fit of each signal, or all. Default: all for Parquet and fit-a-nef, else 0."
)
@click.option("--step", type=int, help="Step count of the view, if the store has several; Parquet takes all.")
@click.option("--signal", "signals", help="For safetensors: one signal, or a range such as 0:100.")
@click.option("--no-images", is_flag=True, help="For Parquet: leave out the small pictures of INRs.")
def export(
    store: str | Path,
    kind: str,
    convention: str | None,
    out: Path,
    prefix: str,
    seed: str | None,
    step: int | None,
    signals: str | None,
    no_images: bool,
) -> None:
    """Write a store as files for other tools: one .pth per INR, HDF5, rows of Parquet, or tensors of some INRs."""
    from inrzoo import open_store

    required = {"--convention": ("state-dicts", convention), "--signal": ("safetensors", signals)}
    for option, (option_kind, value) in required.items():
        if (kind == option_kind) != (value is not None):
            verb = "needs" if kind == option_kind else "takes no"
            raise InrzooError(f"--format {kind} {verb} {option}; see inrzoo export --help")
    if no_images and kind != "parquet":
        raise InrzooError(f"--format {kind} takes no --no-images; its files have no pictures")
    if prefix and kind != "state-dicts":
        raise InrzooError(f"--format {kind} takes no --prefix; it has no list of paths")
    open_store(store)  # fails before torch is imported
    from inrzoo import interchange

    if kind == "parquet":
        if step is not None:
            raise InrzooError("--format parquet takes no --step; every view is a row, with a column `step`")
        seeds = None if seed in (None, "all") else range(_seed(seed), _seed(seed) + 1)
        rows = interchange.export_parquet(store, out, seeds, images=not no_images)
        say(f"{out}: {rows} INRs as rows of parquet")
    elif kind == "fit-a-nef":
        written = interchange.export_fit_a_nef(store, out, seed, step)
        say(f"{out}: {written} INRs as HDF5 for fit-a-nef")
    elif kind == "safetensors":
        written = interchange.export_safetensors(store, out, str(signals), _seed(seed), step)
        say(f"{out}: {written} INRs as safetensors")
    else:
        written = interchange.export_state_dicts(store, out, str(convention), seed or "0", step, prefix)
        say(f"{out}: {written} INRs as {convention} {kind}")


@cli.command()
@STORE
@click.option("--signal", type=int, required=True, help="Number of the signal.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="FILE.png, .wav, .ply, .obj or .npy.")
@click.option("--seed", default=0, show_default=True, help="Number of the fit of the signal.")
@click.option("--view", "step", default=-1, show_default=True, help="Index of the view; -1 is the last one.")
@click.option("--finer", default=1, show_default=True, help="Factor of a finer grid, or of the sample rate of a sound.")
@click.option("--valid", is_flag=True, help="Leave out the padding of a sound.")
@click.option("--numbers", is_flag=True, help="For .npy: the signals' numbers, not values on the range of the fit.")
@click.option("--camera", type=int, help="For radiance fields: number of a held-out view; one from above if absent.")
@click.option("--level", type=float, help="For .ply and .obj: where the surface lies, in the signals' unit.")
def render(store: str | Path, out: Path, **options: Any) -> None:
    """Write what an INR says: images and views as .png, sounds as .wav, shapes as .ply or .obj, anything as .npy."""
    from inrzoo import open_store

    opened = open_store(store)  # fails before torch is imported
    from inrzoo.rendering import write_rendering

    say(f"{out}: {write_rendering(opened, out, **options)}")


def _seed(seed: str | None) -> int:
    try:
        return int(seed or 0)
    except ValueError:
        raise InrzooError(f"--seed {seed} is not allowed; expected a number") from None
